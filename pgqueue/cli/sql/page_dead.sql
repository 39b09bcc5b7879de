-- A page of dead letters, newest first.
select d.id, d.task, d.queue, 'dead' as state, d.priority, d.key, d.attempt, d.max_attempts, d.run_at, d.created_at, d.started_at,
       d.died_at as finished_at, d.worker_id, d.error
from pgqueue.dead_jobs d
where (%(before)s::bigint is null or d.id < %(before)s::bigint)
  and (%(queue)s::text is null or d.queue = %(queue)s::text)
  and (%(task)s::text is null or d.task = %(task)s::text)
  and (%(key)s::text is null or d.key = %(key)s::text)
order by d.id desc
limit %(limit)s::integer
