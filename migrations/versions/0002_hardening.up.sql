-- Written by freeze.py: change the parts and freeze again, until it is released.
-- Revision 0002: only what the workers of 0.1.0 can live with (new tables, columns with defaults, nothing taken away).

-- Which versions of pgqueue can work on this schema. `oldest_client` is written by migrations alone, when a revision takes away what older
-- versions use; workers read it before they start and when they register (see docs/upgrading.md).
create table pgqueue.compatibility (
  only_row      boolean primary key default true check (only_row),
  oldest_client text    not null
);
insert into pgqueue.compatibility (oldest_client) values ('0.1.0');

-- The worker's version; null: 0.1.0, which did not say.
alter table pgqueue.worker_processes add column version text;
-- What workers noticed when another server answered: a row per timeline that they met after another one. The log between begins_lsn and
-- seen_lsn is lost: a worker had seen it acknowledged, and this timeline begins before it. What was there at kept_at was kept.
create table pgqueue.failovers (
  system_identifier bigint      not null,
  timeline          integer     not null,
  old_system        bigint      not null,
  old_timeline      integer     not null,
  noticed_at        timestamptz not null,
  begins_lsn        pg_lsn,
  seen_lsn          pg_lsn,                -- the furthest that any worker knows of, and when (by the old server's clock)
  seen_at           timestamptz,
  kept_at           timestamptz,
  workers           integer     not null default 0,
  dismissed_at      timestamptz,           -- an operator has seen to it: doctor is silent about it
  primary key (system_identifier, timeline)
);

-- What workers knew of and is gone or undone (function reconcile): gone, undone, again, released.
create table pgqueue.failover_jobs (
  system_identifier bigint  not null,
  timeline          integer not null,
  job_id            bigint  not null,
  worker_id         bigint  not null,
  finding           text    not null,
  primary key (system_identifier, timeline, job_id, worker_id, finding)
);

-- functions/12_version_parts.sql
-- The three numbers of a version of pgqueue, to compare with: 0.2.0 and 0.2.0.dev0 are {0,2,0}. Null, the version that did not say, is
-- {0,1,0}; what is no version is {0,0,0}, older than all.
create function pgqueue.version_parts(version text) returns integer[]
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select (coalesce(string_to_array(substring(coalesce(version, '0.1.0') from '^[0-9]{1,9}(?:[.][0-9]{1,9})*'), '.')::integer[], '{}') || '{0,0,0}')[1:3]
$$;
-- functions/34_server_state.sql
-- Which server answers, and how far its log goes. The identifier is the cluster's, the timeline grows by one with each promotion of a
-- standby, the start tells a restart. Where the server does not tell (some managed services refuse these functions) the parts are null.
-- The timeline is read from the name of the current log file: the control file has the new one only after a checkpoint, minutes later.
-- Read in a statement that also writes, `lsn` is before the end of that transaction: once its commit was acknowledged under synchronous
-- replication, a promoted standby has everything up to there. Takes no locks.
create function pgqueue.server_state(out system_identifier bigint, out timeline integer, out started_at timestamptz, out lsn pg_lsn)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  started_at := pg_postmaster_start_time();
  system_identifier := (select c.system_identifier from pg_control_system() c);
  lsn := pg_current_wal_insert_lsn();
  timeline := ('x' || left(pg_walfile_name(lsn), 8))::bit(32)::integer;
exception when insufficient_privilege or feature_not_supported or undefined_function or object_not_in_prerequisite_state then
  lsn := null; timeline := null;
end $$;
-- functions/34_timeline_begin.sql
-- Where the current timeline begins: up to there this server has the log of the one it was promoted after. From its history file, which
-- only a superuser may read; else from the end of its recovery, which the control file keeps until the first checkpoint; else where the
-- log is now, which is later. Null where the server does not tell. Takes no locks.
create function pgqueue.timeline_begin() returns pg_lsn
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  _name text;
  _found pg_lsn;
begin
  _name := left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
  begin
    select (regexp_match(l, '^\s*\d+\s+([0-9A-F]+/[0-9A-F]+)'))[1]::pg_lsn into _found
    from regexp_split_to_table(pg_read_file('pg_wal/' || _name || '.history', true), '\n') with ordinality as h (l, place)
    where l ~ '^\s*\d+\s+[0-9A-F]+/' order by place desc limit 1;
  exception when insufficient_privilege or feature_not_supported or undefined_function or undefined_file then
    _found := null;
  end;
  return coalesce(_found,
    (select r.min_recovery_end_lsn from pg_control_recovery() r
     where r.min_recovery_end_timeline = ('x' || _name)::bit(32)::integer and r.min_recovery_end_lsn > '0/0'),
    pg_current_wal_insert_lsn());
exception when insufficient_privilege or feature_not_supported or undefined_function or object_not_in_prerequisite_state then
  return null;
end $$;
-- functions/36_register_worker.sql
drop function pgqueue.register_worker;
-- Enters a worker process, with an id drawn at random by the caller. False: the id is taken, draw another. `version` is the caller's pgqueue;
-- null: 0.1.0, which did not say. PQ006: the schema is no longer for that version (I12); nothing is entered.
-- Locks: the new row; waits for a migration that ends the support of a version, which holds the table in share row exclusive mode while it looks who
-- is alive. So the row is entered first and the version looked at afterwards, in a fresh snapshot: either that migration sees the worker,
-- or the worker sees what it wrote. A death right after leaves a worker without jobs, which is lost after its lease.
create or replace function pgqueue.register_worker(id bigint, host text, pid integer, queues text[], tasks text[], concurrency integer, lease interval, version text default null)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  _oldest text;
  _entered boolean;
begin
  insert into pgqueue.worker_processes (id, started_at, heartbeat_at, lease, pid, concurrency, host, queues, tasks, version)
  values (register_worker.id, clock_timestamp(), clock_timestamp(), register_worker.lease, register_worker.pid, register_worker.concurrency,
          register_worker.host, register_worker.queues, register_worker.tasks, register_worker.version)
  on conflict do nothing;
  _entered := found;
  select c.oldest_client into _oldest from pgqueue.compatibility c;
  if pgqueue.version_parts(register_worker.version) < pgqueue.version_parts(_oldest) then
    raise exception using errcode = 'PQ006', message = format('workers of pgqueue %s cannot work on this schema, which needs %s or later: install that',
                                                              coalesce(register_worker.version, '0.1.0'), _oldest);
  end if;
  return _entered;
end $$;
-- functions/38_note_failover.sql
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
-- functions/38_reconcile.sql
-- After another server answers, or the same one restarted, a worker compares what it knows with what is there: commits that were
-- acknowledged may be gone (asynchronous replication, synchronous_commit = off). It gives the jobs that it holds (ids, tokens, when they
-- were created if it knows) and those whose end was acknowledged lately (`ended_*`, with the database's time of that end). Returns a row per job:
--   gone       no such job any more, or the id belongs to one that was created later: its enqueue was lost
--   undone     held, but not by this token: the claim was lost, and the job runs again; its handler has to stop. (Where the worker only
--              knows that its outcome was sent and not acknowledged, another token is no finding: it may have come through.)
--   again      its end was lost and its claim too: unfinished, it runs again
--   released   leased to this worker, which knows nothing of it (the end was lost and the claim was not): handed back, runs again.
--              Without this it would be running for ever, as the worker beats for it (I5).
-- `spared` are tokens of claims that may still be on their way to the worker. With a timeline, what was found is kept for `pgq doctor`.
-- An attempt that is compared wrongly loses its lease and its token, and so can change nothing (I4): the job runs twice at worst.
-- Death right after: the transaction has committed, or the worker is rescued as a whole. Scans the unfinished jobs, once per restart
-- or failover of the server. Locks: the worker's row for update, then the jobs to hand back in id order, passing by locked ones.
create function pgqueue.reconcile(worker_id bigint, ids bigint[], tokens bigint[], created timestamptz[], ended_ids bigint[], ended_at timestamptz[],
  spared bigint[] default '{}', system_identifier bigint default null, timeline integer default null)
returns table (id bigint, finding text)
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _outcomes jsonb;
  _ids bigint[];
  _findings text[];
begin
  perform from pgqueue.worker_processes w where w.id = reconcile.worker_id for update;
  select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'released'))
  into _outcomes
  from (select q.id, q.token from pgqueue.queued_jobs q
        where q.worker_id = reconcile.worker_id and q.token <> all (spared)
          and not exists (select from unnest(ids, tokens) as h (id, token) where h.id = q.id and h.token = q.token)
        order by q.id for update skip locked) j;
  if _outcomes is not null then
    perform pgqueue.ensure_day(clock_timestamp());
    perform pgqueue.settle(_outcomes, clock_timestamp());
    perform pgqueue.wake(q.queue) from (select distinct unnest(w.queues) as queue from pgqueue.worker_processes w where w.id = reconcile.worker_id) q;
  end if;
  select array_agg(f.id order by f.id), array_agg(f.finding order by f.id) into _ids, _findings
  from (
    select (o ->> 'id')::bigint as id, 'released' as finding from jsonb_array_elements(_outcomes) o
    union all
    select h.id, case when j.id is not null then 'undone' else 'gone' end
    from unnest(ids, tokens, created) as h (id, token, created)
    left join pgqueue.queued_jobs j on j.id = h.id and (h.created is null or j.created_at = h.created)
    where case when j.id is not null then h.created is not null and j.token is distinct from h.token
               else not exists (select from pgqueue.finished_jobs f where f.id = h.id and (h.created is null or f.created_at = h.created and f.finished_at >= h.created))
                and not exists (select from pgqueue.dead_jobs d where d.id = h.id and (h.created is null or d.created_at = h.created)) end
    union all
    select e.id, case when j.id is not null then 'again' else 'gone' end
    from unnest(ended_ids, ended_at) as e (id, at)
    left join pgqueue.queued_jobs j on j.id = e.id and j.created_at <= e.at
    where e.id <> all (coalesce(array(select (o ->> 'id')::bigint from jsonb_array_elements(_outcomes) o), '{}'))
      and not exists (select from pgqueue.finished_jobs f where f.id = e.id and f.created_at <= e.at and f.finished_at >= e.at - interval '1 minute')
      and not exists (select from pgqueue.dead_jobs d where d.id = e.id and d.created_at <= e.at)
  ) f;
  if timeline is not null and _ids is not null then
    insert into pgqueue.failover_jobs (system_identifier, timeline, job_id, worker_id, finding)
    select reconcile.system_identifier, reconcile.timeline, f.id, reconcile.worker_id, f.finding from unnest(_ids, _findings) as f (id, finding)
    on conflict do nothing;
  end if;
  return query select f.id, f.finding from unnest(_ids, _findings) as f (id, finding);
