-- Every worker process, the living ones first.
select w.id, w.host, w.pid, w.alive, w.running, w.concurrency, w.queues, w.tasks, w.started_at, w.heartbeat_at, w.version
from pgqueue.workers w
order by w.alive desc, w.started_at, w.id
