-- A page of flows, newest first, and at most one row more: where the walk along their ids ended because it had counted `nodes` jobs, or seen `window`
-- flows, before it had found a page (ended; whether that one fits, says hit). Each is counted whole, so the last may go beyond the bound.
with recursive walk as (
  select coalesce(%(before)s::bigint, 9223372036854775807) as id, 0 as n, 0 as hits, 0::bigint as counted, false as hit,
         null::text as kind, null::text as name, null::text as state, 0::bigint as total, 0::bigint as succeeded, 0::bigint as failed, 0::bigint as cancelled,
         0::bigint as skipped, 0::bigint as running, 0::bigint as waiting, null::timestamptz as created_at, null::timestamptz as finished_at
  union all
  select f.id, w.n + 1, w.hits + s.hit::integer, w.counted + f.total, s.hit, f.kind, f.name, f.state, f.total, f.succeeded, f.failed, f.cancelled, f.skipped,
         f.running, f.waiting, f.created_at, f.finished_at
  from walk w
  cross join lateral (select x.id from pgqueue.job_flows x where x.id < w.id order by x.id desc limit 1) x
  join pgqueue.flows f on f.id = x.id
  cross join lateral (select %(state)s::text is null or f.state = %(state)s::text as hit) s
  where w.hits < %(limit)s::integer and w.counted < %(nodes)s::bigint and w.n < greatest(%(window)s::integer, %(limit)s::integer)
)
select w.hit, e.ended, w.id, w.kind, w.name, w.state, w.total, w.succeeded, w.failed, w.cancelled, w.skipped, w.running, w.waiting, w.created_at, w.finished_at
from walk w
cross join lateral (
  select w.hits < %(limit)s::integer and w.n = (select max(l.n) from walk l) and exists (select from pgqueue.job_flows y where y.id < w.id) as ended) e
where w.n > 0 and (w.hit or e.ended)
order by w.id desc
