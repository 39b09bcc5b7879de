-- What a fleet has to do: due jobs of the queues that it serves (paused ones left out; parked jobs are not due) and the age of the oldest, by
-- pgqueue.depths(), whose cost is bounded; its own slots, and those of other living workers that serve one of these queues. No locks.
-- A fleet is known by its host and the pids of its processes; the queues are those named, else those that these processes serve.
with mine as (
  select w.queues, w.concurrency from pgqueue.workers w where w.alive and w.host = %(host)s and w.pid = any (%(pids)s::integer[])
), served as (
  select unnest(%(queues)s::text[]) as queue union select unnest(m.queues) from mine m where cardinality(%(queues)s::text[]) = 0
)
select coalesce(d.ready, 0)::bigint as ready, coalesce(extract(epoch from d.oldest_due_age), 0)::double precision as lag,
       coalesce(d.estimated, false) as estimated,
       (select coalesce(sum(m.concurrency), 0)::integer from mine m) as slots,
       (select coalesce(sum(w.concurrency), 0)::integer from pgqueue.workers w
        where w.alive and not (w.host = %(host)s and w.pid = any (%(pids)s::integer[])) and w.queues && array(select s.queue from served s)) as other_slots
from (select sum(d.ready) as ready, max(d.oldest_due_age) as oldest_due_age, bool_or(d.estimated) as estimated
      from pgqueue.depths() d join served s on s.queue = d.queue where not d.paused) d
