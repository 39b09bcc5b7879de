-- Every queue.
select q.queue, q.paused, q.scheduled, q.blocked, q.ready, q.running, q.succeeded, q.cancelled, q.dead, q.oldest_due_age, q.throughput, q.failures,
       coalesce(p.fair, false) as fair, p.aging, u.max_depth, q.estimated, q.history_estimated
from pgqueue.queues q
left join pgqueue.queue_policies p on p.queue = q.queue
left join pgqueue.queue_quotas u on u.queue = q.queue
order by q.queue
