-- The schedules that are due, or will be within a second, the longest due first, with the clock (or the time that a demo asks for) and
-- how long each still waits. Times are microseconds since 1970, whatever the session's time zone; a plain read, no locks.
with clock as materialized (select coalesce(%(as_of)s::timestamptz, clock_timestamp()) as now)
select s.name, s.cron, (extract(epoch from s.every) * 1000000)::bigint, s.timezone, s.missed, s.missed_limit,
       (extract(epoch from s.since) * 1000000)::bigint, (extract(epoch from s.next_at) * 1000000)::bigint,
       (extract(epoch from (select now from clock)) * 1000000)::bigint,
       coalesce(extract(epoch from coalesce(s.retry_at, s.next_at) - (select now from clock)), 0)::double precision
from pgqueue.job_schedules s
where s.paused_at is null and coalesce(s.retry_at, s.next_at, '-infinity') <= (select now + interval '1 s' from clock)
order by coalesce(s.retry_at, s.next_at, '-infinity') limit 100
