-- Failovers that workers noticed in the last days and nobody has dismissed. lost_bytes: of the log that workers had seen acknowledged.
select f.system_identifier, f.timeline, f.old_timeline, f.noticed_at at time zone 'UTC' as noticed_at, f.seen_at at time zone 'UTC' as seen_at,
  f.kept_at at time zone 'UTC' as kept_at, (f.seen_lsn - f.begins_lsn)::bigint as lost_bytes
from pgqueue.failovers f
where f.dismissed_at is null and f.noticed_at > clock_timestamp() - make_interval(days => %(days)s)
order by f.noticed_at
