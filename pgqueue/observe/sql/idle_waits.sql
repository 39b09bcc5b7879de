-- Places in lines of jobs that are not unfinished.
select format('%%s "%%s" by job %%s', w.kind, w.name, w.job_id) as what
from pgqueue.lane_waits w tablesample system (%(share)s::real)
where not exists (select from pgqueue.queued_jobs j where j.id = w.job_id)
limit 20
