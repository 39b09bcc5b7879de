-- What runs right now, the longest first, at most `most`; of one worker if asked for. Running jobs are at the front of the claim index: of each (queue,
-- priority) that has jobs, `lines` at most, so many rows are looked at that all are `window`, or `front` if that is more. Suspects are few.
with recursive lines (queue, priority, n) as (
  (select j.queue, j.priority, 1 from pgqueue.queued_jobs j where not j.suspect order by j.queue, j.priority limit 1)
  union all
  select n.queue, n.priority, l.n + 1
  from lines l
  cross join lateral (
    select j.queue, j.priority from pgqueue.queued_jobs j where not j.suspect and (j.queue, j.priority) > (l.queue, l.priority)
    order by j.queue, j.priority limit 1
  ) n
  where l.n < %(lines)s::integer
), room as materialized (
  select greatest(%(window)s::integer / greatest(count(*), 1), %(front)s::integer) as most from lines
), found as (
  select f.id, f.task, f.queue, f.worker_id, f.started_at, f.attempt, f.timeout
  from lines l
  cross join room r
  cross join lateral (
    select j.id, j.task, j.queue, j.worker_id, j.started_at, j.attempt, j.timeout
    from pgqueue.queued_jobs j
    where not j.suspect and j.queue = l.queue and j.priority = l.priority and j.run_at <= clock_timestamp()
    order by j.run_at, j.id limit r.most
  ) f
  where f.worker_id is not null
  union all
  select j.id, j.task, j.queue, j.worker_id, j.started_at, j.attempt, j.timeout from pgqueue.queued_jobs j where j.suspect and j.worker_id is not null
)
select f.id, f.task, f.queue, f.worker_id, f.started_at, f.attempt, f.timeout, p.fraction as progress, w.host, w.pid, w.stuck,
       extract(epoch from clock_timestamp() - f.started_at)::double precision as seconds
from found f
left join pgqueue.job_progress p on p.job_id = f.id
left join pgqueue.workers w on w.id = f.worker_id
where %(worker)s::bigint is null or f.worker_id = %(worker)s::bigint
order by f.started_at, f.id
limit %(most)s::integer
