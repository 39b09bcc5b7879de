-- How long the oldest due job of each queue has waited, the longest first. One index probe for each (queue, priority) that has jobs, so that a
-- probe of health takes milliseconds however long the backlog is (5,000,000 jobs: 7.9 s when it read them all); suspects are few.
with recursive lines (queue, priority) as (
  (select j.queue, j.priority from pgqueue.queued_jobs j where not j.suspect order by j.queue, j.priority limit 1)
  union all
  select n.queue, n.priority
  from lines l
  cross join lateral (
    select j.queue, j.priority from pgqueue.queued_jobs j
    where not j.suspect and (j.queue, j.priority) > (l.queue, l.priority)
    order by j.queue, j.priority limit 1
  ) n
), oldest as (
  select l.queue, f.run_at
  from lines l
  cross join lateral (
    select j.run_at from pgqueue.queued_jobs j
    where not j.suspect and j.queue = l.queue and j.priority = l.priority and j.worker_id is null and j.run_at <= now()
    order by j.run_at limit 1
  ) f
  union all
  select j.queue, j.run_at from pgqueue.queued_jobs j where j.suspect and j.worker_id is null and j.run_at <= now()
)
select o.queue, now() - min(o.run_at) as age, exists (select from pgqueue.paused_queues p where p.queue = o.queue) as paused
from oldest o
group by o.queue
order by age desc
