-- Who holds permits of a limit, the longest first; of one key if asked for.
select p.key, p.job_id, j.task, j.queue, j.worker_id, p.weight, p.granted_at
from (
  select x.key, x.job_id, x.weight, x.granted_at from pgqueue.permits x
  where x.kind = 'limit' and x.name = %(name)s::text and (%(key)s::text is null or x.key = %(key)s::text)
  limit %(window)s::integer
) p
left join pgqueue.queued_jobs j on j.id = p.job_id
order by p.granted_at, p.job_id
limit %(most)s::integer
