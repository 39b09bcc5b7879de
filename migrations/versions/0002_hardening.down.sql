-- Written by freeze.py: change the parts and freeze again, until it is released.
-- functions/90_privileges.sql
-- Nobody may call our functions by default: PostgreSQL lets PUBLIC execute new ones.
revoke execute on all functions in schema pgqueue from public;
-- functions/73_view_workers.sql
drop view pgqueue.workers;
-- Every worker process, the lost ones of the last day too: alive while its heartbeat is younger than its lease.
create or replace view pgqueue.workers as
select w.id, w.host, w.pid, w.queues, w.tasks, w.concurrency, w.running, w.started_at, w.heartbeat_at,
       w.lost_at is null and w.heartbeat_at + w.lease >= now() as alive
from pgqueue.worker_processes w;
-- functions/59_limit_rules.sql
-- What is wrong with a limit's rule, null when nothing is.
create or replace function pgqueue.limit_rule_error(name text, rate double precision, per interval, burst integer, concurrency integer) returns text
language sql immutable
return case
  when octet_length(name) between 1 and 200 is not true then format('limit: the name must have 1 to 200 bytes, got %s', coalesce(octet_length(name), 0))
  when num_nonnulls(rate, concurrency) = 0 then format('limit %L: give a rate or a concurrency, or both', name)
  when not (rate > 0 and rate < 'infinity') then format('limit %L: rate must be positive, got %s', name, rate)
  when per is null or per <= '0' or per > interval '366 days' then format('limit %L: per must be positive and at most 366 days, got %s', name, per)
  when burst is not null and rate is null then format('limit %L: burst belongs to a rate', name)
  when burst < 1 then format('limit %L: burst must be at least 1, got %s', name, burst)
  when concurrency < 1 then format('limit %L: concurrency must be at least 1, got %s', name, concurrency)
end;

-- Makes a limit, or gives an existing one this rule: an argument left out is its default, not what it was. Returns created, changed or
-- unchanged. The rule holds at once: who waits for the old one is due now, in its old order. What runs goes on; it counts if the old
-- rule counted it. Raises PQ004. Locks: the rule's row, then as release_line. A death leaves all of it or nothing.
--   rate, per    so many grants per interval, for each key by itself       burst  how many at once; null: a tenth of a second's, at least 1
--   concurrency  at most so many running jobs, for each key by itself
create or replace function pgqueue.set_limit(name text, rate double precision default null, per interval default '1 s', burst integer default null,
  concurrency integer default null) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
  return pgqueue.save_limit(name, rate, per, burst, concurrency, null);
end $$;

-- The common part of set_limit and declare_limits. `declared` is what the code says, null for an operator's edit.
create or replace function pgqueue.save_limit(name text, rate double precision, per interval, burst integer, concurrency integer, declared jsonb) returns text
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
create or replace function pgqueue.declare_limits(definitions jsonb) returns table (name text, verdict text)
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
create or replace function pgqueue.drop_limit(name text) returns boolean
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
create or replace function pgqueue.release_line(kind text, name text, at timestamptz) returns bigint
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
create or replace function pgqueue.sweep_lines() returns bigint
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
-- functions/46_gate.sql
-- Which of these due jobs of a queue, whose rows the caller has locked, may be claimed: those that pass all their gates, in the order
-- shares, group, limits; at most `room` of them, so that no permit is granted to a job that is not claimed. The others are parked or
-- dated later, and no claim walks over them until something has changed.
create or replace function pgqueue.gate(ids bigint[], queue text, tasks text[], at timestamptz, room integer) returns bigint[]
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _ids bigint[] := ids;
  _limited bigint[];
begin
  _ids := pgqueue.gate_shares(_ids, queue);
  _ids := pgqueue.gate_groups(_ids, queue, at, room);
  _limited := array(select j.id from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
                    where j.id = any (_ids) and a.gates ? 'limits');
  if _limited <> '{}' then
    _ids := array(select i from unnest(_ids) i where i <> all (_limited)) || pgqueue.gate_limits(_limited, queue, tasks, at, room - cardinality(_ids) + cardinality(_limited));
  end if;
  return _ids[1 : room];
