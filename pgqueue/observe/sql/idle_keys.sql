-- Keys without a period whose job is not unfinished.
select format('"%%s" of queue "%%s" by job %%s', k.key, k.queue, k.job_id) as what
from pgqueue.job_keys k tablesample system (%(share)s::real)
where k.until is null and not exists (select from pgqueue.queued_jobs j where j.id = k.job_id)
limit 20
