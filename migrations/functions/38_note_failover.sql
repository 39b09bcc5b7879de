-- A worker met another timeline (or cluster) than before: notes it, once per timeline, with the furthest log position that any worker had
-- seen acknowledged on the server before (`lsns` of its last heartbeats there, and when they were). What lies between `begins_lsn` and `seen_lsn` was lost: acknowledged by a server that is gone
-- and never replicated. The first to note it moves the ids a million on: the sequence of a promoted standby may be behind what the
-- old server had issued (it is logged 32 values at a time, and the log may have been lost), and an id that somebody still remembers must
-- not mean another job. Until then, for some moments after the promotion, ids can be issued again: the lease token is what refuses zombies.
-- Returns whether this was the first note. Locks: the row of the timeline.
create function pgqueue.note_failover(system_identifier bigint, timeline integer, old_system bigint, old_timeline integer, lsns pg_lsn[], times timestamptz[])
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _begins pg_lsn := pgqueue.timeline_begin();
  _seen_lsn pg_lsn;
  _seen_at timestamptz;
  _kept_at timestamptz;
  _first boolean;
begin
  insert into pgqueue.failovers (system_identifier, timeline, old_system, old_timeline, noticed_at)
  values (note_failover.system_identifier, note_failover.timeline, note_failover.old_system, note_failover.old_timeline, clock_timestamp())
  on conflict do nothing;
  _first := found;
  select least(f.begins_lsn, _begins), f.seen_lsn, f.seen_at into _begins, _seen_lsn, _seen_at
  from pgqueue.failovers f
  where f.system_identifier = note_failover.system_identifier and f.timeline = note_failover.timeline
  for update;
  select s.lsn, s.at into _seen_lsn, _seen_at
  from (select _seen_lsn, _seen_at union all select u.lsn, u.at from unnest(lsns, times) as u (lsn, at)) s (lsn, at)
  order by s.lsn desc nulls last limit 1;
  select max(u.at) into _kept_at from unnest(lsns, times) as u (lsn, at) where u.lsn <= _begins;
  update pgqueue.failovers f
  set workers = f.workers + 1, begins_lsn = _begins, seen_lsn = _seen_lsn, seen_at = _seen_at, kept_at = greatest(f.kept_at, _kept_at)
  where f.system_identifier = note_failover.system_identifier and f.timeline = note_failover.timeline;
  if _first then
    begin
      perform setval('pgqueue.job_ids', (select s.last_value + 1000000 from pgqueue.job_ids s));
    exception when insufficient_privilege then
      raise log 'pgqueue: not allowed to move the ids on after a failover: some may be issued again';
    end;
  end if;
  return _first;
end $$;
