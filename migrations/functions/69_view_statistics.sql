-- What attempts came to, by the minute in which they ended: the view `attempts` counted up, but for the newest seconds (fold_statistics says what
-- else can be missing). Buckets are counts by bucket_bounds(), not cumulative, the last one open. 7 days.
create view pgqueue.statistics as
select m.minute, m.queue, m.task, m.succeeded, m.failed, m.dead, m.cancelled, m.lost, m.snoozed, m.released,
       m.wait_seconds, m.wait_buckets, m.run_seconds, m.run_buckets
from pgqueue.statistics_minutes m;

-- The same since the installation of 0.2 (or of this schema, when later): counters, which only grow. A queue that nothing came to for 30 days is
-- left out, as a whole, once no living worker serves it; should it come again, it begins at 0, as counters do that were reset.
create view pgqueue.statistics_totals as
select s.queue, s.task, s.succeeded, s.failed, s.dead, s.cancelled, s.lost, s.snoozed, s.released,
       s.wait_seconds, s.wait_buckets, s.run_seconds, s.run_buckets
from pgqueue.statistics_sums s;

-- How deep each queue was, a sample a minute, of queues that had something in them then or a minute before. 7 days.
create view pgqueue.depth_history as
select d.minute, d.queue, d.scheduled, d.blocked, d.ready, d.running, d.dead, d.oldest_due_seconds, d.estimated
from pgqueue.depth_minutes d;

-- All queues together: what attempts came to, failed, dead and lost as one, and how long the oldest due job had waited, null where no depth was
-- noted. A row a minute. 7 days.
create view pgqueue.overall_history as
select m.minute, m.succeeded, m.failed, m.lag_seconds
from pgqueue.overall_minutes m;
