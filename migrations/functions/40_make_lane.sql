-- Makes a lane's row if nobody has. Never waits: where somebody else is making it right now, it is left to them, and who looks for the row
-- does not find it yet. Locks: an advisory lock of the lane's name, only if it can be had at once.
create function pgqueue.make_lane(kind text, name text, key text) returns void
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
begin
  if not exists (select from pgqueue.lanes l where l.kind = make_lane.kind and l.name = make_lane.name and l.key = make_lane.key)
     and pg_try_advisory_xact_lock(hashtextextended('pgqueue' || chr(31) || make_lane.kind || chr(31) || make_lane.name || chr(31) || make_lane.key, 20261122)) then
    insert into pgqueue.lanes (kind, name, key) values (make_lane.kind, make_lane.name, make_lane.key) on conflict do nothing;
  end if;
end $$;
