-- Queues: how many jobs are in each state (function depths), what became of attempts in the last 5 minutes, how they are dealt out, who serves them.
with recent as (
  select s.queue, sum(s.succeeded) as succeeded, sum(s.failed) + sum(s.dead) + sum(s.lost) as failed
  from pgqueue.statistics s where s.minute > now() - interval '6 minutes' and s.minute <= now() - interval '1 minute'
  group by s.queue
), serving as (
  select q.queue, count(*) as workers
  from pgqueue.worker_processes w, unnest(w.queues) q (queue)
  where w.lost_at is null and w.heartbeat_at + w.lease >= now() group by q.queue
)
select d.queue, d.paused, d.scheduled, d.blocked, d.ready, d.running, d.dead, d.oldest_due_age, d.estimated,
       coalesce(r.succeeded, 0) / 5.0 as throughput, coalesce(r.failed, 0) / 5.0 as failures, coalesce(p.fair, false) as fair, p.aging,
       coalesce(s.workers, 0) as workers, pp.paused_at
from pgqueue.depths() d
left join recent r on r.queue = d.queue
left join serving s on s.queue = d.queue
left join pgqueue.queue_policies p on p.queue = d.queue
left join pgqueue.paused_queues pp on pp.queue = d.queue
order by d.queue
