-- The last hour of a queue, minute by minute, oldest first: successes, failures, and how many waited.
select m.minute, coalesce(s.succeeded, 0) as succeeded, coalesce(s.failed, 0) as failed, coalesce(h.ready, 0) as ready, coalesce(h.lag, 0) as lag
from generate_series(date_trunc('minute', now()) - interval '59 minutes', date_trunc('minute', now()), interval '1 minute') m (minute)
left join (
  select x.minute, sum(x.succeeded) as succeeded, sum(x.failed) + sum(x.dead) + sum(x.lost) as failed
  from pgqueue.statistics x where x.queue = %(queue)s::text and x.minute > now() - interval '61 minutes' group by x.minute
) s on s.minute = m.minute
left join (
  select x.minute, max(x.ready) as ready, max(x.oldest_due_seconds) as lag
  from pgqueue.depth_history x where x.queue = %(queue)s::text and x.minute > now() - interval '61 minutes' group by x.minute
) h on h.minute = m.minute
order by m.minute
