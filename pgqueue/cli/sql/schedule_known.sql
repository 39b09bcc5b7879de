-- Whether there is a schedule of this name.
select exists (select from pgqueue.job_schedules s where s.name = %(name)s::text) as known
