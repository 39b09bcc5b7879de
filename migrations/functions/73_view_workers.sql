-- Every worker process, the lost ones of the last day too: alive while its heartbeat is younger than its lease. A version that is null: 0.1.0.
create view pgqueue.workers as
select w.id, w.host, w.pid, w.queues, w.tasks, w.concurrency, w.running, w.started_at, w.heartbeat_at,
       w.lost_at is null and w.heartbeat_at + w.lease >= now() as alive, w.version
from pgqueue.worker_processes w;
