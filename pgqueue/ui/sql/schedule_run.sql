-- Enqueues a job of a schedule at once; its id.
select pgqueue.run_schedule(%(name)s::text) as id
