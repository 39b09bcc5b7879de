-- Makes the partitions of the coming days.
select pgqueue.make_partitions((clock_timestamp() at time zone 'UTC')::date, 14)
