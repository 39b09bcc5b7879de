-- How far behind the statistics are, and for how long workers that fold them have been there; null: there are none.
select extract(epoch from clock_timestamp() - greatest(s.folded_to, '2000-01-01'))::double precision as behind_seconds,
  (select extract(epoch from clock_timestamp() - min(w.started_at))::double precision from pgqueue.workers w where w.alive and w.version is not null) as worked_seconds
from pgqueue.statistics_state s
