-- Who stands in line for a limit, in the order in which they get it, key by key; of one key if asked for.
select w.key, w.priority, w.job_id, j.task, j.queue, j.created_at, nullif(j.run_at, 'infinity') as run_at
from pgqueue.lane_waits w
left join pgqueue.queued_jobs j on j.id = w.job_id
where w.kind = 'limit' and w.name = %(name)s::text and (%(key)s::text is null or w.key = %(key)s::text)
order by w.key, w.priority, w.job_id
limit %(most)s::integer
