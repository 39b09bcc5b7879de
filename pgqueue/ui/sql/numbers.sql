-- Throughput, failures (a minute) and lag (seconds) of all queues over a span, in steps: at is the beginning of each in seconds of the Unix
-- time. A step that is not over yet is left out. Lag is null where no depth was noted.
select extract(epoch from s.at)::bigint as at,
       (coalesce(sum(h.succeeded), 0) / (extract(epoch from %(step)s::interval) / 60))::double precision as throughput,
       (coalesce(sum(h.failed), 0) / (extract(epoch from %(step)s::interval) / 60))::double precision as failures,
       max(h.lag_seconds) as lag
from generate_series(date_bin(%(step)s::interval, now() - %(span)s::interval, 'epoch'), now() - %(step)s::interval, %(step)s::interval) s (at)
left join pgqueue.overall_history h on date_bin(%(step)s::interval, h.minute, 'epoch') = s.at
group by s.at
order by s.at
