-- Runs again what failed in a flow and what was cancelled for it; how many jobs.
select pgqueue.retry_flow(%(id)s::bigint)
