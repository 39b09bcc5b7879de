-- Every queue.
select q.queue, q.paused, q.scheduled, q.blocked, q.ready, q.running, q.succeeded, q.cancelled, q.dead, q.oldest_due_age, q.throughput, q.failures
from pgqueue.queues q
order by q.queue
