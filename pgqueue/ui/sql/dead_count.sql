-- How many dead letters fit the filters, of the `window` with the lowest ids; how many of those would stay when they are put back, because another
-- job holds their key (held), or when they are deleted, because a job of their flow waits for their retry (needed); how many were looked at,
-- and the highest id of all.
select count(*) filter (where c.fits) as jobs, count(*) as looked_at, (select max(d.id) from pgqueue.dead_jobs d) as newest,
       count(*) filter (where c.fits and c.key is not null and exists (
         select from pgqueue.job_keys k where k.queue = c.queue and k.key = c.key
           and (k.until is null or k.until > now() or exists (select from pgqueue.queued_jobs j where j.id = k.job_id)))) as held,
       count(*) filter (where c.fits and exists (
         select from pgqueue.flow_links l join pgqueue.flow_nodes n on n.id = l.child_id where l.parent_id = c.id and n.blocked)) as needed
from (
  select x.id, x.queue, x.key, (%(task)s::text is null or x.task = %(task)s::text) and (%(key)s::text is null or x.key = %(key)s::text)
         and (%(error)s::text is null or x.error ->> 'type' = %(error)s::text)
         and (%(since)s::timestamptz is null or x.created_at >= %(since)s::timestamptz)
         and (%(until)s::timestamptz is null or x.created_at < %(until)s::timestamptz)
         and (not %(contents)s::boolean or exists (
               select from pgqueue.job_args a
               where a.id = x.id and a.day = x.args_day and (%(args)s::jsonb is null or a.args @> %(args)s::jsonb)
                 and (%(meta)s::jsonb is null or a.meta @> %(meta)s::jsonb)
                 and (%(group)s::text is null or a.gates ->> 'group' = %(group)s::text))) as fits
  from (
    (select d.id, d.queue, d.key, d.task, d.created_at, d.args_day, d.error from pgqueue.dead_jobs d
     where %(queue)s::text is null order by d.id limit %(window)s::integer)
    union all
    (select d.id, d.queue, d.key, d.task, d.created_at, d.args_day, d.error from pgqueue.dead_jobs d
     where d.queue = %(queue)s::text order by d.id limit %(window)s::integer)
  ) x
) c
