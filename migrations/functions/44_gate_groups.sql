-- The group gate of one queue: which of these due jobs, whose rows the caller has locked, have their group's turn (invariant I8: one at
-- a time, the lowest id among those visible and due). Who has no turn is parked in the group's line; where the lane is busy right
-- now the job stays as it is, and the claim says that it has to look again soon. Returns the ids that may go on; those without a group do, and the first in the
-- line of a free lane does, even if it was not asked about.
-- Locks: the lanes' rows in the order of the primary key, only those that it can have at once; it never waits.
create function pgqueue.gate_groups(ids bigint[], queue text, at timestamptz, room integer) returns bigint[]
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _ids bigint[];
  _keys text[];
  _locked text[] := '{}';
  _ok bigint[];
  _key text;
  _free boolean;
begin
  select array_agg(j.id), array_agg(a.gates ->> 'group') into _ids, _keys
  from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
  where j.id = any (ids) and a.gates ? 'group'
    and not exists (select from pgqueue.permits p where p.job_id = j.id and p.kind = 'group');
  if _ids is null then
    return ids;
  end if;
  _ok := array(select i from unnest(ids) i where i <> all (_ids));
  perform pgqueue.make_lane('group', queue, k) from (select distinct k from unnest(_keys) k order by k) k;
  for _key in
    select l.key from pgqueue.lanes l
    where l.kind = 'group' and l.name = gate_groups.queue and l.key = any (_keys)
    order by l.key
    for update skip locked
  loop
    _locked := _locked || _key;
    _free := not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = gate_groups.queue and p.key = _key);
    continue when _free and cardinality(_ok) >= room;  -- it could start and there is no room for it: it stays where it is
    perform pgqueue.park(array(select c.id from unnest(_ids, _keys) as c (id, key) where c.key = _key), 'group', queue, _key);
    if _free then
      _ok := _ok || array_remove(array[pgqueue.hand_on(queue, _key, at, false)], null);
    end if;
  end loop;
  if exists (select from unnest(_keys) k where k <> all (_locked)) then
    perform set_config('pgq.busy', at::text, true);
  end if;
  return _ok;
end $$;
