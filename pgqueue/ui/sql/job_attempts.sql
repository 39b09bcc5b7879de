-- The ended attempts of one job, oldest first, the last `most` of them.
select a.attempt, a.outcome, a.worker_id, a.started_at, a.finished_at, a.error
from (
  select x.attempt, x.outcome, x.worker_id, x.started_at, x.finished_at, x.error from pgqueue.attempts x
  where x.job_id = %(id)s::bigint
  order by x.attempt desc, x.finished_at desc limit %(most)s::integer
) a
order by a.attempt, a.finished_at
