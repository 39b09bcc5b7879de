-- A page of dead letters in the order of ids: see jobs_queued. With a queue and no other filter the walk is along the index of queues.
with found as materialized (
  select w.id, w.fits, w.n = %(window)s::integer as ended
  from (
    select c.id, c.n, (%(queue)s::text is null or c.queue = %(queue)s::text) and (%(task)s::text is null or c.task = %(task)s::text)
                  and (%(key)s::text is null or c.key = %(key)s::text)
                  and (%(since)s::timestamptz is null or c.created_at >= %(since)s::timestamptz)
                  and (%(until)s::timestamptz is null or c.created_at < %(until)s::timestamptz)
                  and (%(error)s::text is null or c.error ->> 'type' = %(error)s::text)
                  and (not %(contents)s::boolean or exists (
                        select from pgqueue.job_args a
                        where a.id = c.id and a.day = c.args_day and (%(args)s::jsonb is null or a.args @> %(args)s::jsonb)
                          and (%(meta)s::jsonb is null or a.meta @> %(meta)s::jsonb)
                          and (%(group)s::text is null or a.gates ->> 'group' = %(group)s::text))) as fits
    from (
      (select x.id, x.queue, x.task, x.key, x.created_at, x.args_day, x.error, row_number() over (order by x.id desc) as n
       from pgqueue.dead_jobs x where not %(up)s::boolean and %(queue)s::text is null and x.id < %(at)s::bigint
       order by x.id desc limit %(window)s::integer)
      union all
      (select x.id, x.queue, x.task, x.key, x.created_at, x.args_day, x.error, row_number() over (order by x.id) as n
       from pgqueue.dead_jobs x where %(up)s::boolean and %(queue)s::text is null and x.id > %(at)s::bigint
       order by x.id limit %(window)s::integer)
      union all
      (select x.id, x.queue, x.task, x.key, x.created_at, x.args_day, x.error, row_number() over (order by x.id desc) as n
       from pgqueue.dead_jobs x where not %(up)s::boolean and x.queue = %(queue)s::text and x.id < %(at)s::bigint
       order by x.id desc limit %(window)s::integer)
      union all
      (select x.id, x.queue, x.task, x.key, x.created_at, x.args_day, x.error, row_number() over (order by x.id) as n
       from pgqueue.dead_jobs x where %(up)s::boolean and x.queue = %(queue)s::text and x.id > %(at)s::bigint
       order by x.id limit %(window)s::integer)
    ) c
  ) w
  where w.fits or w.n = %(window)s::integer
  limit %(most)s::integer
)
select f.fits as hit, f.ended, j.id, j.task, j.queue, 'dead' as state, j.priority, j.key, j.attempt, j.max_attempts, j.run_at, j.created_at,
       j.started_at, j.died_at as finished_at, j.worker_id, left(j.error ->> 'type', 200) as error, left(j.error ->> 'message', 1000) as message
from found f
join pgqueue.dead_jobs j on j.id = f.id
order by j.id desc
