-- Takes the keys of an array of new jobs whose ids are drawn, and returns the ids: of a job whose key another has, that job's
-- id, negated. Locks: keys in the order of (queue, key), whatever the order of the array.
create function pgqueue.hold_keys(jobs jsonb, ids bigint[], at timestamptz) returns bigint[]
language plpgsql as $$
declare
  _ids bigint[] := ids;
  _new record;
  _holder bigint;
begin
  for _new in
    select g.place, coalesce(g.job ->> 'queue', 'default') as queue, g.job ->> 'key' as key, at + (g.job ->> 'key_period')::interval as until
    from jsonb_array_elements(jobs) with ordinality as g (job, place)
    where g.job ->> 'key' is not null
    order by coalesce(g.job ->> 'queue', 'default') collate "C", (g.job ->> 'key') collate "C", g.place
  loop
    _holder := pgqueue.hold_key(_ids[_new.place], _new.queue, _new.key, _new.until);
    if _holder is not null then
      _ids[_new.place] := -_holder;
    end if;
  end loop;
  return _ids;
end $$;

-- The second half, once the new jobs are stored: applies the policy of each job whose key another has, and returns all ids in the
-- order of the array. Locks: the holders in id order, whatever the order of the array, or two replacing arrays could deadlock.
create function pgqueue.meet_holders(jobs jsonb, ids bigint[], at timestamptz, day date) returns setof bigint
language plpgsql as $$
declare
  _ids bigint[] := ids;
  _place integer;
  _job jsonb;
begin
  for _place in select g.place from unnest(ids) with ordinality as g (id, place) where g.id < 0 order by -g.id, g.place loop
    _job := jobs -> (_place - 1);
    _ids[_place] := pgqueue.meet_holder(
        -ids[_place], _job ->> 'task', coalesce(nullif(_job -> 'args', 'null'), '{}'), coalesce(_job ->> 'queue', 'default'),
        (_job ->> 'priority')::integer, coalesce((_job ->> 'run_at')::timestamptz, at + (_job ->> 'delay')::interval, at),
        _job ->> 'key', coalesce(_job ->> 'key_policy', 'skip'), (_job ->> 'max_attempts')::integer, (_job ->> 'timeout')::interval,
        (_job ->> 'expires_at')::timestamptz, nullif(_job -> 'meta', 'null'), day, format('jobs[%s]: ', _place - 1),
        pgqueue.job_gates(_job ->> 'group_key', _job ->> 'group_retry', nullif(_job -> 'limits', 'null'), _job ->> 'fair_key'));
  end loop;
  return query select unnest(_ids);
end $$;
