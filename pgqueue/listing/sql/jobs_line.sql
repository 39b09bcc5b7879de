-- A page of the unfinished jobs of one state, of a queue or of all, in the order in which they are due, after (`at`, `id`), with `up` before it.
-- lower < run_at <= upper is what makes the state, with running. Along the claim index, one probe for each (queue, priority) that has jobs, of
-- which `lines` at most are looked at, and `window` rows of each; `ended` says that a line was not seen to its end. Suspects are few.
with recursive lines (queue, priority, n) as (
  (select j.queue, j.priority, 1 from pgqueue.queued_jobs j where not j.suspect and (%(queue)s::text is null or j.queue = %(queue)s::text)
   order by j.queue, j.priority limit 1)
  union all
  select n.queue, n.priority, l.n + 1
  from lines l
  cross join lateral (  -- one of the two: a comparison of rows beside an equality would walk over the whole of the queue
    (select j.queue, j.priority from pgqueue.queued_jobs j
     where not j.suspect and %(queue)s::text is null and (j.queue, j.priority) > (l.queue, l.priority)
     order by j.queue, j.priority limit 1)
    union all
    (select j.queue, j.priority from pgqueue.queued_jobs j
     where not j.suspect and j.queue = %(queue)s::text and j.priority > l.priority
     order by j.priority limit 1)
  ) n
  where l.n < %(lines)s::integer
), found as (
  select f.id, f.run_at, f.fits, f.ended
  from lines l
  cross join lateral (
    select w.id, w.run_at, w.fits, w.n = %(window)s::integer as ended
    from (
      (select j.id, j.run_at, (j.worker_id is not null) = %(running)s::boolean as fits, row_number() over (order by j.run_at, j.id) as n
       from pgqueue.queued_jobs j
       where not %(up)s::boolean and not j.suspect and j.queue = l.queue and j.priority = l.priority
         and j.run_at > %(lower)s::timestamptz and j.run_at <= %(upper)s::timestamptz and (j.run_at, j.id) > (%(at)s::timestamptz, %(id)s::bigint)
       order by j.run_at, j.id limit %(window)s::integer)
      union all
      (select j.id, j.run_at, (j.worker_id is not null) = %(running)s::boolean as fits, row_number() over (order by j.run_at desc, j.id desc) as n
       from pgqueue.queued_jobs j
       where %(up)s::boolean and not j.suspect and j.queue = l.queue and j.priority = l.priority
         and j.run_at > %(lower)s::timestamptz and j.run_at <= %(upper)s::timestamptz and (j.run_at, j.id) < (%(at)s::timestamptz, %(id)s::bigint)
       order by j.run_at desc, j.id desc limit %(window)s::integer)
    ) w
    where w.fits or w.n = %(window)s::integer
    limit %(most)s::integer
  ) f
  union all
  select j.id, j.run_at, true, false
  from pgqueue.queued_jobs j
  where j.suspect and (%(queue)s::text is null or j.queue = %(queue)s::text) and j.run_at > %(lower)s::timestamptz and j.run_at <= %(upper)s::timestamptz
    and case when %(up)s::boolean then (j.run_at, j.id) < (%(at)s::timestamptz, %(id)s::bigint) else (j.run_at, j.id) > (%(at)s::timestamptz, %(id)s::bigint) end
    and (j.worker_id is not null) = %(running)s::boolean
), page as materialized (
  select f.id, f.run_at from found f where f.fits
  order by case when %(up)s::boolean then -extract(epoch from f.run_at) else extract(epoch from f.run_at) end, case when %(up)s::boolean then -f.id else f.id end
  limit %(most)s::integer
)
select j.id, j.task, j.queue, %(state)s::text as state, j.priority, j.key, j.attempt, j.max_attempts, nullif(j.run_at, 'infinity') as run_at, j.created_at,
       j.started_at, null::timestamptz as finished_at, j.worker_id, e.ended
from (select coalesce(bool_or(f.ended), false) or (select count(*) from lines) >= %(lines)s::integer as ended from found f) e
left join (page p join pgqueue.queued_jobs j on j.id = p.id) on true
order by j.run_at, j.id
