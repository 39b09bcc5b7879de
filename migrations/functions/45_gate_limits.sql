-- The gate of limits: gives each of these due jobs, whose rows the caller has locked, the permits and the budget of all its limits, or
-- none of them (I9). Who waits for a permit is parked in its line, by priority and id. Who waits for a rate is told when to come
-- back: the time of its place in the line, and nobody who comes later overtakes it. Neither is looked at again until then.
-- Rate: the generic cell rate algorithm (ITU-T I.371, as a virtual scheduler): `tat` is when a bucket of `burst` would be full again;
-- a grant of weight w moves it by w * per / rate and is allowed while it stays within burst * per / rate of now. So no window of
-- length t sees more than burst + t * rate / per, also when steps that began earlier come later.
-- Locks: lanes in the order of limit names, each only if it can be had at once; where one is busy the job comes back in milliseconds.
create function pgqueue.gate_limits(ids bigint[], at timestamptz, room integer) returns bigint[]
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _ok bigint[] := '{}';
  _full text[] := '{}';
  _job record;
  _need record;
  _lane record;
  _cell interval;
  _tat timestamptz;
  _free timestamptz;
  _stop text;
begin
  for _job in
    select j.id, j.priority, a.gates -> 'limits' as limits
    from pgqueue.queued_jobs j left join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
    where j.id = any (ids) order by j.priority, j.run_at, j.id
  loop
    exit when cardinality(_ok) >= room;
    _stop := null;
    for _need in
      select o.key as name, o.value ->> 'key' as key, (o.value ->> 'weight')::integer as weight, r.rate, r.per, r.burst, r.concurrency
      from jsonb_each(_job.limits) o left join pgqueue.limit_rules r on r.name = o.key order by o.key collate "C"
    loop
      if _need.name || chr(31) || _need.key = any (_full) then
        _stop := 'line';
      elsif _need.rate is null and _need.concurrency is null then
        _stop := 'unknown';  -- nobody has said what the limit is: held until somebody does, looked at once a second
      else
        perform pgqueue.make_lane('limit', _need.name, _need.key);
        select l.held, l.tat, l.slot into _lane from pgqueue.lanes l
        where l.kind = 'limit' and l.name = _need.name and l.key = _need.key for update skip locked;
        if not found then
          _stop := 'busy';
        elsif _lane.held + least(_need.weight, _need.concurrency) > _need.concurrency then
          _stop := 'line';
          _full := _full || (_need.name || chr(31) || _need.key);
        elsif _need.rate is not null then
          _cell := _need.per / _need.rate;
          _tat := greatest(_lane.tat, at) + _cell * least(_need.weight, coalesce(_need.burst, pgqueue.default_burst(_need.rate, _need.per)));
          _free := _tat - _cell * coalesce(_need.burst, pgqueue.default_burst(_need.rate, _need.per));
          if _free > at or _lane.slot > at and not exists (
               select from pgqueue.lane_waits w where w.job_id = _job.id and w.kind = 'limit' and w.name = _need.name and w.key = _need.key) then
            _stop := 'rate';
          end if;
        end if;
      end if;
      exit when _stop is not null;
    end loop;
    if _stop is null then
      _ok := _ok || _job.id;
      perform pgqueue.take_permits(_job.id, _job.limits, at);
    elsif _stop = 'line' then
      perform pgqueue.park(array[_job.id], 'limit', _need.name, _need.key);
    elsif _stop = 'rate' then
      update pgqueue.lanes l set slot = greatest(l.slot + _cell * _need.weight, _free)
      where l.kind = 'limit' and l.name = _need.name and l.key = _need.key returning l.slot into _free;
      perform pgqueue.park(array[_job.id], 'limit', _need.name, _need.key);
      update pgqueue.queued_jobs j set run_at = _free where j.id = _job.id;
    else
      update pgqueue.queued_jobs j set run_at = at + make_interval(secs => case _stop when 'busy' then 0.005 + 0.01 * random() else 1 end)
      where j.id = _job.id;
    end if;
  end loop;
  return _ok;
end $$;

-- The bucket of a rate that says nothing of its burst: what it grants in a tenth of a second, at least one.
create function pgqueue.default_burst(rate double precision, per interval) returns integer
language sql immutable parallel safe
return greatest(1, ceil(rate / extract(epoch from per) / 10))::integer;

-- Takes what gate_limits has found to be free, for a job whose lanes it has locked.
create function pgqueue.take_permits(id bigint, limits jsonb, at timestamptz) returns void
language sql as $$
  with need as (
    select o.key as name, o.value ->> 'key' as key, (o.value ->> 'weight')::integer as weight, r.rate, r.per,
           coalesce(r.burst, pgqueue.default_burst(r.rate, r.per)) as burst, r.concurrency
    from jsonb_each(limits) o join pgqueue.limit_rules r on r.name = o.key
  ), taken as (
    update pgqueue.lanes l
    set held = l.held + coalesce(least(n.weight, n.concurrency), 0),
        tat = case when n.rate is null then l.tat else greatest(l.tat, at) + n.per / n.rate * least(n.weight, n.burst) end
    from need n where l.kind = 'limit' and l.name = n.name and l.key = n.key
  ), held as (
    insert into pgqueue.permits (job_id, kind, name, key, weight, granted_at)
    select take_permits.id, 'limit', n.name, n.key, least(n.weight, n.concurrency), at from need n where n.concurrency is not null
  )
  delete from pgqueue.lane_waits w where w.job_id = take_permits.id and w.kind = 'limit'
$$;
