-- Cancels what is unfinished of a flow; how many jobs.
select pgqueue.cancel_flow(%(id)s::bigint)
