-- Worker processes by how they are.
select count(*) filter (where w.alive) as alive, count(*) filter (where not w.alive and not p.rescued) as silent
from pgqueue.workers w join pgqueue.worker_processes p on p.id = w.id
