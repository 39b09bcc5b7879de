-- The due jobs of a queue with aging, best first: each `aging` of waiting counts as one priority higher, so that no priority starves.
-- Takes the oldest of every priority, orders them, and locks as many as wanted, passing by locked ones.
create function pgqueue.oldest_due(queue text, tasks text[], max_jobs integer, priorities smallint[], at timestamptz, aging interval)
returns table (tid tid, id bigint, gated boolean)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _tids tid[];
begin
  _tids := array(
    select k.tid from unnest(priorities) as m (priority),
    lateral (select q.ctid as tid, q.run_at, q.id from pgqueue.queued_jobs q
             where q.queue = oldest_due.queue and q.priority = m.priority and not q.suspect and q.worker_id is null
               and q.run_at <= at and q.task = any (tasks)
             order by q.run_at, q.id limit 2 * max_jobs) k
    order by m.priority - extract(epoch from at - k.run_at) / extract(epoch from aging), k.run_at, k.id limit 2 * max_jobs);
  return query
  select q.ctid, q.id, q.gated from unnest(_tids) with ordinality as t (tid, place) join pgqueue.queued_jobs q on q.ctid = t.tid
  where q.worker_id is null order by t.place limit max_jobs for update of q skip locked;
end $$;