end $$;
-- functions/39_rescue.sql
drop function pgqueue.rescue;
-- Declares workers lost whose heartbeat is older than their lease, ends their listening backends, and hands their jobs on: lost is not
-- failed. Returns a row per lost worker with the number of its jobs that moved. Each worker's jobs are looked for once, unless some
-- were locked by a handler's own transaction: those are left for the next time. One bad row does not stop the others.
-- Locks: lost workers for update, passing by those that are claiming right now; then, under a fresh snapshot, which a claim
-- cannot slip behind, their jobs in id order, passing by those that are locked.
create or replace function pgqueue.rescue() returns table (worker_id bigint, host text, pid integer, jobs bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _worker record;
  _outcomes jsonb;
  _one jsonb;
begin
  for _worker in
    select w.id, w.host, w.pid, w.listener_pid, w.listener_at, w.lost_at
    from pgqueue.worker_processes w
    where not w.rescued and (w.lost_at is not null or w.heartbeat_at + w.lease < clock_timestamp())
    order by w.id
    limit 100
    for update skip locked
  loop
    update pgqueue.worker_processes w set lost_at = coalesce(w.lost_at, clock_timestamp()), listener_pid = null where w.id = _worker.id;
    perform pgqueue.end_listener(_worker.listener_pid, _worker.listener_at);
    select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'lost', 'error', jsonb_build_object(
             'type', 'WorkerLost', 'message', format('worker %s (%s, pid %s) stopped beating %s', _worker.id, _worker.host, _worker.pid,
               case when j.alone then 'while it ran this job alone' else 'while it held this job, perhaps among others' end))))
    into _outcomes
    from (select q.id, q.token, q.alone from pgqueue.queued_jobs q where q.worker_id = _worker.id order by q.id for update skip locked) j;
    begin
      perform pgqueue.ensure_day(clock_timestamp());
      perform pgqueue.settle(_outcomes, clock_timestamp()) where _outcomes is not null;
    exception when others then
      raise warning 'rescue of worker %: % (%); going on job by job', _worker.id, sqlerrm, sqlstate;
      for _one in select o from jsonb_array_elements(_outcomes) o loop
        begin
          perform pgqueue.settle(jsonb_build_array(_one), clock_timestamp());
        exception when others then
          raise warning 'rescue of job %: % (%)', _one ->> 'id', sqlerrm, sqlstate;
        end;
      end loop;
    end;
    update pgqueue.worker_processes w set rescued = not exists (select from pgqueue.queued_jobs q where q.worker_id = _worker.id) where w.id = _worker.id;
    perform pgqueue.wake('') where _outcomes is not null;
    perform pgqueue.wake(q.queue) from (select distinct unnest(w.queues) as queue from pgqueue.worker_processes w where w.id = _worker.id) q;
    worker_id := _worker.id; host := _worker.host; pid := _worker.pid; jobs := coalesce(jsonb_array_length(_outcomes), 0);
    return next;
  end loop;
end $$;
-- functions/38_reconcile.sql
-- gone
drop function pgqueue.reconcile;
-- functions/38_note_failover.sql
-- gone
drop function pgqueue.note_failover;
-- functions/36_register_worker.sql
drop function pgqueue.register_worker;
-- Enters a worker process, with an id drawn at random by the caller. False: the id is taken, draw another.
create or replace function pgqueue.register_worker(id bigint, host text, pid integer, queues text[], tasks text[], concurrency integer, lease interval)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into pgqueue.worker_processes (id, started_at, heartbeat_at, lease, pid, concurrency, host, queues, tasks)
  values (register_worker.id, clock_timestamp(), clock_timestamp(), register_worker.lease, register_worker.pid, register_worker.concurrency,
          register_worker.host, register_worker.queues, register_worker.tasks)
  on conflict do nothing;
  return found;
end $$;
-- functions/34_timeline_begin.sql
-- gone
drop function pgqueue.timeline_begin;
-- functions/34_server_state.sql
-- gone
drop function pgqueue.server_state;
-- functions/12_version_parts.sql
-- gone
drop function pgqueue.version_parts;

-- Takes back what 0002_hardening.tables.sql added.

alter table pgqueue.worker_processes drop column version;
drop table pgqueue.compatibility;
drop table pgqueue.failover_jobs, pgqueue.failovers;
