-- How many pairs of queue and priority have unfinished jobs, of a queue or in all, counted up to `lines`: one probe each.
with recursive lines (queue, priority, n) as (
  (select j.queue, j.priority, 1 from pgqueue.queued_jobs j where not j.suspect and (%(queue)s::text is null or j.queue = %(queue)s::text)
   order by j.queue, j.priority limit 1)
  union all
  select n.queue, n.priority, l.n + 1
  from lines l
  cross join lateral (
    (select j.queue, j.priority from pgqueue.queued_jobs j
     where not j.suspect and %(queue)s::text is null and (j.queue, j.priority) > (l.queue, l.priority)
     order by j.queue, j.priority limit 1)
    union all
    (select j.queue, j.priority from pgqueue.queued_jobs j
     where not j.suspect and j.queue = %(queue)s::text and j.priority > l.priority
     order by j.priority limit 1)
  ) n
  where l.n < %(lines)s::integer
)
select count(*)::integer as pairs from lines
