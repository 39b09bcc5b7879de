-- Days that are there already lack the partitions of what this revision keeps by day.
select pgqueue.make_partitions((clock_timestamp() at time zone 'UTC')::date, 14);
