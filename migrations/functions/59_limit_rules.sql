-- What is wrong with a limit's rule, null when nothing is. A grant counts at least a microsecond, the resolution of a timestamp, and an
-- empty bucket is full again within 3650 days: beyond that the claims of the queue would overflow, whoever looks at the rule.
create function pgqueue.limit_rule_error(name text, rate double precision, per interval, burst integer, concurrency integer) returns text
language sql immutable
return case
  when octet_length(name) between 1 and 200 is not true then format('limit: the name must have 1 to 200 bytes, got %s', coalesce(octet_length(name), 0))
  when num_nonnulls(rate, concurrency) = 0 then format('limit %L: give a rate or a concurrency, or both', name)
  when not (rate > 0 and rate < 'infinity') then format('limit %L: rate must be positive, got %s', name, rate)
  when per is null or per <= '0' or per > interval '366 days' then format('limit %L: per must be positive and at most 366 days, got %s', name, per)
  when burst is not null and rate is null then format('limit %L: burst belongs to a rate', name)
  when burst < 1 then format('limit %L: burst must be at least 1, got %s', name, burst)
  when rate > 1e6 * extract(epoch from per)::float8 then format('limit %L: rate must be at most 1000000 a second, which is as good as none; got %s per %s', name, rate, per)
  when coalesce(burst, 1) * extract(epoch from per)::float8 > rate * 3650 * 86400 then
    format('limit %L: a rate of %s per %s takes more than 3650 days to grant %s; raise it', name, rate, per, coalesce(burst, 1))
  when concurrency < 1 then format('limit %L: concurrency must be at least 1, got %s', name, concurrency)
end;

-- Makes a limit, or gives an existing one this rule: an argument left out is its default, not what it was. Returns created, changed or
-- unchanged. The rule holds at once: who waits for the old one is due now, in its old order. What runs goes on; it counts if the old
-- rule counted it. Raises PQ004. Locks: the rule's row, then as release_line. A death leaves all of it or nothing.
--   rate, per    so many grants per interval, for each key by itself       burst  how many at once; null: a tenth of a second's, at least 1
--   concurrency  at most so many running jobs, for each key by itself
create function pgqueue.set_limit(name text, rate double precision default null, per interval default '1 s', burst integer default null,
  concurrency integer default null) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
  return pgqueue.save_limit(name, rate, per, burst, concurrency, null);
end $$;

-- The common part of set_limit and declare_limits. `declared` is what the code says, null for an operator's edit.
create function pgqueue.save_limit(name text, rate double precision, per interval, burst integer, concurrency integer, declared jsonb) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  _at constant timestamptz := clock_timestamp();
  _error constant text := pgqueue.limit_rule_error(name, rate, per, burst, concurrency);
  _old pgqueue.limit_rules;
begin
  if _error is not null then
    raise exception using errcode = 'PQ004', message = _error;
  end if;
  loop
    insert into pgqueue.limit_rules (name, rate, per, burst, concurrency, declared, changed_at)
    values (name, rate, per, burst, concurrency, declared, _at) on conflict do nothing;
    if found then
      perform pgqueue.release_line('limit', name, _at);
      return 'created';
    end if;
    select r.* into _old from pgqueue.limit_rules r where r.name = save_limit.name for update;
    exit when found;  -- else it was dropped in between
  end loop;
  if _old.declared = declared then
    return 'unchanged';  -- an operator's edit since then stays
  end if;
  if (_old.rate, _old.per, _old.burst, _old.concurrency) is not distinct from (rate, per, burst, concurrency) then
    update pgqueue.limit_rules r set declared = save_limit.declared where r.name = save_limit.name and save_limit.declared is not null;
    return 'unchanged';
  end if;
  update pgqueue.limit_rules r
  set rate = save_limit.rate, per = save_limit.per, burst = save_limit.burst, concurrency = save_limit.concurrency,
      declared = coalesce(save_limit.declared, r.declared), changed_at = _at
  where r.name = save_limit.name;
  perform pgqueue.release_line('limit', name, _at);
  return 'changed';
