-- Unfinished jobs without the row of their arguments.
select j.id as what from pgqueue.queued_jobs j tablesample system (%(share)s::real)
where not exists (select from pgqueue.job_args a where a.id = j.id and a.day = j.args_day)
limit 20
