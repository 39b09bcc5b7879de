-- A page of unfinished jobs in the order of ids, down from `at` (with `up`: up from it), that fit the filters, and at most one row more: where
-- the walk along the primary key ended because it had seen `window` rows (ended; whether that one fits, says hit). With a key, or `few` (the
-- queue is known to have few jobs), ids come from the indexes of keys or of claims instead, and all of them are looked at.
-- Of the four branches one is planned: the parameters are constants to the planner. A walk stops when the limit is full, so nothing is sorted.
with recursive keyed (queue) as (
  (select k.queue from pgqueue.job_keys k where %(key)s::text is not null and %(queue)s::text is null order by k.queue limit 1)
  union all
  select (select k.queue from pgqueue.job_keys k where k.queue > q.queue order by k.queue limit 1) from keyed q where q.queue is not null
), found as materialized (
  select w.id, w.fits, w.n = %(window)s::integer as ended
  from (
    select c.id, c.n, (%(queue)s::text is null or c.queue = %(queue)s::text) and (%(task)s::text is null or c.task = %(task)s::text)
                  and (%(since)s::timestamptz is null or c.created_at >= %(since)s::timestamptz)
                  and (%(until)s::timestamptz is null or c.created_at < %(until)s::timestamptz)
                  and (%(states)s::text[] is null or case when c.worker_id is not null then 'running' when c.run_at = 'infinity' then 'blocked'
                                                                        when c.run_at > clock_timestamp() then 'scheduled' else 'ready' end = any (%(states)s::text[]))
                  and (not %(contents)s::boolean or exists (
                        select from pgqueue.job_args a
                        where a.id = c.id and a.day = c.args_day and (%(args)s::jsonb is null or a.args @> %(args)s::jsonb)
                          and (%(meta)s::jsonb is null or a.meta @> %(meta)s::jsonb)
                          and (%(group)s::text is null or a.gates ->> 'group' = %(group)s::text))) as fits
    from (
      (select x.id, x.queue, x.task, x.created_at, x.args_day, x.run_at, x.worker_id, row_number() over (order by x.id desc) as n
       from pgqueue.queued_jobs x where not %(up)s::boolean and not %(few)s::boolean and %(key)s::text is null and x.id < %(at)s::bigint
       order by x.id desc limit %(window)s::integer)
      union all
      (select x.id, x.queue, x.task, x.created_at, x.args_day, x.run_at, x.worker_id, row_number() over (order by x.id) as n
       from pgqueue.queued_jobs x where %(up)s::boolean and not %(few)s::boolean and %(key)s::text is null and x.id > %(at)s::bigint
       order by x.id limit %(window)s::integer)
      union all
      (select x.id, x.queue, x.task, x.created_at, x.args_day, x.run_at, x.worker_id, 0
       from pgqueue.queued_jobs x
       where %(few)s::boolean and %(key)s::text is null and x.queue = %(queue)s::text and (x.suspect or not x.suspect)
         and case when %(up)s::boolean then x.id > %(at)s::bigint else x.id < %(at)s::bigint end
       order by case when %(up)s::boolean then x.id else -x.id end limit %(window)s::integer)
      union all
      (select x.id, x.queue, x.task, x.created_at, x.args_day, x.run_at, x.worker_id, 0
       from (select q.queue from keyed q where q.queue is not null
             union all select %(queue)s::text where %(queue)s::text is not null) q
       cross join lateral (select k.job_id from pgqueue.job_keys k where k.queue = q.queue and k.key = %(key)s::text offset 0) k
       join pgqueue.queued_jobs x on x.id = k.job_id
       where %(key)s::text is not null and case when %(up)s::boolean then x.id > %(at)s::bigint else x.id < %(at)s::bigint end
       order by case when %(up)s::boolean then x.id else -x.id end)
    ) c
  ) w
  where w.fits or w.n = %(window)s::integer
  limit %(most)s::integer
)
select f.fits as hit, f.ended, j.id, j.task, j.queue,
       case when j.worker_id is not null then 'running' when j.run_at = 'infinity' then 'blocked' when j.run_at > clock_timestamp() then 'scheduled' else 'ready' end as state,
       j.priority, j.key, j.attempt, j.max_attempts, nullif(j.run_at, 'infinity') as run_at, j.created_at, j.started_at, null::timestamptz as finished_at, j.worker_id
from found f
join pgqueue.queued_jobs j on j.id = f.id
order by j.id desc
