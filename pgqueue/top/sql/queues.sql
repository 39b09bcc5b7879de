-- Each queue: its depth, and what came of attempts in each of the last 30 whole minutes, oldest first; rates are means of the last 5 of them.
with minutes as (
  select m.at, row_number() over (order by m.at desc) <= 5 as recent
  from generate_series(date_trunc('minute', clock_timestamp()) - interval '30 minutes', date_trunc('minute', clock_timestamp()) - interval '1 minute',
                       interval '1 minute') m (at)
), ended as (
  select s.queue, s.minute, sum(s.succeeded)::bigint as done, sum(s.failed + s.dead + s.lost)::bigint as failed
  from pgqueue.statistics s
  where s.minute >= (select min(m.at) from minutes m) and s.minute < date_trunc('minute', clock_timestamp())
  group by s.queue, s.minute
)
select d.queue, d.paused, d.scheduled, d.blocked, d.ready, d.running, d.dead, d.estimated,
       extract(epoch from d.oldest_due_age)::double precision as lag_seconds,
       t.done_per_minute, t.failed_per_minute, t.history
from pgqueue.depths() d
cross join lateral (
  select coalesce(sum(e.done) filter (where m.recent), 0)::double precision / 5 as done_per_minute,
         coalesce(sum(e.failed) filter (where m.recent), 0)::double precision / 5 as failed_per_minute,
         array_agg(coalesce(e.done, 0) order by m.at) as history
  from minutes m
  left join ended e on e.queue = d.queue and e.minute = m.at
) t
order by d.queue
