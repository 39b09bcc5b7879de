-- Every worker process, the lost ones of the last day too: alive while its heartbeat is younger than its lease. A version that is null: 0.1.0.
-- `stuck`, if it is: loop_blocked, thread_overdue, heartbeat_dead, gil_held or frozen as somebody has seen it (function note_incident), or silent: two
-- heartbeats are missing and nobody knows why. It is said of a lost worker for 15 minutes, or until its process is known to have ended.
create view pgqueue.workers as
select w.id, w.host, w.pid, w.queues, w.tasks, w.concurrency, w.running, w.started_at, w.heartbeat_at,
       w.lost_at is null and w.heartbeat_at + w.lease >= now() as alive, w.version,
       case when w.lost_at < now() - interval '15 minutes' then null
            when w.stuck is not null then w.stuck
            when w.lost_at is null and w.heartbeat_at + 0.8 * w.lease < now() then 'silent' end as stuck,
       case when w.lost_at < now() - interval '15 minutes' then null
            when w.stuck is not null then w.stuck_since
            when w.lost_at is null and w.heartbeat_at + 0.8 * w.lease < now() then w.heartbeat_at end as stuck_since
from pgqueue.worker_processes w;