end $$;

-- Takes the limits that the code declares, an array of {name, rate, per, burst, concurrency}; returns those that are new or changed. A declaration
-- that the code has not changed since changes nothing, so an operator's edit outlives restarts. In the order of their names, so that
-- workers that start together do not deadlock. Raises PQ004. Locks: as set_limit.
create function pgqueue.declare_limits(definitions jsonb) returns table (name text, verdict text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  _rule jsonb;
begin
  for _rule in select d from jsonb_array_elements(definitions) d order by d ->> 'name' collate "C" loop
    name := _rule ->> 'name';
    verdict := pgqueue.save_limit(name, (_rule ->> 'rate')::double precision, coalesce((_rule ->> 'per')::interval, '1 s'),
                                  (_rule ->> 'burst')::integer, (_rule ->> 'concurrency')::integer, _rule);
    if verdict <> 'unchanged' then
      return next;
    end if;
  end loop;
end $$;

-- Removes a limit; returns whether there was one. Jobs that name it are held until somebody sets it again; code that still declares it does so
-- when its worker starts. Locks: as set_limit.
create function pgqueue.drop_limit(name text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  delete from pgqueue.limit_rules r where r.name = drop_limit.name;
  if not found then
    return false;
  end if;
  perform pgqueue.release_line('limit', drop_limit.name, clock_timestamp());
  return true;
end $$;

-- Lets everybody go who stands in line for a limit or for shares of a queue: they are due now, in their old order, and are judged anew
-- when they are claimed. A job due earlier stays so. The times that a rate has given out are forgotten.
-- Locks: the lanes by key, waiting (claims only try them; settles take them in the same order); the jobs by id; then their lines.
create function pgqueue.release_line(kind text, name text, at timestamptz) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _ids bigint[];
begin
  perform from pgqueue.lanes l where l.kind = release_line.kind and l.name = release_line.name order by l.key for update;
  update pgqueue.lanes l set slot = null where l.kind = release_line.kind and l.name = release_line.name and l.slot is not null;
  _ids := array(
    select j.id from pgqueue.queued_jobs j
    where j.id in (select w.job_id from pgqueue.lane_waits w where w.kind = release_line.kind and w.name = release_line.name)
    order by j.id for update);
  update pgqueue.queued_jobs j set run_at = at where j.id = any (_ids) and j.worker_id is null and j.run_at > at;
  delete from pgqueue.lane_waits w where w.kind = release_line.kind and w.name = release_line.name and w.job_id = any (_ids);
  perform pgqueue.wake(q.queue) from (select distinct j.queue from pgqueue.queued_jobs j where j.id = any (_ids)) q;
  return cardinality(_ids);
end $$;

-- Lets those go who stand in a line that nobody serves: the queue is not fair any more, or the limit counts no permits any more, and
-- their transaction could not see that yet. Called by every worker now and then; looks at one row a line. Locks: as release_line.
create function pgqueue.sweep_lines() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _line record;
  _released bigint := 0;
begin
  for _line in
    with recursive lines as (
      (select w.kind, w.name from pgqueue.lane_waits w where w.kind <> 'group' order by w.kind, w.name limit 1)
      union all
      select n.kind, n.name from lines l cross join lateral (
        select w.kind, w.name from pgqueue.lane_waits w where w.kind <> 'group' and (w.kind, w.name) > (l.kind, l.name)
        order by w.kind, w.name limit 1) n
    )
    select l.kind, l.name from lines l
    where l.kind = 'fair' and not exists (select from pgqueue.queue_policies p where p.queue = l.name and p.fair)
       or l.kind = 'limit' and not exists (select from pgqueue.limit_rules r where r.name = l.name)
    order by l.kind, l.name
  loop
    _released := _released + pgqueue.release_line(_line.kind, _line.name, clock_timestamp());
  end loop;
  return _released;
end $$;
