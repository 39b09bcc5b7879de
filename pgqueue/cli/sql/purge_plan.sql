-- The dead letters that a purge would delete, by queue and task.
select d.queue, d.task, count(*) as jobs, min(d.died_at) as oldest, max(d.died_at) as newest
from pgqueue.dead_jobs d
where (%(queue)s::text is null or d.queue = %(queue)s::text)
  and (%(task)s::text is null or d.task = %(task)s::text)
  and (%(before)s::timestamptz is null or d.died_at < %(before)s::timestamptz)
group by d.queue, d.task
order by d.queue, d.task
