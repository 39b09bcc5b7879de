-- What runs now, the longest first, at most `most`. What runs lies at the front of the claim index, whatever waits behind it: of each (queue, priority)
-- that has jobs, 200 at most, 500 rows are looked at. Suspects are few.
with recursive lines (queue, priority, n) as (
  (select j.queue, j.priority, 1 from pgqueue.queued_jobs j where not j.suspect order by j.queue, j.priority limit 1)
  union all
  select next.queue, next.priority, l.n + 1
  from lines l
  cross join lateral (
    select j.queue, j.priority from pgqueue.queued_jobs j
    where not j.suspect and (j.queue, j.priority) > (l.queue, l.priority)
    order by j.queue, j.priority limit 1
  ) next
  where l.n < 200
), found as (
  select f.id, f.task, f.queue, f.worker_id, f.started_at, f.attempt
  from lines l
  cross join lateral (
    select j.id, j.task, j.queue, j.worker_id, j.started_at, j.attempt
    from pgqueue.queued_jobs j
    where not j.suspect and j.queue = l.queue and j.priority = l.priority and j.run_at <= clock_timestamp()
    order by j.run_at, j.id
    limit 500
  ) f
  where f.worker_id is not null
  union all
  select j.id, j.task, j.queue, j.worker_id, j.started_at, j.attempt from pgqueue.queued_jobs j where j.suspect and j.worker_id is not null
)
select f.id, f.task, f.queue, f.attempt, w.host, w.pid, w.stuck,
       extract(epoch from clock_timestamp() - f.started_at)::double precision as seconds
from found f
left join pgqueue.workers w on w.id = f.worker_id
order by f.started_at, f.id
limit %(most)s::integer
