-- The daily partitions that retention does not keep.
select parent, partition, day, pending from pgqueue.expired_days()
