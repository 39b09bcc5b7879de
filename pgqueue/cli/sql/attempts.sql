-- The ended attempts of one job, oldest first.
select a.attempt, a.outcome, a.worker_id, a.started_at, a.finished_at, a.error
from pgqueue.attempts a
where a.job_id = %(id)s::bigint
order by a.attempt, a.finished_at
