-- The living workers that serve a queue.
select w.id, w.host, w.pid, w.concurrency, w.running, w.heartbeat_at
from pgqueue.worker_processes w
where w.lost_at is null and w.heartbeat_at + w.lease >= now() and %(queue)s::text = any (w.queues)
order by w.host, w.pid
limit 100
