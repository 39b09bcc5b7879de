-- Tasks of due jobs that no living worker of their queue has registered, where the queue has workers. They stay at the head of their
-- line, as nobody claims them: the first 200 of each queue and priority are looked at.
with recursive lines as (
  (select j.queue, j.priority from pgqueue.queued_jobs j where not j.suspect order by j.queue, j.priority limit 1)
  union all
  select n.queue, n.priority from lines l, lateral (
    select j.queue, j.priority from pgqueue.queued_jobs j
    where not j.suspect and (j.queue, j.priority) > (l.queue, l.priority) order by j.queue, j.priority limit 1) n
)
select distinct h.queue, h.task
from lines l, lateral (
  select j.queue, j.task, j.worker_id from pgqueue.queued_jobs j
  where not j.suspect and j.queue = l.queue and j.priority = l.priority and j.run_at < clock_timestamp() - interval '10 s'
  order by j.run_at, j.id limit 200) h
where h.worker_id is null
  and exists (select from pgqueue.workers w where w.alive and h.queue = any (w.queues))
  and not exists (select from pgqueue.workers w where w.alive and h.queue = any (w.queues) and h.task = any (w.tasks))
order by h.queue, h.task
