-- Hands back what this worker still holds, and takes its row away.
select pgqueue.leave(%(worker_id)s::bigint)
