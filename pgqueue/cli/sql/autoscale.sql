-- What `pgq autoscale` goes by, in one row: the depth of the queues now (of all, or of those named; paused ones left out), the living workers that
-- serve one of them with their slots, and of each of the last full minutes, the newest first, how many attempts ended and for how long they ran
-- (those handed back have not ended). No locks; pgqueue.depths() bounds the cost.
with depth as (
  select coalesce(sum(d.ready), 0)::bigint as ready, coalesce(sum(d.running), 0)::bigint as running,
         coalesce(extract(epoch from max(d.oldest_due_age)), 0)::double precision as lag, coalesce(bool_or(d.estimated), false) as estimated
  from pgqueue.depths() d where not d.paused and (%(queues)s::text[] is null or d.queue = any (%(queues)s::text[]))
), crew as (
  select count(*)::integer as workers, coalesce(sum(w.concurrency), 0)::integer as slots
  from pgqueue.workers w where w.alive and (%(queues)s::text[] is null or w.queues && %(queues)s::text[])
), minutes as (
  select g.minute, coalesce(sum(s.succeeded + s.failed + s.dead + s.cancelled + s.lost + s.snoozed), 0)::bigint as ended,
         coalesce(sum(s.run_seconds), 0)::double precision as run_seconds
  from generate_series(date_trunc('minute', now()) - make_interval(mins => %(minutes)s::integer), date_trunc('minute', now()) - interval '1 minute',
                       interval '1 minute') g (minute)
  left join pgqueue.statistics s on s.minute = g.minute and (%(queues)s::text[] is null or s.queue = any (%(queues)s::text[]))
  group by g.minute
)
select d.ready, d.running, d.lag, d.estimated, c.workers, c.slots,
       array(select m.ended from minutes m order by m.minute desc) as ended, array(select m.run_seconds from minutes m order by m.minute desc) as run_seconds
from depth d, crew c
