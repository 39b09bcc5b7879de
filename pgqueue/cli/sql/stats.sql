-- The overall numbers but for the history's size: unfinished jobs by state, dead letters, rates a minute over the last 5 minutes.
with unfinished as (
  select count(*) filter (where j.worker_id is null and j.run_at > now() and j.run_at < 'infinity') as scheduled,
         count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
         count(*) filter (where j.worker_id is null and j.run_at <= now()) as ready,
         count(*) filter (where j.worker_id is not null) as running,
         now() - min(j.run_at) filter (where j.worker_id is null and j.run_at <= now()) as oldest_due_age
  from pgqueue.queued_jobs j
), dead as (
  select count(*) as dead, count(*) filter (where d.died_at > now() - interval '5 minutes') as died from pgqueue.dead_jobs d
)
select u.scheduled, u.blocked, u.ready, u.running, d.dead, u.ready + u.running as backlog, u.oldest_due_age,
       round((select count(*) from pgqueue.finished_jobs f where f.succeeded and f.finished_at > now() - interval '5 minutes') / 5.0, 1) as throughput,
       round((d.died + (select count(*) from pgqueue.job_attempts t
                        where t.logged_at > now() - interval '5 minutes' and t.outcome in ('failed', 'lost'))) / 5.0, 1) as failures,
       (select count(*) from pgqueue.workers w where w.alive) as workers
from unfinished u, dead d
