-- Enqueues a job of a schedule at once; returns its id.
select pgqueue.run_schedule(%(name)s::text) as id
