-- Dead letters of the newest `window`, of a queue or of all, by task and type of error, most first, at most `most` groups; looked_at is how many it saw.
select g.task, g.error, g.jobs, g.first_at, g.last_at, g.last_id, g.looked_at
from (
  select d.task, d.error, count(*) as jobs, min(d.died_at) as first_at, max(d.died_at) as last_at, max(d.id) as last_id, sum(count(*)) over () as looked_at
  from (
    (select x.id, x.task, x.died_at, x.error ->> 'type' as error from pgqueue.dead_jobs x where %(queue)s::text is null order by x.id desc limit %(window)s::integer)
    union all
    (select x.id, x.task, x.died_at, x.error ->> 'type' as error from pgqueue.dead_jobs x where x.queue = %(queue)s::text order by x.id desc limit %(window)s::integer)
  ) d
  group by d.task, d.error
) g
order by g.jobs desc, g.task, g.error
limit %(most)s::integer
