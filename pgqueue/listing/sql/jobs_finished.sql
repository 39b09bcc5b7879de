-- A page of succeeded and cancelled jobs in the order of ids: see jobs_queued. With a key the ids come from the index of keys, queue by queue.
with recursive keyed (queue) as (
  (select f.queue from pgqueue.finished_jobs f where f.key is not null and %(key)s::text is not null and %(queue)s::text is null order by f.queue limit 1)
  union all
  select (select f.queue from pgqueue.finished_jobs f where f.key is not null and f.queue > q.queue order by f.queue limit 1)
  from keyed q where q.queue is not null
), found as materialized (
  select w.id, w.fits, w.n = %(window)s::integer as ended
  from (
    select c.id, c.n, (%(queue)s::text is null or c.queue = %(queue)s::text) and (%(task)s::text is null or c.task = %(task)s::text)
                  and (%(since)s::timestamptz is null or c.created_at >= %(since)s::timestamptz)
                  and (%(until)s::timestamptz is null or c.created_at < %(until)s::timestamptz)
                  and (%(states)s::text[] is null or case when c.succeeded then 'succeeded' else 'cancelled' end = any (%(states)s::text[]))
                  and (not %(contents)s::boolean or exists (
                        select from pgqueue.job_args a
                        where a.id = c.id and a.day = c.args_day and (%(args)s::jsonb is null or a.args @> %(args)s::jsonb)
                          and (%(meta)s::jsonb is null or a.meta @> %(meta)s::jsonb)
                          and (%(group)s::text is null or a.gates ->> 'group' = %(group)s::text))) as fits
    from (
      (select x.id, x.queue, x.task, x.created_at, x.args_day, x.succeeded, row_number() over (order by x.id desc) as n
       from pgqueue.finished_jobs x where not %(up)s::boolean and %(key)s::text is null and x.id < %(at)s::bigint
       order by x.id desc limit %(window)s::integer)
      union all
      (select x.id, x.queue, x.task, x.created_at, x.args_day, x.succeeded, row_number() over (order by x.id) as n
       from pgqueue.finished_jobs x where %(up)s::boolean and %(key)s::text is null and x.id > %(at)s::bigint
       order by x.id limit %(window)s::integer)
      union all
      (select x.id, x.queue, x.task, x.created_at, x.args_day, x.succeeded, 0
       from (select q.queue from keyed q where q.queue is not null
             union all select %(queue)s::text where %(queue)s::text is not null) q
       cross join lateral (
         select f.id, f.queue, f.task, f.created_at, f.args_day, f.succeeded from pgqueue.finished_jobs f
         where f.queue = q.queue and f.key = %(key)s::text and case when %(up)s::boolean then f.id > %(at)s::bigint else f.id < %(at)s::bigint end
         limit %(window)s::integer) x
       where %(key)s::text is not null
       order by case when %(up)s::boolean then x.id else -x.id end limit %(window)s::integer)
    ) c
  ) w
  where w.fits or w.n = %(window)s::integer
  limit %(most)s::integer
)
select f.fits as hit, f.ended, j.id, j.task, j.queue, case when j.succeeded then 'succeeded' else 'cancelled' end as state,
       j.priority, j.key, j.attempt, j.max_attempts, j.run_at, j.created_at, j.started_at, j.finished_at, j.worker_id
from found f
join pgqueue.finished_jobs j on j.id = f.id
order by j.id desc
