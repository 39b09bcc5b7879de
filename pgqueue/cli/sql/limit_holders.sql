-- Who holds permits of a limit, the longest first.
select h.key, h.job_id, h.task, h.worker_id, h.weight, h.granted_at
from pgqueue.permit_holders h
where h.kind = 'limit' and h.name = %(name)s::text
order by h.granted_at, h.job_id
limit %(limit)s::integer
