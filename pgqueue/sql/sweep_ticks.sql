-- Forgets ticks that are older than history is kept; whether there may be more.
with swept as (
  delete from pgqueue.schedule_ticks d
  using (select t.schedule, t.tick_at
         from pgqueue.job_schedules s
         cross join lateral (select o.schedule, o.tick_at from pgqueue.schedule_ticks o
                             where o.schedule = s.name and o.tick_at < (select now() - g.retention from pgqueue.settings g)
                             order by o.tick_at limit 10000) t
         limit 10000) old
  where d.schedule = old.schedule and d.tick_at = old.tick_at
  returning 1
)
select count(*) = 10000 from swept
