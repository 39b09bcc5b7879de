-- The overall numbers: jobs by state, dead letters, rates a minute and waits and run times by bucket over the last 5 minutes, workers.
with depth as (
  select coalesce(sum(d.scheduled), 0)::bigint as scheduled, coalesce(sum(d.blocked), 0)::bigint as blocked, coalesce(sum(d.ready), 0)::bigint as ready,
         coalesce(sum(d.running), 0)::bigint as running, coalesce(sum(d.dead), 0)::bigint as dead, max(d.oldest_due_age) as oldest_due_age,
         coalesce(bool_or(d.estimated), false) as estimated
  from pgqueue.depths() d
), history as (
  select coalesce(sum(h.succeeded), 0)::bigint as succeeded, coalesce(sum(h.cancelled), 0)::bigint as cancelled, coalesce(bool_or(h.estimated), false) as estimated
  from pgqueue.history_depths() h
), recent as materialized (
  select s.succeeded, s.failed, s.lost, s.dead, s.wait_buckets, s.run_buckets,
         least(1, date_part('epoch', s.minute + interval '6 minutes' - now()) / 60)::numeric as weight  -- of the minute that was partly within
  from pgqueue.statistics s where s.minute > now() - interval '6 minutes'
)
select d.scheduled, d.blocked, d.ready, d.running, d.dead, d.ready + d.running as backlog, d.oldest_due_age, d.estimated,
       h.succeeded, h.cancelled, h.estimated as history_estimated,
       (select round(coalesce(sum(r.succeeded * r.weight), 0) / 5.0, 1) from recent r) as throughput,
       (select round(coalesce(sum((r.failed + r.lost + r.dead) * r.weight), 0) / 5.0, 1) from recent r) as failures,
       (select count(*) from pgqueue.workers w where w.alive) as workers,
       pgqueue.bucket_bounds() as bounds,
       array(select sum(x.n)::bigint from recent r, unnest(r.wait_buckets) with ordinality as x (n, place) group by x.place order by x.place) as wait_buckets,
       array(select sum(x.n)::bigint from recent r, unnest(r.run_buckets) with ordinality as x (n, place) group by x.place order by x.place) as run_buckets
from depth d, history h
