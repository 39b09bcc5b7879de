-- Hands on the jobs of workers that are known to have ended, for one who may not judge silence yet: it does nothing while anybody is silent, or may
-- be in a second.
select r.worker_id, r.host, r.pid, r.jobs
from (select where exists (select from pgqueue.worker_processes w where w.lost_at is not null and not w.rescued)
               and not exists (select from pgqueue.worker_processes w
                               where w.lost_at is null and w.heartbeat_at + w.lease < clock_timestamp() + interval '1 second')) as may
cross join lateral pgqueue.rescue(%(max_jobs)s::integer) r
