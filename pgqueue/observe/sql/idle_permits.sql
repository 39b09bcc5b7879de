-- Permits of jobs that are not unfinished.
select format('%%s "%%s" by job %%s', p.kind, p.name, p.job_id) as what
from pgqueue.permits p tablesample system (%(share)s::real)
where not exists (select from pgqueue.queued_jobs j where j.id = p.job_id)
limit 20