end $$;
-- functions/39_rescue.sql
drop function pgqueue.rescue;
-- Declares workers lost whose heartbeat is older than their lease, ends their listening backends, and hands their jobs on: lost is not
-- failed. Returns a row per lost worker with the number of its jobs that moved. Each worker's jobs are looked for once, unless some
-- were locked by a handler's own transaction: those are left for the next time. One bad row does not stop the others.
-- At most max_jobs are moved (null: all), the rest is left for the next call: whoever calls it beats on the same connection, and a call that took
-- longer than a heartbeat may would be cut off, roll back, and be begun again by everybody, for ever (found by the soak).
-- Locks: lost workers for update, passing by those that are claiming right now; then, under a fresh snapshot, which a claim
-- cannot slip behind, their jobs in id order, passing by those that are locked.
create or replace function pgqueue.rescue(max_jobs integer default null) returns table (worker_id bigint, host text, pid integer, jobs bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _worker record;
  _outcomes jsonb;
  _one jsonb;
  _room integer := max_jobs;
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
    from (select q.id, q.token, q.alone from pgqueue.queued_jobs q where q.worker_id = _worker.id order by q.id
          limit _room for update skip locked) j;
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
    _room := _room - jobs;
    exit when _room <= 0;
  end loop;
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
    _ids := array(select i from unnest(_ids) i where i <> all (_limited));
    if room > cardinality(_ids) then  -- else the others fill the room, and those with limits stay as they are until the next claim
      _ids := _ids || pgqueue.gate_limits(_limited, queue, tasks, at, room - cardinality(_ids));
    end if;
  end if;
  return _ids[1 : room];
end $$;
-- functions/59_limit_rules.sql
-- What is wrong with a limit's rule, null when nothing is. A grant counts at least a microsecond, the resolution of a timestamp, and an
-- empty bucket is full again within 3650 days: beyond that the claims of the queue would overflow, whoever looks at the rule.
create or replace function pgqueue.limit_rule_error(name text, rate double precision, per interval, burst integer, concurrency integer) returns text
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
-- functions/73_view_workers.sql
-- Every worker process, the lost ones of the last day too: alive while its heartbeat is younger than its lease. A version that is null: 0.1.0.
create or replace view pgqueue.workers as
select w.id, w.host, w.pid, w.queues, w.tasks, w.concurrency, w.running, w.started_at, w.heartbeat_at,
       w.lost_at is null and w.heartbeat_at + w.lease >= now() as alive, w.version
from pgqueue.worker_processes w;
-- functions/90_privileges.sql
-- Nobody may call our functions by default: PostgreSQL lets PUBLIC execute new ones.
revoke execute on all functions in schema pgqueue from public;
-- end of functions/
