-- The gate of limits: gives each of these due jobs, whose rows the caller has locked, the permits and the budget of all its limits, or
-- none of them (I9); to at most `room` of them. Who waits for a permit is parked in its line, by priority and id. Who waits for a
-- rate is told when to come back, which is the time of its place in the line: nobody who comes later overtakes it. Neither is
-- looked at again until then. A limit that nobody has defined holds its jobs, looked at once a second.
-- Rate: the generic cell rate algorithm (ITU-T I.371, as a virtual scheduler): `tat` is when a bucket of `burst` would be full again;
-- a grant of weight w moves it by w * per / rate and is allowed while it stays within burst * per / rate of now. So no window of
-- length t sees more than burst + t * rate / per, also when steps that began earlier come later.
-- The lanes are locked, read once, counted in memory and written once. A limit's rule is read once its lane is locked, by a statement of its own, whose snapshot
-- is younger than the lock: set_limit changes the rule and then waits for all lanes, so who gets a lane after its commit goes by the new rule, and who had it
-- before has committed before. A lane that is made here set_limit cannot see: then the rule's row is locked for it (a try; once a key, not once a claim).
-- Locks: lanes in the order of limit names within a job, each only if it can be had at once; where one is busy the job stays as it is, and the claim
-- says that it has to look again soon.
create function pgqueue.gate_limits(ids bigint[], queue text, tasks text[], at timestamptz, room integer) returns bigint[]
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _ids bigint[] := ids;
  _ok bigint[] := '{}';
  _names text[] := '{}'; _keys text[] := '{}'; _states text[] := '{}'; _held bigint[] := '{}'; _tat timestamptz[] := '{}'; _slot timestamptz[] := '{}';
  _cells interval[] := '{}'; _bursts integer[] := '{}'; _most integer[] := '{}';
  _permit_ids bigint[] := '{}'; _permit_places integer[] := '{}'; _permit_weights integer[] := '{}';
  _late_ids bigint[] := '{}'; _late_places integer[] := '{}'; _late_weights integer[] := '{}'; _late_why text[] := '{}';
  _job record;
  _lane record;
  _rule record;
  _open boolean;
  _place integer;
  _places integer[];
  _weight integer;
  _stop text;
