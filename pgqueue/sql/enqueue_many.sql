-- Adds many jobs in the caller's transaction; returns their ids in the order given.
select id from pgqueue.enqueue_many(%(jobs)s::jsonb) as id
