-- Queues with a job that has been due for 10 s, not paused, that no living worker serves. Goes from queue to queue and from priority to
-- priority along the claim's index, however many jobs there are.
with recursive lines as (
  (select j.queue, j.priority from pgqueue.queued_jobs j where not j.suspect order by j.queue, j.priority limit 1)
  union all
  select n.queue, n.priority from lines l, lateral (
    select j.queue, j.priority from pgqueue.queued_jobs j
    where not j.suspect and (j.queue, j.priority) > (l.queue, l.priority) order by j.queue, j.priority limit 1) n
)
select distinct l.queue from lines l
where not exists (select from pgqueue.paused_queues p where p.queue = l.queue)
  and not exists (select from pgqueue.workers w where w.alive and l.queue = any (w.queues))
  and exists (select from pgqueue.queued_jobs j where not j.suspect and j.queue = l.queue and j.priority = l.priority
              and j.run_at < statement_timestamp() - interval '10 s' and j.worker_id is null)
order by l.queue
