-- Every worker process, the living ones first, with the last that was seen of it when it stood still or ended.
select w.id, w.host, w.pid, w.alive, w.stuck, w.stuck_since, w.running, w.concurrency, w.queues, w.tasks, w.started_at, w.heartbeat_at, w.version,
       i.kind as incident, i.at as incident_at
from pgqueue.workers w
left join lateral (select i.kind, i.at from pgqueue.worker_incidents i where i.worker_id = w.id order by i.id desc limit 1) i on true
order by w.alive desc, w.started_at, w.id
