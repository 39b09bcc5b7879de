-- Schedules in the order of their names, after `after`, with their last ticks, newest first (job null: passed over).
select s.name, s.task, s.cron, s.timezone, s.paused_at is not null as paused, s.last_at, s.next_at, s.every, s.jitter, s.missed, s.missed_limit, s.overlap,
       s.queue, s.priority, s.args, s.last_job_id, s.run_job_id, s.declared is not null as in_code, s.error as problem, t.ticks
from pgqueue.job_schedules s
cross join lateral (
  select coalesce(jsonb_agg(jsonb_build_array(extract(epoch from x.tick_at), x.job_id) order by x.tick_at desc), '[]') as ticks
  from (select y.tick_at, y.job_id from pgqueue.schedule_ticks y where y.schedule = s.name order by y.tick_at desc limit %(ticks)s::integer) x
) t
where (%(after)s::text is null or s.name > %(after)s::text) and (%(name)s::text is null or s.name = %(name)s::text)
order by s.name
limit %(most)s::integer
