-- Worker processes, the living ones first, then the lost, at most `most`. Stuck: see the view.
select w.id, w.host, w.pid, w.alive, w.running, w.concurrency, w.queues, w.tasks, w.started_at, w.heartbeat_at, w.version, p.lease, p.lost_at,
       w.stuck, w.stuck_since
from pgqueue.workers w
join pgqueue.worker_processes p on p.id = w.id
where %(id)s::bigint is null or w.id = %(id)s::bigint
order by w.alive desc, w.started_at, w.id
limit %(most)s::integer
