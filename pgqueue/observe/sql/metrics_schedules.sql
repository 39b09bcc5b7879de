-- When each schedule ticked last, and how late its next tick is, in seconds.
select s.name, s.paused, s.error is not null as broken, extract(epoch from s.last_at)::double precision as last_at,
       case when s.paused then 0 else greatest(0, coalesce(extract(epoch from clock_timestamp() - s.next_at), 0)) end::double precision as late_seconds
from pgqueue.schedules s
