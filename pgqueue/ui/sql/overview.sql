-- Every queue and its depth.
select q.queue, q.paused, q.scheduled, q.blocked, q.ready, q.running, q.dead, q.oldest_due_age
from pgqueue.queues q
order by q.queue
