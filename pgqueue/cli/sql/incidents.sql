-- What was seen of one worker when it stood still or ended, or of all, the newest last.
select i.id, i.at, i.worker_id, i.host, i.pid, i.kind, i.jobs, i.detail, i.stack
from (select n.id, n.at, n.worker_id, n.host, n.pid, n.kind, n.jobs, n.detail, n.stack from pgqueue.worker_incidents n
      where n.worker_id = coalesce(%(worker)s::bigint, n.worker_id) order by n.id desc limit 20) i
order by i.id
