-- Tasks of due jobs that no living worker of their queue has registered, where the queue has workers (I12). Such jobs stay at the head of
-- their line, as nobody claims them: the first 200 of each queue and priority are looked at, so that it costs the same however many wait.
create view pgqueue.unknown_tasks as
with recursive lines as (
  (select j.queue, j.priority from pgqueue.queued_jobs j where not j.suspect order by j.queue, j.priority limit 1)
  union all
  select n.queue, n.priority from lines l, lateral (
    select j.queue, j.priority from pgqueue.queued_jobs j
    where not j.suspect and (j.queue, j.priority) > (l.queue, l.priority) order by j.queue, j.priority limit 1) n
), known as (
  select q.queue, t.task from pgqueue.workers w, unnest(w.queues) q (queue), unnest(w.tasks) t (task) where w.alive group by q.queue, t.task
)
select distinct h.queue, h.task
from lines l, lateral (
  select j.queue, j.task, j.worker_id from pgqueue.queued_jobs j
  where not j.suspect and j.queue = l.queue and j.priority = l.priority and j.run_at < clock_timestamp() - interval '10 s'
  order by j.run_at, j.id limit 200) h
where h.worker_id is null
  and exists (select from known k where k.queue = h.queue)
  and not exists (select from known k where k.queue = h.queue and k.task = h.task);
