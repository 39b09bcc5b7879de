-- Declares silent workers lost and hands their jobs on.
select worker_id, host, pid, jobs from pgqueue.rescue()
