-- Declares silent workers lost and hands their jobs on, at most so many.
select worker_id, host, pid, jobs from pgqueue.rescue(%(max_jobs)s::integer)
