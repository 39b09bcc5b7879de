-- Queues: how many jobs are in each state, rates, how they are dealt out, who serves them.
with serving as (
  select q.queue, count(*) as workers
  from pgqueue.worker_processes w, unnest(w.queues) q (queue)
  where w.lost_at is null and w.heartbeat_at + w.lease >= now() group by q.queue
)
select d.queue, d.paused, d.scheduled, d.blocked, d.ready, d.running, d.dead, d.oldest_due_age, false as estimated,
       d.throughput, d.failures, coalesce(p.fair, false) as fair, p.aging, coalesce(s.workers, 0) as workers
from pgqueue.queues d
left join serving s on s.queue = d.queue
left join pgqueue.queue_policies p on p.queue = d.queue
order by d.queue
