-- The dead letters that a purge would delete, by queue and task: those that a job of their flow waits for stay.
select d.queue, d.task, count(*) as jobs, min(d.died_at) as oldest, max(d.died_at) as newest
from pgqueue.dead_jobs d
where (%(queue)s::text is null or d.queue = %(queue)s::text)
  and (%(task)s::text is null or d.task = %(task)s::text)
  and (%(before)s::timestamptz is null or d.died_at < %(before)s::timestamptz)
  and not exists (select from pgqueue.flow_links l join pgqueue.flow_nodes n on n.id = l.child_id where l.parent_id = d.id and n.blocked)
group by d.queue, d.task
order by d.queue, d.task
