-- What became of jobs that ticks enqueued: when they ran and how they ended; a job that retention has dropped has no row.
select j.id, j.state, j.run_at, j.started_at, j.finished_at
from (
  select q.id, case when q.worker_id is not null then 'running' when q.run_at = 'infinity' then 'blocked' when q.run_at > clock_timestamp() then 'scheduled' else 'ready' end as state,
         nullif(q.run_at, 'infinity') as run_at, q.started_at, null::timestamptz as finished_at
  from pgqueue.queued_jobs q where q.id = any (%(ids)s::bigint[])
  union all
  select f.id, case when f.succeeded then 'succeeded' else 'cancelled' end, f.run_at, f.started_at, f.finished_at from pgqueue.finished_jobs f where f.id = any (%(ids)s::bigint[])
  union all
  select d.id, 'dead', d.run_at, d.started_at, d.died_at from pgqueue.dead_jobs d where d.id = any (%(ids)s::bigint[])
) j
