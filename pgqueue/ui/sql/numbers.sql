-- Throughput, failures (a minute) and lag (seconds) of all queues over a span, in steps: at is the beginning of each in seconds of the Unix
-- time. A step that is not over yet is left out. Lag is null where no depth was noted.
with steps as (
  select g.at
  from generate_series(date_bin(%(step)s::interval, now() - %(span)s::interval, 'epoch'), now() - %(step)s::interval, %(step)s::interval) g(at)
), ended as (
  select date_bin(%(step)s::interval, s.minute, 'epoch') as at, sum(s.succeeded) as done, sum(s.failed + s.dead + s.lost) as failed
  from pgqueue.statistics s
  where s.minute >= date_bin(%(step)s::interval, now() - %(span)s::interval, 'epoch')
  group by 1
), waited as (
  select date_bin(%(step)s::interval, h.minute, 'epoch') as at, max(coalesce(h.oldest_due_seconds, 0)) as lag
  from pgqueue.depth_history h
  where h.minute >= date_bin(%(step)s::interval, now() - %(span)s::interval, 'epoch')
  group by 1
)
select extract(epoch from s.at)::bigint as at,
       (coalesce(e.done, 0) / (extract(epoch from %(step)s::interval) / 60))::double precision as throughput,
       (coalesce(e.failed, 0) / (extract(epoch from %(step)s::interval) / 60))::double precision as failures,
       w.lag::double precision as lag
from steps s
left join ended e on e.at = s.at
left join waited w on w.at = s.at
order by s.at
