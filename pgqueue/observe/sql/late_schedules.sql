-- Schedules that should have ticked so many seconds ago, or that cannot tick; and whether a worker is alive, as any one ticks.
select s.name, left(s.error, 200) as error, extract(epoch from clock_timestamp() - s.next_at)::double precision as late,
  exists (select from pgqueue.workers w where w.alive) as alive
from pgqueue.schedules s
where not s.paused and (s.error is not null or s.next_at < clock_timestamp() - make_interval(secs => %(seconds)s))
order by s.next_at nulls first, s.name
