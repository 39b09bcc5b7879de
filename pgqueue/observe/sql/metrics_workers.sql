-- Worker processes: alive, stuck (silent for longer than their lease, for 5 minutes), what they run.
select count(*) filter (where w.alive) as alive,
       count(*) filter (where not w.alive and w.heartbeat_at > clock_timestamp() - interval '5 min') as stuck,
       coalesce(sum(w.running) filter (where w.alive), 0) as running, coalesce(sum(w.concurrency) filter (where w.alive), 0) as slots
from pgqueue.workers w
