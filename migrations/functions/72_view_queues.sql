-- Every queue that has jobs, is paused, or is served by a worker: one count per state (finished ones of the last 5 minutes are
-- in the rates only), how long its oldest due job has waited, and jobs a minute over the last 5 minutes.
create view pgqueue.queues as
with unfinished as (
  select j.queue,
         count(*) filter (where j.worker_id is not null) as running,
         count(*) filter (where j.worker_id is null and j.run_at <= now()) as ready,
         count(*) filter (where j.worker_id is null and j.run_at > now() and j.run_at < 'infinity') as scheduled,
         count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
         min(j.run_at) filter (where j.worker_id is null and j.run_at <= now()) as oldest_due
  from pgqueue.queued_jobs j group by j.queue
), finished as (
  select f.queue, count(*) filter (where f.succeeded) as succeeded, count(*) filter (where not f.succeeded) as cancelled
  from pgqueue.finished_jobs f group by f.queue
), recent as (
  select f.queue, count(*) as done from pgqueue.finished_jobs f
  where f.finished_at > now() - interval '5 minutes' and f.succeeded group by f.queue
), dead as (
  select d.queue, count(*) as dead, count(*) filter (where d.died_at > now() - interval '5 minutes') as died from pgqueue.dead_jobs d group by d.queue
), failed as (
  select j.queue, count(*) as failed
  from pgqueue.job_attempts t join (select q.id, q.queue from pgqueue.queued_jobs q union all select f.id, f.queue from pgqueue.finished_jobs f) j on j.id = t.job_id
  where t.logged_at > now() - interval '5 minutes' and t.outcome in ('failed', 'lost') group by j.queue
), names as (
  select u.queue from unfinished u union select d.queue from dead d union select f.queue from finished f union select p.queue from pgqueue.paused_queues p
  union select unnest(w.queues) from pgqueue.worker_processes w where w.lost_at is null
)
select n.queue, p.queue is not null as paused,
       coalesce(u.scheduled, 0) as scheduled, coalesce(u.blocked, 0) as blocked, coalesce(u.ready, 0) as ready, coalesce(u.running, 0) as running,
       coalesce(f.succeeded, 0) as succeeded, coalesce(f.cancelled, 0) as cancelled, coalesce(d.dead, 0) as dead,
       now() - u.oldest_due as oldest_due_age,
       round(coalesce(r.done, 0) / 5.0, 1) as throughput, round((coalesce(b.failed, 0) + coalesce(d.died, 0)) / 5.0, 1) as failures
from names n
left join pgqueue.paused_queues p on p.queue = n.queue
left join unfinished u on u.queue = n.queue
left join finished f on f.queue = n.queue
left join recent r on r.queue = n.queue
left join dead d on d.queue = n.queue
left join failed b on b.queue = n.queue;
