-- Workers, the stuck first, then the living, at most `most`.
select w.id, w.host, w.pid, w.alive, w.stuck, w.running, w.concurrency, w.queues, w.version,
       extract(epoch from clock_timestamp() - w.started_at)::double precision as up_seconds,
       extract(epoch from clock_timestamp() - w.heartbeat_at)::double precision as silent_seconds
from pgqueue.workers w
order by w.stuck is null, w.alive desc, w.started_at, w.id
limit %(most)s::integer
