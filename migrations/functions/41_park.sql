-- Parks waiting jobs, whose rows the caller has locked, until their turn on a lane, in whose line they stand from now on.
-- Invariant I14: the caller holds the lane's row, or the line is only read under it. Locks: nothing that is not locked.
create function pgqueue.park(ids bigint[], kind text, name text, key text) returns void
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
begin
  insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
  select park.kind, park.name, park.key, case when park.kind = 'group' then 0 else j.priority end, j.id
  from pgqueue.queued_jobs j where j.id = any (ids)
  on conflict do nothing;
  update pgqueue.queued_jobs j set run_at = 'infinity' where j.id = any (ids);
end $$;
