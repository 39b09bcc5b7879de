-- Worker processes: alive, stuck (an alive one may be), and what the living run.
select count(*) filter (where w.alive) as alive, count(*) filter (where w.stuck is not null) as stuck,
       coalesce(sum(w.running) filter (where w.alive), 0) as running, coalesce(sum(w.concurrency) filter (where w.alive), 0) as slots
from pgqueue.workers w