begin
  _ids := _ids || array(  -- those in line for a rate are served first, in its order: the time they were told is only when to come back
    select l.id
    from (select distinct o.key as name, o.value ->> 'key' as key
          from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
          cross join lateral jsonb_each(a.gates -> 'limits') o join pgqueue.limit_rules r on r.name = o.key and r.rate is not null
          where j.id = any (ids)) lane,
    lateral (select j.id
             from (select w.job_id, w.priority from pgqueue.lane_waits w where w.kind = 'limit' and w.name = lane.name and w.key = lane.key
                   order by w.priority, w.job_id limit 2 * room) w
             join pgqueue.queued_jobs j on j.id = w.job_id
             where j.queue = gate_limits.queue and j.task = any (tasks) and j.worker_id is null and not j.suspect
               and j.id <> all (ids)
             order by w.priority, w.job_id limit room
             for update of j skip locked) l);
  for _job in
    select c.* from (
    select j.id, j.priority, array_agg(o.key order by o.key collate "C") as names,
           array_agg(o.value ->> 'key' order by o.key collate "C") as keys,
           array_agg((o.value ->> 'weight')::integer order by o.key collate "C") as weights,
           array_agg(exists (select from pgqueue.lane_waits w where w.job_id = j.id and w.kind = 'limit' and w.name = o.key
                               and w.key = o.value ->> 'key') order by o.key collate "C") as in_line
    from pgqueue.queued_jobs j
    join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
    cross join lateral jsonb_each(a.gates -> 'limits') o
    where j.id = any (_ids)
    group by j.id) c
    where c.id = any (ids) or true = any (c.in_line)  -- who was looked up in a line and replaced before its row was had is there no more
    order by c.priority, true = any (c.in_line) desc, c.id
  loop
    exit when cardinality(_ok) >= room;
    _stop := null;
    _places := '{}';
    for _i in 1 .. cardinality(_job.names) loop
      select p.place into _place from unnest(_names, _keys) with ordinality as p (name, key, place)
      where p.name = _job.names[_i] and p.key = _job.keys[_i];
      if not found then
        _names := _names || _job.names[_i];
        _keys := _keys || _job.keys[_i];
        _place := cardinality(_names);
        select l.held, l.tat, l.slot into _lane from pgqueue.lanes l
        where l.kind = 'limit' and l.name = _names[_place] and l.key = _keys[_place] for update skip locked;
        _open := found;
        if not found and not exists (select from pgqueue.lanes l where l.kind = 'limit' and l.name = _names[_place] and l.key = _keys[_place]) then
          perform from pgqueue.limit_rules r where r.name = _names[_place] for share skip locked;
          if found then
            perform pgqueue.make_lane('limit', _names[_place], _keys[_place]);
            select l.held, l.tat, l.slot into _lane from pgqueue.lanes l
            where l.kind = 'limit' and l.name = _names[_place] and l.key = _keys[_place] for update skip locked;
            _open := found;
          end if;
        end if;
        select r.concurrency, r.per / r.rate as cell, coalesce(r.burst, pgqueue.default_burst(r.rate, r.per)) as burst into _rule
        from pgqueue.limit_rules r where r.name = _names[_place];
        _states[_place] := case when not found then 'unknown' when _open then 'open' else 'busy' end;
        _held[_place] := case when _open then _lane.held else 0 end;  -- every array has every place: they are unnested side by side
        _tat[_place] := case when _open then _lane.tat end;
        _slot[_place] := case when _open then _lane.slot end;
        _cells[_place] := _rule.cell;
        _bursts[_place] := _rule.burst;
        _most[_place] := _rule.concurrency;
      end if;
      _places := _places || _place;
      _weight := least(_job.weights[_i], _most[_place]);
      if _states[_place] = 'open' and _held[_place] + _weight > _most[_place] then
        _states[_place] := 'full';
      elsif _states[_place] = 'open'
            and greatest(_tat[_place], at) + _cells[_place] * (least(_job.weights[_i], _bursts[_place]) - _bursts[_place]) > at then
        _states[_place] := 'dated';
      end if;
      _stop := nullif(_states[_place], 'open');
      if _stop is null and _slot[_place] > at and not _job.in_line[_i] then
        _stop := 'dated';
      end if;
      exit when _stop is not null;
    end loop;
    if _stop is null then
      _ok := _ok || _job.id;
      for _i in 1 .. cardinality(_places) loop
        if _most[_places[_i]] is not null then
          _weight := least(_job.weights[_i], _most[_places[_i]]);
          _held[_places[_i]] := _held[_places[_i]] + _weight;
          _permit_ids := _permit_ids || _job.id;
          _permit_places := _permit_places || _places[_i];
          _permit_weights := _permit_weights || _weight;
        end if;
        if _cells[_places[_i]] is not null then
          _tat[_places[_i]] := greatest(_tat[_places[_i]], at) + _cells[_places[_i]] * least(_job.weights[_i], _bursts[_places[_i]]);
        end if;
      end loop;
    else
      continue when _stop = 'busy' or _job.id <> all (ids);  -- who was only looked up in the line stays as he is
      _late_ids := _late_ids || _job.id;
      _late_places := _late_places || _place;
      _late_weights := _late_weights || _job.weights[cardinality(_places)];
      _late_why := _late_why || case when _stop = 'dated' and _job.in_line[cardinality(_places)] then 'again' else _stop end;
    end if;
  end loop;

  if 'busy' = any (_states) then
    perform set_config('pgq.busy', at::text, true);
  end if;
  delete from pgqueue.lane_waits w where w.kind = 'limit' and w.job_id = any (_ok);
  insert into pgqueue.permits (job_id, kind, name, key, weight, granted_at)
  select p.id, 'limit', _names[p.place], _keys[p.place], p.weight, at
  from unnest(_permit_ids, _permit_places, _permit_weights) as p (id, place, weight);
  insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
  select 'limit', _names[t.place], _keys[t.place], j.priority, t.id
  from unnest(_late_ids, _late_places, _late_why) as t (id, place, why) join pgqueue.queued_jobs j on j.id = t.id
  where t.why in ('full', 'dated')
  on conflict do nothing;
  with told as (
    select t.id, t.place,
           case t.why
             when 'full' then 'infinity'
             when 'again' then greatest(_tat[t.place], at) - _cells[t.place] * _bursts[t.place]
                               + _cells[t.place] * sum(t.weight) over (partition by t.place, t.why order by t.number)
             when 'dated' then greatest(_slot[t.place], greatest(_tat[t.place], at) - _cells[t.place] * _bursts[t.place])
                               + _cells[t.place] * sum(t.weight) over (partition by t.place, t.why order by t.number)
             else at + interval '1 s'
           end as run_at, t.why
    from unnest(_late_ids, _late_places, _late_weights, _late_why) with ordinality as t (id, place, weight, why, number)
  ), dated as (
    update pgqueue.queued_jobs j set run_at = t.run_at from told t where j.id = t.id
  )
  update pgqueue.lanes l
  set held = p.held, tat = p.tat,
      slot = greatest(p.slot, (select max(t.run_at) from told t where t.place = p.place and t.why = 'dated'))
  from unnest(_names, _keys, _held, _tat, _slot, _states) with ordinality as p (name, key, held, tat, slot, state, place)
  where l.kind = 'limit' and l.name = p.name and l.key = p.key and p.state not in ('busy', 'unknown');
  return _ok;
end $$;

-- The bucket of a rate that says nothing of its burst: what it grants in a tenth of a second, at least one.
create function pgqueue.default_burst(rate double precision, per interval) returns integer
language sql immutable parallel safe
return greatest(1, ceil(rate / extract(epoch from per) / 10))::integer;
