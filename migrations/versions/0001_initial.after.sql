-- The first days' partitions: without them the first enqueue would make them in its own transaction, and every other enqueue
-- would wait until that commits.
select pgqueue.make_partitions((clock_timestamp() at time zone 'UTC')::date, 14);
