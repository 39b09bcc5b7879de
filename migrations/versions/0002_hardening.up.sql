-- Written by freeze.py: change the parts and freeze again, until it is released.
-- Revision 0002: only what the workers of 0.1.0 can live with (new tables, columns with defaults, nothing taken away).
-- Tables of workers are locked in the order in which a step takes them: what it settles, then its worker's row.

-- Dead letters by the time of their death: the fold and the dashboard look for recent ones. Off the path of jobs that succeed.
create index dead_jobs_time on pgqueue.dead_jobs (died_at);

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

-- How many unfinished jobs a queue may hold (set_queue). Enqueues draw tickets from a sequence of the row's number, see enforce_quota.
create table pgqueue.queue_quotas (
  queue     text    primary key,
  number    integer not null generated always as identity,
  max_depth bigint  not null check (max_depth between 1 and 1000000000)
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

-- Who changed what through the dashboard (note_action, view audit). Nothing that jobs carry.
create table pgqueue.audit_log (
  id      bigint      primary key generated always as identity,
  at      timestamptz not null,
  actor   text        not null,
  role    text        not null,
  action  text        not null,
  target  text        not null,
  detail  jsonb       not null default '{}',
  db_user text        not null
);
create index audit_log_at on pgqueue.audit_log (at);
-- What handlers logged, for their attempts: first and last lines, masked by the worker. By day, like the attempts.
create table pgqueue.attempt_lines (
  job_id    bigint      not null,
  logged_at timestamptz not null,
  attempt   integer     not null,
  lines     jsonb       not null            -- of {at, level, logger, message, fields, exception} and one {left_out}
) partition by range (logged_at);
create index attempt_lines_job on pgqueue.attempt_lines (job_id, attempt);

-- What attempts came to, a row for each minute, queue and task (fold_statistics, view statistics); kept for 7 days. Buckets by bucket_bounds.
create table pgqueue.statistics_minutes (
  minute       timestamptz      not null,
  queue        text             not null,
  task         text             not null,
  succeeded    bigint           not null,
  failed       bigint           not null,
  dead         bigint           not null,
  cancelled    bigint           not null,
  lost         bigint           not null,
  snoozed      bigint           not null,
  released     bigint           not null,
  wait_seconds double precision not null,
  wait_buckets bigint[]         not null,
  run_seconds  double precision not null,
  run_buckets  bigint[]         not null,
  primary key (minute, queue, task)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

-- The same since the installation: counters (view statistics_totals). Those of queues that are gone are dropped after 30 days (sample_depths).
create table pgqueue.statistics_sums (
  queue        text             not null,
  task         text             not null,
  succeeded    bigint           not null,
  failed       bigint           not null,
  dead         bigint           not null,
  cancelled    bigint           not null,
  lost         bigint           not null,
  snoozed      bigint           not null,
  released     bigint           not null,
  wait_seconds double precision not null,
  wait_buckets bigint[]         not null,
  run_seconds  double precision not null,
  run_buckets  bigint[]         not null,
  counted_at   timestamptz      not null default now(),  -- when it grew last
  primary key (queue, task)
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

-- How deep each queue was, a sample a minute (view depth_history); kept for 7 days.
create table pgqueue.depth_minutes (
  minute             timestamptz not null,
  queue              text        not null,
  scheduled          bigint      not null,
  blocked            bigint      not null,
  ready              bigint      not null,
  running            bigint      not null,
  dead               bigint      not null,
  oldest_due_seconds double precision,
  estimated          boolean     not null,
  primary key (minute, queue)
);

-- All queues together, a row a minute, for charts of a week (view overall_history): what attempts came to, and how long the oldest due job had
-- waited when depths were noted. Of 1,000 queues the other tables have ten million rows a week.
create table pgqueue.overall_minutes (
  minute      timestamptz primary key,
  succeeded   bigint      not null default 0,
  failed      bigint      not null default 0,  -- failed, dead or lost
  lag_seconds double precision
) with (fillfactor = 60);

-- How far the fold has come, one row: the history up to folded_to is in the statistics; how much time the next window may cover; the last
-- sample of depths; how many ranges of a day's history have summaries in their BRIN indexes.
create table pgqueue.statistics_state (
  only_row        boolean          primary key default true check (only_row),
  folded_to       timestamptz      not null,
  stretch_seconds double precision not null default 10,
  sampled_minute  timestamptz      not null default '-infinity',
  summarized_day  date             not null default '2000-01-01',
  finished_ranges bigint           not null default 0,
  attempts_ranges bigint           not null default 0
) with (fillfactor = 50);
insert into pgqueue.statistics_state (folded_to) values ('-infinity');

-- What was seen of worker processes that stood still or were ended: the view worker_incidents. Code locations only, never contents.
create table pgqueue.incident_log (
  id        bigint      generated always as identity primary key,
  at        timestamptz not null default clock_timestamp(),
  worker_id bigint      not null,
  host      text        not null,
  pid       integer     not null,
  kind      text        not null,
  jobs      bigint[]    not null default '{}',  -- the first hundred that it held
  detail    text        not null default '',    -- a line
  stack     text                                -- functions, files and lines, at most 16,000 characters
);
create index incident_log_worker on pgqueue.incident_log (worker_id, id);
-- What is wrong with a worker right now, and since when; null: nothing that anybody has seen.
alter table pgqueue.worker_processes add column stuck text, add column stuck_since timestamptz;

-- functions/12_role_name.sql
-- The role of a kind (producer, worker, viewer, admin). A schema with a long name has its hash in it: a role's name has at most 63 bytes;
-- names that begin with pg_ belong to PostgreSQL.
create function pgqueue.role_name(kind text) returns text
language sql immutable parallel safe
return case when octet_length('pgqueue') <= 54 and 'pgqueue' <> 'pg' then 'pgqueue' else 'pgq_' || md5('pgqueue') end || '_' || kind;
-- functions/12_version_parts.sql
-- The three numbers of a version of pgqueue, to compare with: 0.2.0 and 0.2.0.dev0 are {0,2,0}. Null, the version that did not say, is
-- {0,1,0}; what is no version is {0,0,0}, older than all.
create function pgqueue.version_parts(version text) returns integer[]
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select (coalesce(string_to_array(substring(coalesce(version, '0.1.0') from '^[0-9]{1,9}(?:[.][0-9]{1,9})*'), '.')::integer[], '{}') || '{0,0,0}')[1:3]
$$;
-- functions/13_wake.sql
-- Wakes the workers that sleep on a queue, at this transaction's commit, and returns whether any may sleep. A notification takes a
-- lock that all committing notifiers share, so it is sent only when somebody sleeps: sleepers hold a shared advisory lock, and
-- taking the exclusive one fails then. The lock is given back at once and decides nothing but the wake-up: a wake-up that is
-- missed costs at most the poll interval. Never waits. In SQL, so that the planner makes it part of its caller.
-- A notification queue that is full fails the commit of whoever notifies. One frozen listener of any application on the server fills it,
-- so from half full on nobody is notified: enqueueing goes on, and sleepers find jobs by polling.
create or replace function pgqueue.wake(queue text) returns boolean
language sql volatile
return case when pg_try_advisory_lock(pgqueue.wake_key(queue)) then not pg_advisory_unlock(pgqueue.wake_key(queue))
            when pg_notification_queue_usage() < 0.5 then pg_notify(pgqueue.wake_channel(queue), '') is not null
            else true end;
-- functions/14_make_partitions.sql
-- Makes the daily partitions from `first_day` on, as far as they are missing, and returns how many it made. Made as plain
-- tables that are then attached, so that readers and writers of the parents go on (SHARE UPDATE EXCLUSIVE).
-- With its owner's rights, since workers run it and own no table. Raises PQ004. Locks: one advisory lock of this installation, then the parents in the order of the array.
create or replace function pgqueue.make_partitions(first_day date, days integer default 14) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  _schema constant text := pgqueue.schema_name();
  _parent text;
  _day date;
  _name text;
  _made integer := 0;
begin
  if days not between 0 and 400 or first_day not between '2000-01-01' and '9000-01-01' then
    raise exception using errcode = 'PQ004', message = format('make_partitions: days must be from 0 to 400 and begin in the years 2000 to 9000, got %s from %s', days, first_day);
  end if;
  perform pg_advisory_xact_lock(hashtextextended('pgqueue' || chr(31) || 'partitions', 20261122));
  foreach _parent in array array['attempt_lines', 'finished_jobs', 'job_args', 'job_attempts'] loop
    for _offset in 0 .. days - 1 loop
      _day := first_day + _offset;
      _name := _parent || to_char(_day, '_YYYYMMDD');
      continue when to_regclass(format('%I.%I', _schema, _name)) is not null;
      execute format('create table %I.%I (like %I.%I including defaults including constraints)',
                     _schema, _name, _schema, _parent);
      if _parent = 'job_args' then
        execute format('alter table %I.%I attach partition %I.%I for values from (%L) to (%L)',
                       _schema, _parent, _schema, _name, _day, _day + 1);
      else
        execute format('alter table %I.%I attach partition %I.%I for values from (%L) to (%L)',
                       _schema, _parent, _schema, _name, _day || ' 00:00:00+00', (_day + 1) || ' 00:00:00+00');
      end if;
      _made := _made + 1;
    end loop;
  end loop;
  return _made;
end $$;
-- functions/23_replace_job.sql
drop function pgqueue.replace_job;
-- Gives a waiting job the contents of a newer request with its key, and says whether it did: a job that has started keeps what it
-- started with. Its id, creation time and attempts stay; all else is the newer request's, its gates too, also where it has none. A job that
-- waits for others goes on waiting for them, and is due after that as the newer request says (I7); one that stood in a line comes to it again when it is due.
-- New arguments are a new row: job_args is append-only, but a job's row of today may be there already, so a change on the same day is an update.
-- A group's turn (I8) stays with the job only while it is due now and of the same group: else it passes to the next in line, or
-- a job put off until tomorrow would hold up all others. A share that was dealt to it is given back; it holds no permits of
-- limits, which belong to attempts (I9).
-- Locks: the node of a job that waits for others (I14: before the job), the job's row, for which it may wait while a claim or another
-- replacement of it commits; then the lane of a turn that it gives up, and the next job's row, only if they can be had at once.
-- It must not wait for a lane: settles have the lane and wait for rows in its line, one of which may be the caller's. Giving a turn up needs no lock, because
-- who reads it meanwhile sees a turn that is taken. Where the lane is somebody else's right now, and after a death right after the commit,
-- there is at worst a line without a turn, which hand_on_idle finds.
create or replace function pgqueue.replace_job(id bigint, task text, args jsonb, priority integer, run_at timestamptz,
  max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, day date, gates jsonb) returns boolean
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _queue text;
  _in_line boolean;
  _parked boolean;
  _left text;
begin
  perform from pgqueue.flow_nodes n where n.id = replace_job.id and n.blocked for no key update;
  select j.queue, j.run_at = 'infinity' into _queue, _parked
  from pgqueue.queued_jobs j where j.id = replace_job.id and j.worker_id is null for update;
  if not found then
    return false;
  end if;
  delete from pgqueue.lane_waits w where w.job_id = replace_job.id;
  _in_line := found;
  update pgqueue.queued_jobs j
  set task = replace_job.task, priority = replace_job.priority,
      run_at = case when _parked and not _in_line then j.run_at else replace_job.run_at end,
      max_attempts = replace_job.max_attempts, timeout = replace_job.timeout, expires_at = replace_job.expires_at,
      args_day = replace_job.day, gated = replace_job.gates is not null
  where j.id = replace_job.id and j.worker_id is null;
  insert into pgqueue.job_args as a (id, day, args, meta, gates)
  values (replace_job.id, replace_job.day, replace_job.args, replace_job.meta, replace_job.gates)
  on conflict (id, day) do update set args = excluded.args, meta = excluded.meta, gates = excluded.gates;
  if _parked and not _in_line then
    update pgqueue.flow_nodes n set due = replace_job.run_at, task = replace_job.task where n.id = replace_job.id and n.blocked;
    return true;
  end if;
  delete from pgqueue.permits p where p.job_id = replace_job.id and p.kind = 'fair';
  delete from pgqueue.permits p
  where p.job_id = replace_job.id and p.kind = 'group' and (p.key is distinct from gates ->> 'group' or replace_job.run_at > _at)
  returning p.key into _left;
  if gates ?| array['group', 'fair'] then
    perform pgqueue.line_up(array[id], _at);
    delete from pgqueue.lane_waits w  -- it has its turn already
    where w.job_id = replace_job.id and w.kind = 'group'
      and exists (select from pgqueue.permits p where p.job_id = w.job_id and p.kind = 'group');
  end if;
  if _left is not null then
    perform from pgqueue.lanes l where l.kind = 'group' and l.name = _queue and l.key = _left for update skip locked;
    if found and not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = _queue and p.key = _left) then
      perform pgqueue.hand_on(_queue, _left, _at, false);
    end if;
  end if;
  return true;
end $$;
-- functions/24_meet_holder.sql
drop function pgqueue.meet_holder;
-- What a request does when another job holds its key: returns the holder's id, after replacing its contents if that is the
-- policy and it has not started. Raises PQ002 under the policy `raise`; `place` begins its message. Locks: as replace_job.
create or replace function pgqueue.meet_holder(holder bigint, task text, args jsonb, queue text, priority integer, run_at timestamptz,
  key text, key_policy text, max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, day date, place text default '',
  gates jsonb default null) returns bigint
language plpgsql as $$
begin
  if key_policy = 'raise' then
    raise exception using errcode = 'PQ002',
      message = place || format('cannot enqueue task %L: key %L of queue %L is held by job %s', task, key, queue, holder),
      hint = holder::text;
  elsif key_policy = 'replace' then
    if pgqueue.replace_job(holder, task, args, coalesce(priority, 0), run_at, max_attempts, timeout, expires_at, meta, day, gates)
       and run_at < clock_timestamp() + interval '10 s' then
      perform pgqueue.wake(queue);
    end if;
  end if;
  return holder;
end $$;
-- functions/25_enqueue.sql
-- Enqueues one job in the caller's transaction and returns its id: the job exists exactly when that transaction commits (I1).
-- With a key that another job holds nothing is added, and that job's id is returned; key_policy says what else happens:
-- skip nothing, replace gives a job that has not started these contents, raise is an error.
--   priority    -100 to 100, lower runs first            run_at, delay  when it is due, by the database's clock (not both)
--   key_period  how long the key holds at least, from now; without it the key holds until the job is finished
--   max_attempts, timeout  null: the task's own policy, known to the worker
--   expires_at  from then on it is cancelled instead of run
--   group_key   jobs of a queue with this key run one at a time, in the order of their ids; a retry keeps the turn unless group_retry is 'pass'
--   limits      names of limits, or {name: key}, or {name: {"key": key, "weight": n}}: it runs when it gets a share of all of them
--   fair_key    whose share of the queue it takes, if the queue shares fairly
-- With its owner's rights, so that a producer needs the right to call it and nothing else; in a function that sets its path anyway that costs nothing.
-- The plain job takes a short way: with many producers each expression costs, their caches being cold (benchmarks/enqueue.py).
-- Raises PQ002 key taken (policy raise), PQ004 invalid argument. Locks: the key's row.
create or replace function pgqueue.enqueue(task text, args jsonb default '{}', queue text default null, priority integer default null,
  run_at timestamptz default null, key text default null, group_key text default null, max_attempts integer default null,
  timeout interval default null, expires_at timestamptz default null, meta jsonb default null, key_policy text default 'skip',
  key_period interval default null, delay interval default null, limits jsonb default null, fair_key text default null,
  group_retry text default null) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  _now constant timestamptz := clock_timestamp();
  _day constant date := (_now at time zone 'UTC')::date;
  _queue constant text := coalesce(queue, 'default');
  _id bigint;
begin
  if (num_nulls(priority, run_at, key, group_key, max_attempts, timeout, expires_at, meta, key_period, delay, limits, fair_key,
                group_retry) = 13 and key_policy = 'skip'
      and args @> '{}' and pg_column_size(args) <= 65536 and octet_length(task) between 1 and 500 and octet_length(_queue) between 1 and 200
      and current_setting('pgq.day_seen', true) = 'pgqueue' || _day) is not true then  -- a session looks for the day's partitions once
    return pgqueue.enqueue_special(task, args, queue, priority, run_at, key, group_key, max_attempts, timeout, expires_at,
                                   meta, key_policy, key_period, delay, limits, fair_key, group_retry);
  end if;
  _id := nextval('pgqueue.job_ids');
  with argument as (
    insert into pgqueue.job_args (id, day, args) values (_id, _day, args)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, queue, task) values (_id, _now, _now, _day, _queue, task);
  perform pgqueue.wake(_queue);
  return _id;
end $$;
-- functions/25_enqueue_special.sql
-- Enqueues a job that is more than a task, arguments and a queue; see enqueue. Looks for errors only where there may be one.
-- Raises PQ002 key taken (policy raise), PQ004 invalid argument. Locks: the key's row.
create or replace function pgqueue.enqueue_special(task text, args jsonb, queue text, priority integer, run_at timestamptz, key text,
  group_key text, max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, key_policy text,
  key_period interval, delay interval, limits jsonb, fair_key text, group_retry text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  _now constant timestamptz := clock_timestamp();
  _queue constant text := coalesce(queue, 'default');
  _day constant date := pgqueue.ensure_day(_now);
  _due timestamptz;
  _id bigint;
  _holder bigint;
  _error text;
  _gates jsonb;
begin
  _error := pgqueue.new_job_error(jsonb_strip_nulls(jsonb_build_object(
    'task', task, 'args', args, 'queue', queue, 'priority', priority, 'run_at', run_at, 'key', key, 'group_key', group_key,
    'max_attempts', max_attempts, 'timeout', timeout, 'expires_at', expires_at, 'meta', meta, 'key_policy', key_policy,
    'key_period', key_period, 'delay', delay, 'limits', limits, 'fair_key', fair_key, 'group_retry', group_retry)));
  if _error is not null then
    raise exception using errcode = split_part(_error, ' ', 1), message = substr(_error, strpos(_error, ' ') + 1);
  end if;
  args := coalesce(nullif(args, 'null'), '{}');
  meta := nullif(meta, 'null');
  perform set_config('pgq.day_seen', 'pgqueue' || _day, false);
  _due := coalesce(run_at, _now + delay, _now);
  _gates := pgqueue.job_gates(group_key, group_retry, limits, fair_key);
  _id := nextval('pgqueue.job_ids');
  if key is not null then
    _holder := pgqueue.hold_key(_id, _queue, key, _now + key_period);
    if _holder is not null then
      return pgqueue.meet_holder(_holder, task, args, _queue, priority, _due, key, key_policy, max_attempts, timeout, expires_at, meta, _day,
                                 gates => _gates);
    end if;
  end if;
  with argument as (
    insert into pgqueue.job_args (id, day, args, meta, gates) values (_id, _day, args, meta, _gates)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, expires_at, max_attempts, timeout, queue, task, key, gated)
  values (_id, _due, _now, _day, coalesce(priority, 0), expires_at, max_attempts, timeout, _queue, task, key, _gates is not null);
  if _gates ?| array['group', 'fair'] then
    perform pgqueue.line_up(array[_id], _now);
  end if;
  if _due < _now + interval '10 s' then
    perform pgqueue.wake(_queue);
  end if;
  return _id;
end $$;
-- functions/26_many_keys.sql
-- Takes the keys of an array of new jobs whose ids are drawn, and returns the ids: of a job whose key another has, that job's
-- id, negated. Locks: keys in the order of (queue, key), whatever the order of the array.
create or replace function pgqueue.hold_keys(jobs jsonb, ids bigint[], at timestamptz) returns bigint[]
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
create or replace function pgqueue.meet_holders(jobs jsonb, ids bigint[], at timestamptz, day date) returns setof bigint
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
-- functions/27_enqueue_many.sql
-- Enqueues an array of jobs, objects with the names of enqueue's arguments, in one statement and one round trip, and returns their ids in
-- the order given. Keys are as in enqueue; of two jobs with one key in the same array the first holds it.
-- Raises PQ002, PQ004 as enqueue does, with the place in the array (from 0); then nothing of it is added.
-- Locks: keys in the order of (queue, key), then jobs to replace in id order, so that producers of overlapping arrays cannot deadlock.
create or replace function pgqueue.enqueue_many(jobs jsonb) returns setof bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _day constant date := pgqueue.ensure_day(_now);
  _ids bigint[];
  _queues text[];
  _queue text;
  _keyed boolean;
  _gated boolean;
  _bad record;
begin
  if jobs is null or jsonb_typeof(jobs) <> 'array' then
    raise exception using errcode = 'PQ004',
      message = format('enqueue_many: jobs must be a JSON array of objects, got %s', coalesce(jsonb_typeof(jobs), 'null'));
  end if;
  perform pgqueue.check_new_jobs(jobs);
  select array_agg(nextval('pgqueue.job_ids')), coalesce(bool_or(job ? 'key'), false), coalesce(bool_or(job ?| array['group_key', 'limits', 'fair_key']), false)
  into _ids, _keyed, _gated from jsonb_array_elements(jobs) job;
  if _keyed then
    _ids := pgqueue.hold_keys(jobs, _ids, _now);
  end if;

  with given as materialized (
    select _ids[place] as id, coalesce(g.run_at, _now + g.delay, _now) as due, coalesce(g.args, '{}') as args, g.meta, g.priority,
           g.expires_at, g.max_attempts, g.timeout, coalesce(g.queue, 'default') as queue, g.task, g.key,
           case when _gated then pgqueue.job_gates(g.group_key, g.group_retry, g.limits, g.fair_key) end as gates
    from rows from (jsonb_to_recordset(jobs) as (task text, args jsonb, queue text, priority integer, run_at timestamptz, key text,
      max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, delay interval, group_key text, group_retry text, limits jsonb, fair_key text)) with ordinality
      as g (task, args, queue, priority, run_at, key, max_attempts, timeout, expires_at, meta, delay, group_key, group_retry, limits, fair_key, place)
    where _ids[place] > 0
  ), arguments as (
    insert into pgqueue.job_args (id, day, args, meta, gates) select g.id, _day, g.args, g.meta, g.gates from given g
  ), queued as (
    insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, expires_at, max_attempts, timeout, queue, task, key, gated)
    select g.id, g.due, _now, _day, coalesce(g.priority, 0), g.expires_at, g.max_attempts, g.timeout, g.queue, g.task, g.key, g.gates is not null from given g
  )
  select array_agg(distinct g.queue order by g.queue) into _queues from given g where g.due < _now + interval '10 s';

  if _gated then
    perform pgqueue.line_up(_ids, _now);
  end if;
  if _keyed then
    return query select * from pgqueue.meet_holders(jobs, _ids, _now, _day);
  else
    return query select unnest(_ids);
  end if;
  foreach _queue in array coalesce(_queues, '{}') loop
    perform pgqueue.wake(_queue);
  end loop;
end $$;
-- functions/29_advance_nodes.sql
drop function pgqueue.end_blocked;
drop function pgqueue.let_go;
drop function pgqueue.advance_nodes;
-- Tells the children of nodes that have ended (`ended`), judges nodes whose counts are as they should be (`ready`), and goes on with those
-- that end by this, in a loop: however long a chain of barriers and cancellations is, nothing recurses.
-- I6: it runs in the transaction that settled the parents, and it counts only under the child's lock: the rows are locked by one
-- statement and read by the next, whose snapshot is younger than the commits of all who had them before. So of two transactions that
-- settle two last parents the second sees the first one's count and lets the child go, once: `blocked` ends with that.
-- A gathering child is not waited for: who finds its row locked leaves a delta, and whoever has the row next (the next parent, or
-- fold_nodes) adds up. Both may pass each other only in such a way that a delta stays behind, and fold_nodes looks for those.
-- I14: children are locked by (rank, id), which ascends along every link. All children at hand are locked at once only up to the first
-- one that may end by itself and has children, because these may come before the others. Where more than 200 are at hand, when something
-- wide fails, that would take minutes: then all that this can reach is locked at once, in the same order, and gone through wave by wave
-- without waiting any more (lock_reach). Jobs that are let go or end are locked after
-- their node; whoever cancels a blocked job has locked its node first (try_waiting).
-- A death right after it: it has committed with the settle, or neither has.
-- Plans: each table is read by an array of ids or by one id (lateral, not pulled up by its offset 0), whatever the
-- statistics say; arrays of thousands of ids meet in hash joins. What a function
-- sets holds in those that it calls, so each says both.
create or replace function pgqueue.advance_nodes(ended bigint[], ready bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = off set enable_hashjoin = on set enable_mergejoin = off
set plan_cache_mode = force_generic_plan set jit = off as $$
#variable_conflict use_column
declare
  _ended bigint[] := ended;
  _ids bigint[];
  _ranks bigint[];
  _gathers boolean[];
  _mays boolean[];
  _pending integer[];
  _breached integer[];
  _missed integer[];
  _hits integer[];
  _upto integer;
  _reached boolean := false;
  _got bigint[];
  _left bigint[];
  _go bigint[];
  _over bigint[];
begin
  select array_agg(n.id order by n.rank, n.id), array_agg(n.rank order by n.rank, n.id), array_agg(n.gather order by n.rank, n.id),
         array_agg(not n.is_job or n.asks_failure or n.breached > 0 or n.missed > 0 order by n.rank, n.id),
         array_agg(0), array_agg(0), array_agg(0), array_agg(0)
  into _ids, _ranks, _gathers, _mays, _pending, _breached, _missed, _hits
  from pgqueue.flow_nodes n where n.id = any (ready);
  loop
    if cardinality(_ended) > 0 then
      with told as (
        select c.id, c.rank, c.gather, not c.is_job or c.asks_failure as may, 1 as pending, pgqueue.breaches(l.condition, p.outcome) as breached,
               pgqueue.misses(l.condition, p.outcome) as missed, pgqueue.hits(l.condition, p.outcome, c.verdict) as hits
        from pgqueue.flow_nodes p
        join pgqueue.flow_links l on l.parent_id = p.id and l.parent_id = any (_ended)
        cross join lateral (select n.id, n.rank, n.gather, n.is_job, n.asks_failure, n.verdict from pgqueue.flow_nodes n
                            where n.id = l.child_id and n.blocked offset 0) c
        where p.id = any (_ended)
        union all
        select t.* from unnest(_ids, _ranks, _gathers, _mays, _pending, _breached, _missed, _hits) as t
      ), sums as (
        select t.id, t.rank, t.gather,
               case when bool_or(t.may or t.breached > 0 or t.missed > 0) then exists (select from pgqueue.flow_links x where x.parent_id = t.id) else false end as may,
               sum(t.pending)::integer as pending,
               sum(t.breached)::integer as breached, sum(t.missed)::integer as missed, sum(t.hits)::integer as hits
        from told t group by t.id, t.rank, t.gather order by t.rank, t.id
      )
      select array_agg(s.id), array_agg(s.rank), array_agg(s.gather), array_agg(s.may), array_agg(s.pending), array_agg(s.breached),
             array_agg(s.missed), array_agg(s.hits)
      into _ids, _ranks, _gathers, _mays, _pending, _breached, _missed, _hits
      from sums s;
    end if;
    exit when coalesce(cardinality(_ids), 0) = 0;
    _upto := coalesce(array_position(_mays, true), cardinality(_ids));
    if cardinality(_ids) > 200 and _upto < cardinality(_ids) and not _reached then
      perform pgqueue.lock_reach(_ids, _mays, _breached, _missed, _hits);
      _reached := true;
    end if;
    if _reached then
      _upto := cardinality(_ids);
    end if;
    perform from pgqueue.flow_nodes n where n.id = any (_ids[1 : _upto]) and not n.gather order by n.rank, n.id for no key update;
    _left := '{}';
    if true = any (_gathers[1 : _upto]) then
      _got := array(select n.id from pgqueue.flow_nodes n
                    where n.id = any (array(select g.id from unnest(_ids[1 : _upto], _gathers[1 : _upto]) as g (id, gather) where g.gather)) and n.gather
                    order by n.rank, n.id for no key update skip locked);
      _left := array(select g.id from unnest(_ids[1 : _upto], _gathers[1 : _upto]) as g (id, gather) where g.gather and g.id <> all (_got));
      insert into pgqueue.flow_deltas (child_id, pending, breached, missed, hits)
      select t.id, t.pending, t.breached, t.missed, t.hits
      from unnest(_ids[1 : _upto], _pending[1 : _upto], _breached[1 : _upto], _missed[1 : _upto], _hits[1 : _upto]) as t (id, pending, breached, missed, hits)
      where t.id = any (_left) and t.pending <> 0;
    end if;
    with folded as (
      delete from pgqueue.flow_deltas d where true = any (_gathers[1 : _upto]) and d.child_id = any (_got)
      returning d.child_id as id, d.pending, d.breached, d.missed, d.hits
    ), sums as (
      select t.id, sum(t.pending)::integer as pending, sum(t.breached)::integer as breached, sum(t.missed)::integer as missed, sum(t.hits)::integer as hits
      from (select f.id, f.pending, f.breached, f.missed, f.hits from folded f
            union all
            select u.* from unnest(_ids[1 : _upto], _pending[1 : _upto], _breached[1 : _upto], _missed[1 : _upto], _hits[1 : _upto]) as u) t
      group by t.id
    ), judged as (
      select n.id, n.pending - s.pending as pending, n.breached + s.breached as breached, n.missed + s.missed as missed, n.hits + s.hits as hits,
             pgqueue.judge(n.pending - s.pending, n.breached + s.breached, n.missed + s.missed, n.hits + s.hits, n.asks_failure, n.verdict,
                           n.on_failure, n.patient) as outcome
      from sums s join pgqueue.flow_nodes n on n.id = s.id
      where n.id = any (_ids[1 : _upto]) and n.blocked and n.id <> all (_left)
    ), counted as (
      update pgqueue.flow_nodes n
      set pending = j.pending, breached = j.breached, missed = j.missed, hits = j.hits, blocked = j.outcome is null,
          outcome = case when not n.is_job or j.outcome <> 'succeeded' then j.outcome end,
          ended_at = case when not n.is_job or j.outcome <> 'succeeded' then at end
      from judged j where n.id = any (_ids[1 : _upto]) and n.id = j.id
      returning n.id, n.rank, n.is_job, n.blocked, n.outcome
    )
    select array_agg(c.id order by c.id) filter (where not c.blocked and c.outcome is null), array_agg(c.id) filter (where c.outcome is not null),
           array_agg(c.id order by c.id) filter (where c.is_job and c.outcome is not null)
    into _go, _ended, _over
    from counted c;
    if _go is not null then
      perform pgqueue.let_go(_go, at);
    end if;
    if _over is not null then
      perform pgqueue.end_blocked(_over, at);
    end if;
    _ids := _ids[_upto + 1 :];
    _ranks := _ranks[_upto + 1 :];
    _gathers := _gathers[_upto + 1 :];
    _mays := _mays[_upto + 1 :];
    _pending := _pending[_upto + 1 :];
    _breached := _breached[_upto + 1 :];
    _missed := _missed[_upto + 1 :];
    _hits := _hits[_upto + 1 :];
  end loop;
end $$;

-- Locks these nodes, which are being told that parents have ended, and all that may be told because of them, by (rank, id): so that advance_nodes can go
-- through a wide failure in any order (I14). More than needed may be locked: it goes on behind a node that may end by itself, a barrier or
-- one that asks for failures; and behind any node once something has failed before it. What is in the queue and waits for its start ends the walk, so
-- that the ordinary end of many parents reaches only their children. Gathering nodes are tried when they are told, not waited for here.
-- It looks again after it has waited: who links a node to a parent locks the parent first (adopt_parents), so nothing comes behind what is
-- locked. What came while it waited is locked out of order, and so is what a gathering node reaches that learns only now of a failure: only there two
-- could still meet in a deadlock, which PostgreSQL breaks, and whose settle is sent again.
create or replace function pgqueue.lock_reach(ids bigint[], mays boolean[], breached integer[], missed integer[], hits integer[]) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = on set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan set jit = off as $$
#variable_conflict use_column
declare
  _had bigint[];
  _reach bigint[] := '{}';
begin
  loop
    _had := _reach;
    with recursive reach as (
      select n.id, t.may as ends, n.bad or t.breached + t.missed + t.hits > 0 as bad
      from unnest(ids, mays, breached, missed, hits) as t (id, may, breached, missed, hits)
      cross join lateral (
        select x.id, x.asks_failure or x.breached + x.missed + x.hits > 0
               or x.gather and exists (select from pgqueue.flow_deltas d where d.child_id = x.id and d.breached + d.missed + d.hits > 0) as bad
        from pgqueue.flow_nodes x where x.id = t.id offset 0) n
      union
      select c.id, r.bad or not c.is_job or c.asks_failure, r.bad or c.bad
      from reach r
      join pgqueue.flow_links l on l.parent_id = r.id
      cross join lateral (
        select x.id, x.is_job, x.asks_failure, x.asks_failure or x.breached + x.missed + x.hits > 0
               or x.gather and exists (select from pgqueue.flow_deltas d where d.child_id = x.id and d.breached + d.missed + d.hits > 0) as bad
        from pgqueue.flow_nodes x where x.id = l.child_id and x.blocked offset 0) c
      where r.ends
    )
    select array_agg(distinct r.id order by r.id) into _reach from reach r;
    exit when not exists (select unnest(_reach) except select unnest(_had));
    perform from pgqueue.flow_nodes n where n.id = any (_reach) and not n.gather order by n.rank, n.id for no key update;
  end loop;
end $$;

-- Lets blocked jobs go: they are due from now on, or when they were meant to be. Locks: the jobs in id order.
create or replace function pgqueue.let_go(ids bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = on set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _queues text[];
begin
  perform from pgqueue.queued_jobs j where j.id = any (ids) order by j.id for no key update;
  with gone as (
    update pgqueue.queued_jobs j set run_at = greatest((select n.due from pgqueue.flow_nodes n where n.id = j.id), at)
    where j.id = any (ids) and j.worker_id is null
    returning j.queue, j.run_at
  )
  select array_agg(distinct g.queue order by g.queue) into _queues from gone g where g.run_at < at + interval '10 s';
  perform pgqueue.wake(q) from unnest(_queues) q;
end $$;

-- Ends the jobs of nodes that will not run, as their nodes say: cancelled (skipped is a reason), or dead letters that name the parent that
-- failed. A reason that is given is told instead. Their dependants are told by the caller. They were parked and hold no permits. Locks: the jobs in id order, their keys.
create or replace function pgqueue.end_blocked(ids bigint[], at timestamptz, reason text default null) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = on set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  perform pgqueue.ensure_day(at);
  perform from pgqueue.queued_jobs j where j.id = any (ids) order by j.id for update;
  with gone as (
    delete from pgqueue.queued_jobs j where j.id = any (ids)
    returning j.id, j.run_at, j.created_at, j.args_day, j.attempt, j.priority, j.failures, j.losses, j.max_attempts, j.suspect, j.queue, j.task,
              j.key, j.timeout
  ), told as materialized (
    select g.*, n.outcome, coalesce(n.due, at) as due,
           case when reason is not null or n.outcome = 'skipped' then jsonb_build_object('type', 'Cancelled', 'message', coalesce(reason, 'skipped'))
                else jsonb_build_object('type', case n.outcome when 'dead' then 'ParentFailed' else 'Cancelled' end, 'message', coalesce((
                  select format('it waited for %s, which ended as %s', case when p.is_job then format('job %s (%s)', p.id, p.task) else 'barrier ' || p.id end, p.outcome)
                  from pgqueue.flow_links l
                  cross join lateral (select x.id, x.is_job, x.task, x.outcome from pgqueue.flow_nodes x where x.id = l.parent_id offset 0) p
                  where l.child_id = g.id and pgqueue.breaches(l.condition, p.outcome) > 0 order by l.place limit 1), 'a job that it waited for failed')) end as error
    from gone g cross join lateral (select x.outcome, x.due from pgqueue.flow_nodes x where x.id = g.id offset 0) n
  ), finished as (
    insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, args_day, attempt, priority, failures, losses, max_attempts, succeeded,
                                       suspect, queue, task, key, timeout, error)
    select t.id, at, t.due, t.created_at, t.args_day, t.attempt, t.priority, t.failures, t.losses, t.max_attempts, false, t.suspect, t.queue,
           t.task, t.key, t.timeout, t.error
    from told t where t.outcome <> 'dead'
  ), evidence as (
    delete from pgqueue.job_attempts a where a.job_id = any (array(select t.id from told t where t.outcome = 'dead'))
    returning a.job_id, a.attempt, pgqueue.attempt_evidence(a.attempt, a.worker_id, a.started_at, a.finished_at, a.outcome, a.error) as attempt_row
  ), died as (
    insert into pgqueue.dead_jobs (id, died_at, run_at, created_at, args_day, attempt, priority, failures, losses, max_attempts, suspect, queue,
                                   task, key, timeout, error, attempts)
    select t.id, at, t.due, t.created_at, t.args_day, t.attempt, t.priority, t.failures, t.losses, t.max_attempts, t.suspect, t.queue, t.task,
           t.key, t.timeout, t.error,
           coalesce((select jsonb_agg(e.attempt_row order by e.attempt)
                     from (select x.attempt_row, x.attempt from evidence x where x.job_id = t.id order by x.attempt desc limit 100) e), '[]')
    from told t where t.outcome = 'dead'
  ), asked as (
    delete from pgqueue.cancel_requests c where c.job_id = any (ids)
  )
  delete from pgqueue.job_keys k using told t
  where k.queue = t.queue and k.key = t.key and k.job_id = t.id and (t.outcome = 'dead' or k.until is null or k.until <= at);
end $$;
-- functions/29_nodes.sql
-- Whether a job is a node of a flow.
create or replace function pgqueue.is_node(id bigint) returns boolean
language sql stable set enable_seqscan = off
return exists (select from pgqueue.flow_nodes n where n.id = is_node.id);

-- What becomes of a node whose counts are these: succeeded (a job may start, a barrier ends), skipped, cancelled, dead, or null: it
-- waits on. One failure is enough for the policies cancel and dead, the rest is judged once all parents have ended.
create or replace function pgqueue.judge(pending integer, breached integer, missed integer, hits integer, asks_failure boolean, verdict boolean,
  on_failure text, patient boolean) returns text
language sql immutable parallel safe
return case
  when missed > 0 then 'skipped'
  when breached > 0 then case when patient or on_failure = 'wait' then null when on_failure = 'dead' then 'dead' else 'cancelled' end
  when pending > 0 then null
  when asks_failure and hits = 0 then 'skipped'
  when verdict and hits > 0 then 'dead'
  else 'succeeded' end;

-- What the end of a parent means to a child, by the condition of their link; each is 0 or 1.
-- breached: it ended as it should not have, on_failure says what happens. missed: the child is skipped. hits: the failure it asks about.
create or replace function pgqueue.breaches(condition text, outcome text) returns integer
language sql immutable parallel safe
return (condition = 'succeeded' and outcome in ('cancelled', 'dead') or condition = 'not_failed' and outcome in ('cancelled', 'dead'))::integer;
create or replace function pgqueue.misses(condition text, outcome text) returns integer
language sql immutable parallel safe
return (condition = 'if_succeeded' and outcome <> 'succeeded' or condition = 'succeeded' and outcome = 'skipped')::integer;
create or replace function pgqueue.hits(condition text, outcome text, verdict boolean) returns integer
language sql immutable parallel safe
return ((condition = 'failed' or verdict) and outcome in ('cancelled', 'dead'))::integer;

-- What the end of these nodes means for others, in the transaction that settles them (I6): an array of {id, outcome, result, error},
-- outcomes succeeded, cancelled and dead. A node that has ended already is passed by, so nothing counts twice; only an operator's
-- retry reopens it (I15). A dead undo tells in its dead letter what is left undone because of it.
-- Locks: these nodes by (rank, id), then their dependants (advance_nodes). Those of running jobs are nobody's child any more.
create or replace function pgqueue.settle_nodes(ended jsonb, at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = off set enable_hashjoin = on set enable_mergejoin = off
set plan_cache_mode = force_generic_plan set jit = off as $$
#variable_conflict use_column
declare
  _ids bigint[] := array(select (e ->> 'id')::bigint from jsonb_array_elements(ended) e);
  _undos bigint[];
begin
  perform from pgqueue.flow_nodes n where n.id = any (_ids) order by n.rank, n.id for no key update;
  with gone as (
    update pgqueue.flow_nodes n set outcome = e.outcome, result = e.result, ended_at = at, blocked = false
    from jsonb_to_recordset(ended) as e (id bigint, outcome text, result jsonb)
    where n.id = any (_ids) and n.id = e.id and n.outcome is null
    returning n.id, n.role, n.outcome
  )
  select array_agg(g.id), array_agg(g.id) filter (where g.role = 'undo' and g.outcome = 'dead') into _ids, _undos from gone g;
  if _ids is not null then
    perform pgqueue.advance_nodes(_ids, '{}', at);
  end if;
  if _undos is not null then
    perform pgqueue.tell_undone(u) from unnest(_undos) u;
  end if;
end $$;

-- Names, in the dead letter of an undo, what stays undone until it is retried: itself, and the undos of its saga that wait for it. A flow
-- may hold several sagas: they are told apart by the links.
create or replace function pgqueue.tell_undone(id bigint) returns void
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _left jsonb;
begin
  with recursive behind as (
    select tell_undone.id
    union
    select l.child_id from behind b join pgqueue.flow_links l on l.parent_id = b.id
    where (select c.role = 'undo' from pgqueue.flow_nodes c where c.id = l.child_id)
  )
  select jsonb_agg(jsonb_build_object('id', u.id, 'task', u.task, 'name', u.name) order by u.id = tell_undone.id desc, u.place desc) into _left
  from behind b cross join lateral (select n.id, n.task, n.name, n.place, n.outcome from pgqueue.flow_nodes n where n.id = b.id offset 0) u
  where u.outcome is null or u.id = tell_undone.id;
  update pgqueue.dead_jobs d
  set error = d.error || jsonb_build_object('undone', _left, 'message', concat(d.error ->> 'message', '; left undone: ',
    (select string_agg(format('%s (job %s)', coalesce(l ->> 'name', l ->> 'task'), l ->> 'id'), ', ') from jsonb_array_elements(_left) l)))
  where d.id = tell_undone.id;
end $$;
-- functions/32_keep_logs.sql
-- Keeps what handlers logged, before their attempts are settled in the same transaction. `logs` is an array of {id, token, attempt,
-- worker_id, lines}. Fenced by the lease: lines go to the attempt that holds this token now, under the number that stands there, so that what
-- a worker says of a job that others have is passed over (I4), and a batch that is sent again finds no token any more. A handler that said `complete`
-- has settled its attempt itself: its lines go to the finished job of this attempt by this worker, whose id is random, once.
-- Makes the day's partition if nobody had. Locks nothing else.
create function pgqueue.keep_logs(logs jsonb, at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _day constant date := (at at time zone 'UTC')::date;
begin
  if to_regclass(format('%I.%I', pgqueue.schema_name(), 'attempt_lines' || to_char(_day, '_YYYYMMDD'))) is null then
    perform pgqueue.make_partitions(_day, 2);
  end if;
  with given as materialized (
    select distinct on (g.id, g.token) g.id, g.token, g.attempt, g.worker_id, g.lines
    from jsonb_to_recordset(logs) as g (id bigint, token bigint, attempt integer, worker_id bigint, lines jsonb)
    order by g.id, g.token
  )
  insert into pgqueue.attempt_lines (job_id, logged_at, attempt, lines)
  select j.id, at, j.attempt, g.lines
  from given g join pgqueue.queued_jobs j on j.id = g.id and j.token = g.token
  union all
  select f.id, at, f.attempt, g.lines
  from given g join pgqueue.finished_jobs f on f.id = g.id and f.attempt = g.attempt and f.worker_id = g.worker_id
  where f.succeeded and f.finished_at > at - interval '1 day'
    and not exists (select from pgqueue.attempt_lines l where l.job_id = f.id and l.attempt = f.attempt);
end $$;
-- functions/33_step_logging.sql
-- A step whose attempts logged something: `keep_logs`, then `step`, in one transaction. A function of its own, so that steps without
-- lines cost what they did. Returns what `step` does. Locks: those of step.
create function pgqueue.step_logging(logs jsonb, worker_id bigint, epoch integer, token bigint, queue text, tasks text[], max_jobs integer,
  priorities smallint[], marks_at timestamptz[], marks_id bigint[], done_ids bigint[], done_tokens bigint[], outcomes jsonb, series integer)
returns table (kind text, id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint,
               timeout interval, priority smallint, run_at timestamptz, created_at timestamptz, expired boolean, key text, group_key text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pgqueue.keep_logs(logs, clock_timestamp());
  return query select s.kind, s.id, s.task, s.args, s.meta, s.attempt, s.failures, s.losses, s.max_attempts, s.timeout, s.priority, s.run_at,
                      s.created_at, s.expired, s.key, s.group_key
               from pgqueue.step(worker_id, epoch, token, queue, tasks, max_jobs, priorities, marks_at, marks_id, done_ids, done_tokens,
                                 outcomes, series) s;
end $$;
-- functions/34_claim_alone.sql
-- Leases one due job that has to run alone, because it was there when a worker died, to a worker that runs nothing else now.
-- The row says so (alone), so that a loss can be counted against this job and no other (I11). Returns rows as claim does, at most one.
-- Locks: the worker's row for key share, then one job that it can have at once.
create or replace function pgqueue.claim_alone(worker_id bigint, epoch integer, token bigint, queue text, tasks text[])
returns table (id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint, timeout interval,
               priority smallint, run_at timestamptz, created_at timestamptz, expired boolean, key text, group_key text)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _id bigint;
  _gated boolean;
begin
  perform from pgqueue.worker_processes w
  where w.id = claim_alone.worker_id and w.epoch = claim_alone.epoch and w.lost_at is null
  for key share;
  if not found or exists (select from pgqueue.paused_queues p where p.queue = claim_alone.queue) then
    return;
  end if;
  for _round in 1 .. 8 loop
    select q.id, q.gated into _id, _gated from pgqueue.queued_jobs q
    where q.queue = claim_alone.queue and q.suspect and q.worker_id is null and q.run_at <= _at and q.task = any (tasks)
    order by q.priority, q.run_at, q.id
    limit 1
    for update skip locked;
    exit when not found or not _gated or _id = any (pgqueue.gate(array[_id], queue, tasks, _at, 1));
    _id := null;
  end loop;
  delete from pgqueue.permits p where p.kind = 'fair' and p.job_id = _id;  -- its share is taken, as in claim: else it would count against its key for ever
  return query
  with claimed as (
    update pgqueue.queued_jobs j
    set worker_id = claim_alone.worker_id, token = claim_alone.token, attempt = j.attempt + 1, started_at = _at, alone = true
    where j.id = _id and j.worker_id is null
    returning j.id, j.task, j.args_day, j.attempt, j.failures, j.losses, j.max_attempts, j.timeout, j.priority, j.run_at, j.created_at, j.expires_at, j.key
  )
  select c.id, c.task, a.args::text, a.meta::text, c.attempt, c.failures, c.losses, c.max_attempts, c.timeout, c.priority, c.run_at, c.created_at,
         c.expires_at <= _at, c.key, a.gates ->> 'group'
  from claimed c left join pgqueue.job_args a on a.id = c.id and a.day = c.args_day;
end $$;
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
-- functions/36_note_incident.sql
-- Notes what was seen of a worker process: by itself, by its supervisor (through another of its processes), or by who rescues. Kinds:
--   loop_blocked    its event loop stands still         thread_overdue  a thread ignores that its job's time is over
--   heartbeat_dead  the thread that beats has ended      gil_held        code holds the interpreter's lock: no Python runs
--   frozen          it was stopped from outside         silent          it beats no more, and nobody knows why
--   ended           the process is gone: killed by its supervisor, or crashed
-- All but the last two mark the worker as stuck since `ago` before now, or since it was already, until `recovered`. Only what may be said of a process that is certainly
-- gone (whoever says so has waited for it): `ended` also declares it lost at once, so that the next rescue hands its jobs on without waiting for
-- the lease. False: this worker has 20 notes already, and nothing was kept of this one. Jobs beyond 100 and text beyond 16,000 characters are cut.
-- Death right after: it has committed. A note has no bearing on leases, tokens or jobs, and may be lost or repeated. Locks: the worker's row.
create function pgqueue.note_incident(worker_id bigint, host text, pid integer, kind text, jobs bigint[] default '{}', detail text default '',
                                      stack text default null, ago interval default '0')
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  update pgqueue.worker_processes w
  set stuck = case when note_incident.kind <> 'ended' then note_incident.kind end,
      stuck_since = case when note_incident.kind <> 'ended' then least(w.stuck_since, clock_timestamp() - ago) end,
      lost_at = case when note_incident.kind = 'ended' then coalesce(w.lost_at, clock_timestamp()) else w.lost_at end
  where w.id = note_incident.worker_id;
  if (select count(*) from pgqueue.incident_log i where i.worker_id = note_incident.worker_id) >= 20 then
    return false;
  end if;
  insert into pgqueue.incident_log (worker_id, host, pid, kind, jobs, detail, stack)
  values (note_incident.worker_id, note_incident.host, note_incident.pid, note_incident.kind, coalesce(note_incident.jobs[1:100], '{}'),
          left(note_incident.detail, 1000), left(note_incident.stack, 16000));
  return true;
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
-- were locked by a handler's own transaction: those are left for the next time. One bad row does not stop the others. Each worker that is declared
-- lost here is noted in incident_log, as silent, and marked as stuck unless somebody knows better what is wrong with it.
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
    select w.id, w.host, w.pid, w.listener_pid, w.listener_at, w.lost_at, w.heartbeat_at
    from pgqueue.worker_processes w
    where not w.rescued and (w.lost_at is not null or w.heartbeat_at + w.lease < clock_timestamp())
    order by w.id
    limit 100
    for update skip locked
  loop
    update pgqueue.worker_processes w
    set lost_at = coalesce(w.lost_at, clock_timestamp()), listener_pid = null,
        stuck = case when w.lost_at is null then coalesce(w.stuck, 'silent') else w.stuck end,
        stuck_since = case when w.lost_at is null then coalesce(w.stuck_since, w.heartbeat_at) else w.stuck_since end
    where w.id = _worker.id;
    perform pgqueue.end_listener(_worker.listener_pid, _worker.listener_at);
    select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'lost', 'error', jsonb_build_object(
             'type', 'WorkerLost', 'message', format('worker %s (%s, pid %s) stopped beating %s', _worker.id, _worker.host, _worker.pid,
               case when j.alone then 'while it ran this job alone' else 'while it held this job, perhaps among others' end))))
    into _outcomes
    from (select q.id, q.token, q.alone from pgqueue.queued_jobs q where q.worker_id = _worker.id order by q.id
          limit _room for update skip locked) j;
    if _worker.lost_at is null then
      insert into pgqueue.incident_log (worker_id, host, pid, kind, jobs, detail)
      values (_worker.id, _worker.host, _worker.pid, 'silent',
              coalesce((select array_agg((o.one ->> 'id')::bigint order by o.place) from jsonb_array_elements(_outcomes) with ordinality as o (one, place)
                        where o.place <= 100), '{}'),
              format('its last heartbeat was at %s; %s jobs were handed on', pgqueue.told_time(_worker.heartbeat_at), coalesce(jsonb_array_length(_outcomes), 0)));
    end if;
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
-- functions/42_hand_on.sql
-- Gives a free group's turn to the first job in its line, which is due from then on, and returns its id (I8). The caller has locked the
-- lane's row and seen that nobody holds the turn. A job that is gone leaves the line, and the next one gets it. With `wait` it
-- waits for the job's row, as settles may; without it, which is how claims ask, a row that somebody has (another claim, which will
-- find the lane busy and look again; a cancel, after which `hand_on_idle` looks) gets no turn yet. Who was replaced meanwhile by something that
-- is due later, or of another group, is no longer in line: only who is taken out of this line, once its row is had, gets the turn.
create or replace function pgqueue.hand_on(queue text, group_key text, at timestamptz, wait boolean) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _id bigint;
begin
  loop
    select w.job_id into _id from pgqueue.lane_waits w
    where w.kind = 'group' and w.name = hand_on.queue and w.key = hand_on.group_key order by w.priority, w.job_id limit 1;
    if not found then
      return null;
    end if;
    if wait then
      perform from pgqueue.queued_jobs j where j.id = _id and j.worker_id is null for update;
    else
      perform from pgqueue.queued_jobs j where j.id = _id and j.worker_id is null for update skip locked;
      if not found and exists (select from pgqueue.queued_jobs j where j.id = _id) then
        return null;
      end if;
    end if;
    if found then
      delete from pgqueue.lane_waits w where w.job_id = _id and w.kind = 'group' and w.name = hand_on.queue and w.key = hand_on.group_key;
      continue when not found;
      update pgqueue.queued_jobs j set run_at = at where j.id = _id;
      insert into pgqueue.permits (job_id, kind, name, key, granted_at) values (_id, 'group', hand_on.queue, hand_on.group_key, at) on conflict do nothing;
      perform pgqueue.wake(hand_on.queue);
      return _id;
    end if;
    delete from pgqueue.lane_waits w where w.job_id = _id and w.kind = 'group' and w.name = hand_on.queue and w.key = hand_on.group_key;
  end loop;
end $$;

-- Looks for turns that nobody has though somebody is in line, and hands them on; and for limits with permits free and somebody in line.
-- Settles do this at once: here comes what a cancel or a claim at the same moment has left. Called by the keeper, it costs a
-- probe of the line for each lane that has one. Returns how many it called. Locks: one lane at a time that it can have at once.
create or replace function pgqueue.hand_on_idle() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _lane record;
  _called bigint := 0;
begin
  for _lane in
    with recursive lines as (
      (select w.kind, w.name, w.key from pgqueue.lane_waits w where w.kind > 'fair' order by w.kind, w.name, w.key limit 1)
      union all
      select n.kind, n.name, n.key from lines l,
      lateral (select w.kind, w.name, w.key from pgqueue.lane_waits w where (w.kind, w.name, w.key) > (l.kind, l.name, l.key)
               order by w.kind, w.name, w.key limit 1) n
    )
    select l.kind, l.name, l.key, r.concurrency from lines l left join pgqueue.limit_rules r on l.kind = 'limit' and r.name = l.name
    where l.kind = 'limit' or not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = l.name and p.key = l.key)
  loop
    perform from pgqueue.lanes l where l.kind = _lane.kind and l.name = _lane.name and l.key = _lane.key for update skip locked;
    continue when not found;
    if _lane.kind = 'group' then
      if not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = _lane.name and p.key = _lane.key) then
        _called := _called + (pgqueue.hand_on(_lane.name, _lane.key, _at, false) is not null)::integer;
      end if;
    elsif _lane.concurrency is not null then
      _called := _called + (select pgqueue.call_waiting(_lane.name, _lane.key, _lane.concurrency - l.held, _at) from pgqueue.lanes l
                            where l.kind = 'limit' and l.name = _lane.name and l.key = _lane.key);
    end if;
  end loop;
  return _called;
end $$;

-- Calls as many of those who wait for a limit's key as there are permits free: they are due now, and take the permits when they are
-- claimed. The caller has locked the lane's row. Locks: the jobs' rows, waiting for their cancelling transactions only.
create or replace function pgqueue.call_waiting(name text, key text, free bigint, at timestamptz) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _called bigint := 0;
  _wait record;
begin
  for _wait in
    select w.priority, w.job_id from pgqueue.lane_waits w
    where w.kind = 'limit' and w.name = call_waiting.name and w.key = call_waiting.key
    order by w.priority, w.job_id limit greatest(free, 0)
  loop
    delete from pgqueue.lane_waits w
    where w.kind = 'limit' and w.name = call_waiting.name and w.key = call_waiting.key and w.priority = _wait.priority and w.job_id = _wait.job_id;
    continue when not found;  -- it was replaced meanwhile: it is not in this line any more, or as somebody who is due later
    update pgqueue.queued_jobs j set run_at = least(j.run_at, at) where j.id = _wait.job_id and j.worker_id is null;
    _called := _called + 1;
    perform pgqueue.wake(q.queue) from pgqueue.queued_jobs q where q.id = _wait.job_id;
  end loop;
  return _called;
end $$;

-- Forgets lanes that nobody uses: no permit out, nobody in line, a bucket that is full again. Returns how many, at most 10,000.
-- Locks: the lanes' rows that it can have at once; who needs one meanwhile makes it anew.
create or replace function pgqueue.sweep_lanes() returns bigint
language sql set search_path = pg_catalog, pg_temp as $$
  with idle as (
    select l.kind, l.name, l.key from pgqueue.lanes l
    where l.held = 0 and coalesce(greatest(l.tat, l.slot) < clock_timestamp(), true)
      and not exists (select from pgqueue.permits p where p.kind = l.kind and p.name = l.name and p.key = l.key)
      and not exists (select from pgqueue.lane_waits w where w.kind = l.kind and w.name = l.name and w.key = l.key)
    limit 10000
    for update skip locked
  ), gone as (
    delete from pgqueue.lanes l using idle i where l.kind = i.kind and l.name = i.name and l.key = i.key returning 1
  )
  select count(*) from gone
$$;
-- functions/45_gate_limits.sql
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
create or replace function pgqueue.gate_limits(ids bigint[], queue text, tasks text[], at timestamptz, room integer) returns bigint[]
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
create or replace function pgqueue.default_burst(rate double precision, per interval) returns integer
language sql immutable parallel safe
return greatest(1, ceil(rate / extract(epoch from per) / 10))::integer;
-- functions/45_gate_shares.sql
-- The gate of fair shares: a job of a fair queue that has a key runs when its key's share comes (deal). One that came another way (it
-- was due later, or is tried again) is parked in its key's line. Returns the ids that may go on. Locks: nothing new.
create or replace function pgqueue.gate_shares(ids bigint[], queue text) returns bigint[]
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _dealt bigint[];
  _late bigint[];
begin
  if not exists (select from pgqueue.queue_policies p where p.queue = gate_shares.queue and p.fair) then
    return ids;
  end if;
  _dealt := array(select p.job_id from pgqueue.permits p where p.job_id = any (ids) and p.kind = 'fair');
  with late as (
    insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
    select 'fair', queue, a.gates ->> 'fair', j.priority, j.id
    from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
    where j.id = any (ids) and j.id <> all (_dealt) and a.gates ? 'fair'
    on conflict do nothing
    returning job_id
  )
  select array_agg(l.job_id) into _late from late l;
  update pgqueue.queued_jobs j set run_at = 'infinity' where j.id = any (_late);
  return array(select i from unnest(ids) i where i <> all (coalesce(_late, '{}')));
end $$;

-- Deals out the shares of a fair queue: of each key's line as many jobs as its weight says, in proportion to what the others with
-- work get, so many that `wanted` jobs can be claimed. What was dealt and not claimed yet counts. A key without work gives its
-- share to the others. Claims take fewer than are dealt, so the jobs of a deal are dated within its last millisecond, each at its place in
-- its key's share: any part of a deal, taken in that order, is in proportion too. One dealer at a time, nobody waits for it.
-- Locks: the queue's lane if it can be had at once, then jobs in line that can be had at once.
create or replace function pgqueue.deal(queue text, wanted integer, at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _key record;
  _ids bigint[];
begin
  perform pgqueue.make_lane('fair', queue, '');
  perform from pgqueue.lanes l where l.kind = 'fair' and l.name = deal.queue and l.key = '' for update skip locked;
  if not found then
    return;
  end if;
  for _key in
    with recursive keys as (
      select (select min(w.key) from pgqueue.lane_waits w where w.kind = 'fair' and w.name = deal.queue) as key
      union all
      select (select min(w.key) from pgqueue.lane_waits w where w.kind = 'fair' and w.name = deal.queue and w.key > k.key) from keys k where k.key is not null
    ), shares as (
      select k.key, coalesce(f.weight, 1) as weight from keys k left join pgqueue.fair_weights f on f.queue = deal.queue and f.key = k.key
      where k.key is not null
    )
    select d.key, d.share,
           d.share - (select count(*) from pgqueue.permits p where p.kind = 'fair' and p.name = deal.queue and p.key = d.key) as room
    from (select s.key, s.weight * greatest(1, ceil(deal.wanted::float8 / sum(s.weight) over ())) as share from shares s) d
  loop
    continue when _key.room <= 0;
    select array_agg(c.id) into _ids
    from (select j.id from pgqueue.lane_waits w join pgqueue.queued_jobs j on j.id = w.job_id
          where w.kind = 'fair' and w.name = deal.queue and w.key = _key.key and j.worker_id is null
          order by w.priority, w.job_id limit _key.room for update of j skip locked) c;
    continue when _ids is null;
    with gone as (  -- who was replaced before its row was had may stand elsewhere now
      delete from pgqueue.lane_waits w where w.kind = 'fair' and w.name = deal.queue and w.key = _key.key and w.job_id = any (_ids) returning w.job_id
    )
    select array_agg(g.job_id) into _ids from gone g;
    continue when _ids is null;
    insert into pgqueue.permits (job_id, kind, name, key, granted_at) select i, 'fair', queue, _key.key, at from unnest(_ids) i;
    update pgqueue.queued_jobs j set run_at = at - make_interval(secs => greatest(0.001 * (1 - i.place / _key.share), 0))
    from (select x.id, row_number() over (order by x.priority, x.id) as place from pgqueue.queued_jobs x where x.id = any (_ids)) i
    where j.id = any (_ids) and j.id = i.id;
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
-- functions/47_take_series.sql
-- Takes the jobs that follow in their groups' lines behind jobs that are about to be claimed, up to `series` of each group with its
-- first one: they go to the same worker, which runs them one after the other. Stops at a job that cannot be had (locked, of another
-- task, with limits of its own, suspect). Returns their ids; they hold their group's turn with the first.
-- Locks: the groups' lanes that it can have at once, in order; the jobs that it can have at once.
create or replace function pgqueue.take_series(heads bigint[], queue text, tasks text[], series integer, at timestamptz) returns bigint[]
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _key text;
  _all bigint[] := '{}';
  _next bigint[];
begin
  for _key in
    select l.key from pgqueue.lanes l
    where l.kind = 'group' and l.name = take_series.queue
      and l.key = any (array(select p.key from pgqueue.permits p where p.kind = 'group' and p.job_id = any (heads)))
    order by l.key
    for update skip locked
  loop
    select array_agg(f.job_id) into _next
    from (select w.job_id, bool_and(j.id is not null) over (order by w.job_id) as unbroken
          from (select x.job_id from pgqueue.lane_waits x
                where x.kind = 'group' and x.name = take_series.queue and x.key = _key order by x.job_id limit series - 1) w
          left join lateral (
            select q.id from pgqueue.queued_jobs q join pgqueue.job_args a on a.id = q.id and a.day = q.args_day
            where q.id = w.job_id and q.worker_id is null and not q.suspect and q.task = any (tasks) and not a.gates ?| array['limits', 'fair']
            for update of q skip locked) j on true) f
    where f.unbroken;
    continue when _next is null;
    _next := array(  -- looked at again now that their rows are had: one may have been replaced meanwhile
      select i from unnest(_next) i join pgqueue.queued_jobs q on q.id = i join pgqueue.job_args a on a.id = q.id and a.day = q.args_day
      where q.task = any (tasks) and not a.gates ?| array['limits', 'fair']);
    with gone as (
      delete from pgqueue.lane_waits w
      where w.kind = 'group' and w.name = take_series.queue and w.key = _key and w.priority = 0 and w.job_id = any (_next)
      returning w.job_id
    )
    select array_agg(g.job_id) into _next from gone g;
    continue when _next is null;
    insert into pgqueue.permits (job_id, kind, name, key, granted_at) select i, 'group', queue, _key, at from unnest(_next) i;
    _all := _all || _next;
  end loop;
  return _all;
end $$;
-- functions/50_cancel.sql
-- Cancels a job and returns the state that it found. A waiting job is cancelled at once; a running one is told to stop, and ends
-- as cancelled unless it succeeds first; a finished or dead one stays as it is. Raises PQ001 unknown job.
-- Locks: the job's row if it can have it at once. If not (a claim, a settle, or a handler's own transaction has it), it leaves
-- a request beside it, which the worker reads at its next heartbeat or wake-up, every settle checks, and the keeper sweeps. A request
-- that is there already is left alone: a handler's transaction that completes the job may be deleting it.
create or replace function pgqueue.cancel(id bigint) returns text
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _state text;
begin
  if pgqueue.try_waiting(cancel.id) then
    return pgqueue.cancel_waiting(cancel.id, _at);
  end if;
  _state := pgqueue.stored_state(cancel.id);
  if _state is null then
    perform pgqueue.unknown_job(cancel.id);
  elsif _state in ('scheduled', 'ready', 'blocked', 'running') then
    if not exists (select from pgqueue.cancel_requests c where c.job_id = cancel.id) then
      insert into pgqueue.cancel_requests (job_id, requested_at) values (cancel.id, _at) on conflict do nothing;
    end if;
    perform pg_notify(pgqueue.wake_channel(null), '') where pg_notification_queue_usage() < 0.5;  -- as in wake
  end if;
  return _state;
end $$;
-- functions/51_reopen_nodes.sql
drop function pgqueue.reopen_nodes;
drop function pgqueue.skips;
-- Whether a node would be skipped, as its parents stand.
create or replace function pgqueue.skips(id bigint) returns boolean
language sql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  select coalesce(sum(pgqueue.misses(l.condition, p.outcome)), 0) > 0
         or n.asks_failure and count(*) filter (where p.outcome is null) = 0 and coalesce(sum(pgqueue.hits(l.condition, p.outcome, n.verdict)), 0) = 0
  from pgqueue.flow_nodes n join pgqueue.flow_links l on l.child_id = n.id join pgqueue.flow_nodes p on p.id = l.parent_id
  where n.id = skips.id
  group by n.id, n.asks_failure, n.verdict
$$;

-- Whether a barrier is the end of a saga that has failed and is undone: an undo of it runs, has run, or waits its turn. What came before it, its
-- steps and what they added, must not run again by itself: what earlier steps did is gone.
create or replace function pgqueue.is_undone(id bigint) returns boolean
language sql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  select exists (
    select from pgqueue.flow_nodes e
    join pgqueue.flow_links l on l.parent_id = e.id
    cross join lateral (select n.role, n.outcome from pgqueue.flow_nodes n where n.id = l.child_id offset 0) u
    where e.id = is_undone.id and not e.is_job and e.outcome in ('dead', 'cancelled') and u.role = 'undo' and u.outcome is distinct from 'skipped')
$$;

-- The barriers at the end of batches that have failed because of these nodes, among others, and of the batches that these are members of. Not those of sagas: what
-- they let go undoes. `blocked` asks for those that were reopened and wait again; null for both, also such as have not ended.
create or replace function pgqueue.batch_ends(ids bigint[], blocked boolean) returns bigint[]
language sql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  with recursive ends as (
    select l.child_id as id from pgqueue.flow_links l
    where l.parent_id = any (ids) and l.condition = 'ended'
      and (select not n.is_job and n.verdict and case batch_ends.blocked when true then n.blocked when false then n.outcome = 'dead' else n.blocked or n.outcome = 'dead' end
           from pgqueue.flow_nodes n where n.id = l.child_id)
    union
    select l.child_id from ends e join pgqueue.flow_links l on l.parent_id = e.id
    where l.condition = 'ended'
      and (select not n.is_job and n.verdict and case batch_ends.blocked when true then n.blocked when false then n.outcome = 'dead' else n.blocked or n.outcome = 'dead' end
           from pgqueue.flow_nodes n where n.id = l.child_id)
  )
  select coalesce(array_agg(e.id), '{}') from ends e
  where not exists (select from pgqueue.flow_links l where l.parent_id = e.id and (select u.role = 'undo' from pgqueue.flow_nodes u where u.id = l.child_id))
$$;

-- Reopens the nodes among these ids, because an operator runs them again (I15): jobs that are in the queue again, or barriers. Children that
-- still wait count them as parents that have not ended; children that have started or ended are left alone, so nothing is called
-- twice. A job that never started, and a barrier, is judged anew: it waits for its parents, and if one of them has failed, until that
-- is retried too, whatever its policy says (patient). With a member goes the end of its batch, if that has failed: it counts anew, and says once more
-- what became of all. Callbacks that were called are not waiting for it any more; one that was skipped can be called now (recall_skipped).
-- Raises PQ003 for a step of a saga that was given up, in whatever flow: its undos run or have run, or, where it had done nothing yet, would not be
-- there for it if it ran by itself (retry_flow, which reopens all of such a saga, says so in pgq.retried); and for a job that would be skipped again.
-- I6: counts are taken under the locks of the node, of its unfinished parents (a settle that is under way has them: it commits first, or
-- finds the node blocked), of its waiting children, and of the ends of its batches. Locks: all these by (rank, id), those of other gathering children excepted,
-- who get a delta (parents of a batch's end only where it has failed: of one that waits there may be thousands); a child that was linked while it waited for these locks comes last.
create or replace function pgqueue.reopen_nodes(ids bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_nestloop = off set enable_hashjoin = on set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _nodes bigint[] := array(select n.id from pgqueue.flow_nodes n where n.id = any (ids));
  _ends bigint[];
  _failed bigint[];
  _again bigint[];
  _id bigint;
begin
  if _nodes = '{}' then
    return;
  end if;
  _ends := pgqueue.batch_ends(_nodes, null);
  _failed := pgqueue.batch_ends(_nodes, false);
  perform from pgqueue.flow_nodes n
  where n.id = any (array(
    select unnest(_nodes)
    union
    select unnest(_ends)
    union
    select l.child_id from pgqueue.flow_links l
    where l.parent_id = any (_nodes) and (select c.blocked and not c.gather from pgqueue.flow_nodes c where c.id = l.child_id)
    union
    select l.parent_id from pgqueue.flow_links l
    where l.child_id = any (_nodes || _failed) and (select p.outcome is null from pgqueue.flow_nodes p where p.id = l.parent_id)))
  order by n.rank, n.id
  for no key update;
  _nodes := array(select unnest(_nodes) union select unnest(pgqueue.batch_ends(_nodes, false)));  -- as they stand under the locks
  select n.id into _id
  from pgqueue.flow_nodes n
  join pgqueue.flow_links l on l.parent_id = n.id and l.parent_id = any (_nodes)
  join pgqueue.flow_nodes e on e.id = l.child_id
  where n.id = any (_nodes) and n.role = 'step' and not e.is_job and e.outcome is not null
    and (e.verdict or (select f.kind from pgqueue.job_flows f where f.id = n.flow_id) = 'saga')
    and (pgqueue.is_undone(e.id) or current_setting('pgq.retried', true) is distinct from n.flow_id::text)
  limit 1;
  if found then
    raise exception using errcode = 'PQ003', message = format(
      'job %s is a step of a saga that was given up: if nothing of it was done yet, retry its flow, else enqueue the saga anew', _id);
  end if;
  select n.id into _id from pgqueue.flow_nodes n where n.id = any (_nodes) and n.outcome = 'skipped' and pgqueue.skips(n.id) limit 1;
  if found then
    raise exception using errcode = 'PQ003', message = format('job %s was skipped, because what it is there for did not happen: retry its parents, or the flow', _id);
  end if;

  with was as materialized (
    select n.id, n.outcome from pgqueue.flow_nodes n where n.id = any (_nodes) and n.outcome is not null
  ), told as materialized (
    select c.id, c.gather, count(*)::integer as pending, sum(pgqueue.breaches(l.condition, w.outcome))::integer as breached,
           sum(pgqueue.misses(l.condition, w.outcome))::integer as missed, sum(pgqueue.hits(l.condition, w.outcome, c.verdict))::integer as hits
    from was w
    join pgqueue.flow_links l on l.parent_id = w.id and l.parent_id = any (_nodes)
    cross join lateral (select n.id, n.gather, n.verdict from pgqueue.flow_nodes n where n.id = l.child_id and n.blocked offset 0) c
    group by c.id, c.gather
  ), narrow as (
    update pgqueue.flow_nodes c
    set pending = c.pending + t.pending, breached = c.breached - t.breached, missed = c.missed - t.missed, hits = c.hits - t.hits
    from told t where c.id = any (array(select x.id from told x where not x.gather)) and c.id = t.id
  ), wide as (
    insert into pgqueue.flow_deltas (child_id, pending, breached, missed, hits)
    select t.id, -t.pending, -t.breached, -t.missed, -t.hits from told t where t.gather
  )
  update pgqueue.flow_nodes n set outcome = null, result = null, ended_at = null from was w where n.id = any (_nodes) and n.id = w.id;

  _again := array(select n.id from pgqueue.flow_nodes n
                  where n.id = any (_nodes) and (not n.is_job or exists (select from pgqueue.queued_jobs j where j.id = n.id and j.attempt = 0)));
  with counted as materialized (
    select l.child_id as id, count(*) filter (where p.outcome is null) as pending, sum(pgqueue.breaches(l.condition, p.outcome)) as breached,
           sum(pgqueue.misses(l.condition, p.outcome)) as missed, sum(pgqueue.hits(l.condition, p.outcome, c.verdict)) as hits
    from pgqueue.flow_links l
    join pgqueue.flow_nodes c on c.id = l.child_id and c.id = any (_again)
    cross join lateral (select n.outcome from pgqueue.flow_nodes n where n.id = l.parent_id offset 0) p
    where l.child_id = any (_again)
    group by l.child_id
  ), stale as (
    delete from pgqueue.flow_deltas d where d.child_id = any (_again)
  )
  update pgqueue.flow_nodes n
  set blocked = true, patient = n.id = any (ids), due = null, pending = coalesce(c.pending, 0), breached = coalesce(c.breached, 0), missed = coalesce(c.missed, 0),
      hits = coalesce(c.hits, 0)
  from unnest(_again) as a (id) left join counted c on c.id = a.id
  where n.id = any (_again) and n.id = a.id;
  update pgqueue.queued_jobs j set run_at = 'infinity' where j.id = any (_again);
  perform pgqueue.advance_nodes('{}', _again, at);
end $$;

-- Puts callbacks back that were skipped because their batch had failed, and what was skipped with them, now that one of its members is tried again
-- (`ids`; reopen_nodes has reopened the batch's end): should all succeed after all, on_success is called, for the first time. They wait for that as in the
-- beginning, and are skipped again if not. One whose key another job holds, or whose arguments retention has dropped, stays as it is, told in a warning.
-- retry_flow does this by itself, for all of a flow. Locks: the callbacks' history rows that it can have at once, then as retry, by (rank, id).
create or replace function pgqueue.recall_skipped(ids bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _node record;
  _job record;
begin
  for _node in
    with recursive skipped as (
      select l.child_id as id from pgqueue.flow_links l
      where l.parent_id = any (pgqueue.batch_ends(ids, true)) and l.condition = 'if_succeeded'
        and (select n.outcome = 'skipped' from pgqueue.flow_nodes n where n.id = l.child_id)
      union
      select l.child_id from skipped s join pgqueue.flow_links l on l.parent_id = s.id
      where (select n.outcome = 'skipped' or not n.is_job and n.outcome = 'succeeded' from pgqueue.flow_nodes n where n.id = l.child_id)
    )
    select n.id, n.is_job, n.flow_id from pgqueue.flow_nodes n where n.id = any (array(select s.id from skipped s)) order by n.rank, n.id
  loop
    continue when current_setting('pgq.retried', true) = _node.flow_id::text
      or (select n.outcome is null from pgqueue.flow_nodes n where n.id = _node.id) or pgqueue.skips(_node.id);
    if not _node.is_job then
      perform pgqueue.reopen_nodes(array[_node.id], at);
      continue;
    end if;
    select f.queue, f.key, f.args_day into _job from pgqueue.finished_jobs f where f.id = _node.id and not f.succeeded for update skip locked;
    continue when not found;
    if not exists (select from pgqueue.job_args a where a.id = _node.id and a.day = _job.args_day)
       or _job.key is not null and pgqueue.hold_key(_node.id, _job.queue, _job.key, null) is not null then
      raise warning 'job % stays skipped: its key % is held by another job, or its arguments are gone', _node.id, _job.key;
      continue;
    end if;
    perform pgqueue.requeue_cancelled(array[_node.id], at);
  end loop;
end $$;
-- functions/52_requeue_dead.sql
-- Puts dead jobs whose rows the caller has locked, and whose keys it holds, back into the queue: due now, both counts at
-- zero, with their ids and the evidence of their attempts. A request to cancel from before is over. A node of a flow is
-- reopened with its job: if it never started it waits for its parents first; callbacks of its
-- batch that were skipped because of it wait again. Raises PQ003 as reopen_nodes. Locks: nodes (reopen_nodes), those requests.
create or replace function pgqueue.requeue_dead(ids bigint[], at timestamptz) returns void
language plpgsql as $$
#variable_conflict use_column
begin
  perform pgqueue.ensure_day(at);
  with gone as (
    delete from pgqueue.dead_jobs d where d.id = any (ids)
    returning d.id, d.created_at, d.args_day, d.attempt, d.priority, d.suspect, d.max_attempts, d.timeout, d.queue, d.task, d.key, d.attempts
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select g.id, at, e.started_at, e.finished_at, e.worker_id, e.attempt, e.outcome, e.error
    from gone g, jsonb_to_recordset(g.attempts) as e (started_at timestamptz, finished_at timestamptz, worker_id bigint, attempt integer,
                                                      outcome text, error jsonb)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, attempt, priority, suspect, max_attempts, timeout, queue, task, key, gated, linked)
  select g.id, at, g.created_at, g.args_day, g.attempt, g.priority, g.suspect, g.max_attempts, g.timeout, g.queue, g.task, g.key,
         exists (select from pgqueue.job_args a where a.id = g.id and a.day = g.args_day and a.gates is not null), pgqueue.is_node(g.id)
  from gone g;
  perform pgqueue.reopen_nodes(ids, at);
  perform pgqueue.recall_skipped(ids, at);
  perform pgqueue.line_up(ids, at);
  delete from pgqueue.cancel_requests c where c.job_id = any (ids);
  perform pgqueue.wake(q.queue) from (select distinct j.queue from pgqueue.queued_jobs j where j.id = any (ids)) q;
end $$;
-- functions/53_requeue_cancelled.sql
-- Puts cancelled jobs, whose rows the caller has locked and whose keys it holds, back into the queue, due now. Returns how many: who is gone
-- meanwhile does not count. A node of a flow is reopened with its job, as in requeue_dead.
-- Locks: the jobs' history rows, nodes (reopen_nodes), requests to cancel.
create or replace function pgqueue.requeue_cancelled(ids bigint[], at timestamptz) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _ids bigint[];
begin
  with gone as (
    delete from pgqueue.finished_jobs f where f.id = any (ids) and not f.succeeded
    returning f.id, f.finished_at, f.started_at, f.worker_id, f.created_at, f.args_day, f.attempt, f.priority, f.suspect, f.max_attempts, f.timeout,
              f.queue, f.task, f.key, f.error
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select g.id, at, g.started_at, g.finished_at, g.worker_id, g.attempt, 'cancelled', g.error from gone g where g.worker_id is not null
  ), queued as (
    insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, attempt, priority, suspect, max_attempts, timeout, queue, task, key, gated, linked)
    select g.id, at, g.created_at, g.args_day, g.attempt, g.priority, g.suspect, g.max_attempts, g.timeout, g.queue, g.task, g.key,
           exists (select from pgqueue.job_args a where a.id = g.id and a.day = g.args_day and a.gates is not null), pgqueue.is_node(g.id)
    from gone g
    returning id
  )
  select array_agg(q.id order by q.id) into _ids from queued q;
  if _ids is null then
    return 0;
  end if;
  perform pgqueue.reopen_nodes(_ids, at);
  perform pgqueue.recall_skipped(_ids, at);
  perform pgqueue.line_up(_ids, at);
  delete from pgqueue.cancel_requests c where c.job_id = any (_ids);
  perform pgqueue.wake(q.queue) from (select distinct j.queue from pgqueue.queued_jobs j where j.id = any (_ids)) q;
  return cardinality(_ids);
end $$;
-- functions/55_redrive.sql
drop function pgqueue.redrive;
-- Makes dead jobs ready again, oldest first, all or those of a queue, a task, a list of ids, up to a limit, and returns how many. A job whose key
-- another job holds stays dead and is reported by a warning of its own, and so is one that fails to move; the others move. Raises PQ004.
-- Locks: dead jobs in id order, passing by locked ones, then their keys in the order of (queue, key), as enqueue_many does.
create or replace function pgqueue.redrive(queue text default null, task text default null, "limit" integer default null,
  ids bigint[] default null) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _ids bigint[];
  _job record;
  _holder bigint;
begin
  if redrive."limit" < 0 then
    raise exception using errcode = 'PQ004', message = format('redrive: limit must not be negative, got %s', redrive."limit");
  end if;
  select coalesce(array_agg(c.id), '{}') into _ids
  from (select d.id from pgqueue.dead_jobs d
        where (redrive.queue is null or d.queue = redrive.queue) and (redrive.task is null or d.task = redrive.task)
          and (redrive.ids is null or d.id = any (redrive.ids))
          and not exists (select from pgqueue.job_keys k where k.queue = d.queue and k.key = d.key and pgqueue.key_holds(k.job_id, k.until))
        order by d.id
        limit redrive."limit"
        for update of d skip locked) c;
  for _job in
    select d.id, d.queue, d.key from pgqueue.dead_jobs d where d.id = any (_ids) and d.key is not null
    order by d.queue collate "C", d.key collate "C", d.id
  loop
    _holder := pgqueue.hold_key(_job.id, _job.queue, _job.key, null);
    if _holder is not null then
      _ids := array_remove(_ids, _job.id);
    end if;
  end loop;
  begin
    perform pgqueue.requeue_dead(_ids, clock_timestamp());
  exception when others then
    raise warning 'redrive: % (%); going on job by job', sqlerrm, sqlstate;
    _ids := pgqueue.requeue_dead_singly(_ids);
  end;
  for _job in
    select d.id, d.queue, d.key, k.job_id as holder
    from pgqueue.dead_jobs d join pgqueue.job_keys k on k.queue = d.queue and k.key = d.key
    where (redrive.queue is null or d.queue = redrive.queue) and (redrive.task is null or d.task = redrive.task)
      and (redrive.ids is null or d.id = any (redrive.ids)) and pgqueue.key_holds(k.job_id, k.until)
    order by d.id
    limit 1000
  loop
    raise warning 'job % stays dead: its key "%" of queue "%" is held by job %', _job.id, _job.key, _job.queue, _job.holder;
  end loop;
  return cardinality(_ids);
end $$;
-- functions/57_backlog.sql
-- Jobs due plus jobs running, of a queue or of all: what an autoscaler divides by, as often as it likes. Jobs due later and parked jobs do not
-- count, and a message group with jobs under way counts once. Bounded, whatever there is (benchmarks/numbers.py):
--   Up to 50,000 jobs are counted, along the index of claims, where those due later and the parked ones come last: exact. Of more, what depths()
--   estimates, some per cent off, but never less than was counted. So too with jobs in more than 2,000 pairs of queue and priority.
--   Groups are in the arguments' table, where each job with gates has to be looked up. Of more than 5,000 such jobs the first 5,000 tell how many
--   would count.
--   While more than 200,000 dead rows await vacuum the index is full of dead entries. Then the estimate is taken when it is above 10,000; else,
--   because autoscalers go down to zero, the jobs are counted in the table, as it lies: the one case in which the cost grows with what was there.
-- With its owner's rights: autoscalers are viewers, who may see the number but not the jobs. Locks nothing.
create or replace function pgqueue.backlog(queue text default null) returns bigint
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
#variable_conflict use_column
declare
  _most constant integer := 50000;
  _looked_up constant integer := 5000;
  _pairs_most constant integer := 2000;
  _sure constant integer := 10000;
  _small_pages constant integer := 1200;
  _dead_most constant integer := 200000;
  _at constant timestamptz := clock_timestamp();
  _queue constant text := backlog.queue;
  _table constant regclass := to_regclass(format('%I.%I', pgqueue.schema_name(), 'queued_jobs'));
  _is_small constant boolean := pg_relation_size(_table) / current_setting('block_size')::integer <= _small_pages;
  _by_index constant boolean := not _is_small and pg_stat_get_dead_tuples(_table) < _dead_most;
  _estimate bigint;
  _limit integer;
  _met bigint;      -- jobs due or running that were seen
  _counting bigint; -- of these, a busy group once
  _is_all boolean;
begin
  if not _is_small and not _by_index then
    select coalesce(sum(d.ready + d.running), 0) into _estimate from pgqueue.depths() d where _queue is null or d.queue = _queue;
    if _estimate > _sure then
      return _estimate;
    end if;
  end if;
  foreach _limit in array array[_looked_up, _most] loop
    with recursive lines (queue, priority, n) as (
      select f.queue, f.priority, 1 from (
        (select j.queue, j.priority from pgqueue.queued_jobs j where _queue is null and not j.suspect order by j.queue, j.priority limit 1)
        union all
        (select j.queue, j.priority from pgqueue.queued_jobs j where j.queue = _queue and not j.suspect order by j.priority limit 1)) f
      where _by_index
      union all
      select n.queue, n.priority, l.n + 1 from lines l, lateral (  -- one of the two
        (select j.queue, j.priority from pgqueue.queued_jobs j
         where _queue is null and not j.suspect and (j.queue, j.priority) > (l.queue, l.priority) order by j.queue, j.priority limit 1)
        union all
        (select j.queue, j.priority from pgqueue.queued_jobs j
         where j.queue = _queue and not j.suspect and j.priority > l.priority order by j.priority limit 1)) n
      where l.n < _pairs_most
    ), met as materialized (
      (select j.id, j.queue, j.args_day, j.gated
       from lines l, lateral (select x.id, x.queue, x.args_day, x.gated from pgqueue.queued_jobs x
                              where not x.suspect and x.queue = l.queue and x.priority = l.priority and x.run_at <= _at limit _limit + 1) j
       limit _limit + 1)
      union all
      (select j.id, j.queue, j.args_day, j.gated from pgqueue.queued_jobs j
       where _by_index and j.suspect and (_queue is null or j.queue = _queue) and (j.worker_id is not null or j.run_at <= _at)
       limit _limit + 1)
      union all
      (select j.id, j.queue, j.args_day, j.gated from pgqueue.queued_jobs j tablesample system (100)
       where not _by_index and (_queue is null or j.queue = _queue) and (j.worker_id is not null or j.run_at <= _at))
    ), grouped as (
      select coalesce('g' || m.queue || chr(31) || (select a.gates ->> 'group' from pgqueue.job_args a where a.id = m.id and a.day = m.args_day), m.id::text) as key
      from (select x.id, x.queue, x.args_day from met x where x.gated limit _looked_up) m
    )
    select c.jobs, c.jobs - c.gated + coalesce(round(c.gated * g.counting), 0)::bigint,
           not _by_index or c.jobs <= _limit and (select count(*) from lines l) < _pairs_most
      into strict _met, _counting, _is_all
    from (select count(*) as jobs, count(*) filter (where m.gated) as gated from met m) c,
         (select count(distinct x.key)::double precision / nullif(count(*), 0) as counting from grouped x) g;
    if _is_all then
      return _counting;
    end if;
    _estimate := coalesce(_estimate, (select coalesce(sum(d.ready + d.running), 0) from pgqueue.depths() d where _queue is null or d.queue = _queue));
    exit when _estimate > 4 * _most;  -- however wrong it is, there are more than would be counted
  end loop;
  return greatest(_counting, round(_estimate * (_counting::double precision / greatest(_met, 1))));
end $$;
-- functions/58_enforce_quota.sql
-- The trigger of queues that have a quota: refuses a new job when its queue holds as many unfinished ones as it may. It is on queued_jobs only while
-- some queue has a quota, and its condition names those queues: others pay a comparison, and without quotas nobody pays anything.
-- Counting at each insert would cost as much as the queue is long, and a counter in a row would make producers wait for one another's transactions.
-- So each new job draws a ticket from a sequence, which no transaction holds up: while it is within the quota there is room for certain, as the queue was
-- no longer when it was counted last and at most one job came for each ticket. Beyond it the queue is counted again, at most as often as costs a fiftieth
-- of the time (0.1 us a job), and the tickets go on from there.
-- Not exact in one direction: jobs of transactions that were open while it was counted are not seen, so it may hold so many more. Jobs that come
-- back (retry, redrive) are let in. A ticket drawn in vain (a rollback) is found by the next count.
-- Raises PQ007. Locks: nothing.
create function pgqueue.enforce_quota() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
declare
  _now_us constant bigint := extract(epoch from clock_timestamp()) * 1000000;
  _most bigint;
  _tickets text;
  _counted text;
  _depth bigint;
begin
  select q.max_depth, format('%I.%I', pgqueue.schema_name(), 'quota_tickets_' || q.number), format('%I.%I', pgqueue.schema_name(), 'quota_counted_' || q.number)
  into _most, _tickets, _counted from pgqueue.queue_quotas q where q.queue = new.queue;
  if not found or nextval(_tickets) <= _most then
    return new;
  end if;
  if _now_us - coalesce(pg_sequence_last_value(_counted::regclass), 0) >= 5 * _most then
    perform setval(_counted, _now_us);
    select count(*) into _depth from (select from pgqueue.queued_jobs j where j.queue = new.queue limit _most) j;
    perform setval(_tickets, _depth + 1);
    if _depth < _most then
      return new;
    end if;
  end if;
  raise exception using errcode = 'PQ007',
    message = format('cannot enqueue task %L: queue %L is full, it may hold %s unfinished jobs; try again later, or raise its max_depth', left(new.task, 100), new.queue, _most);
end $$;

-- Sets or (0) takes away a queue's quota; returns whether anything changed. With its owner's rights, as it makes sequences and the trigger. That takes a
-- lock which all inserts and claims would queue behind, so it tries again and again for 200 ms each time, for 20 seconds; then it raises 55P03 and nothing
-- has changed. Locks: the quotas, then queued_jobs (until the caller's transaction ends: commit soon).
create function pgqueue.set_quota(queue text, max_depth bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '200ms' as $$
#variable_conflict use_variable
declare
  _number integer;
  _old bigint;
  _queues text;
begin
  lock table pgqueue.queue_quotas in share row exclusive mode;
  select q.max_depth, q.number into _old, _number from pgqueue.queue_quotas q where q.queue = set_quota.queue;
  if nullif(max_depth, 0) is not distinct from _old then
    return false;
  elsif _old is not null and max_depth > 0 then
    update pgqueue.queue_quotas q set max_depth = set_quota.max_depth where q.queue = set_quota.queue;
    return true;
  end if;
  for _try in 1 .. 60 loop
    begin
      lock table pgqueue.queued_jobs in share row exclusive mode;
      exit;
    exception when lock_not_available then
      if _try = 60 then
        raise exception using errcode = '55P03',
          message = format('the quota of queue %L was not changed: transactions with jobs are open all the time; try again when fewer are', queue);
      end if;
      perform pg_sleep(0.1 + random() * 0.1);
    end;
  end loop;
  if max_depth > 0 then
    insert into pgqueue.queue_quotas as q (queue, max_depth) values (queue, max_depth) returning q.number into _number;
    execute format('create sequence %1$I.%2$I owned by %1$I.queue_quotas.max_depth', pgqueue.schema_name(), 'quota_tickets_' || _number);
    execute format('create sequence %1$I.%2$I owned by %1$I.queue_quotas.max_depth', pgqueue.schema_name(), 'quota_counted_' || _number);
    perform setval(format('%I.%I', pgqueue.schema_name(), 'quota_tickets_' || _number), max_depth);  -- what is there is counted at the first insert
  else
    delete from pgqueue.queue_quotas q where q.queue = set_quota.queue;
    execute format('drop sequence %1$I.%2$I, %1$I.%3$I', pgqueue.schema_name(), 'quota_tickets_' || _number, 'quota_counted_' || _number);
  end if;
  select string_agg(quote_literal(q.queue), ', ' order by q.queue) into _queues from pgqueue.queue_quotas q;
  if _queues is null then
    execute format('drop trigger enforce_quota on %I.queued_jobs', pgqueue.schema_name());
  else
    execute format('create or replace trigger enforce_quota before insert on %1$I.queued_jobs for each row when (new.attempt = 0 and new.queue in (%2$s)) execute function %1$I.enforce_quota()',
                   pgqueue.schema_name(), _queues);
  end if;
  return true;
end $$;
-- functions/58_remove.sql
-- Deletes a finished or dead job with its arguments, attempts, log lines, steps and, if it still holds one for a period, its key. Returns the state it
-- was in. Raises PQ001 unknown job; PQ003 when it is unfinished, or a job of its flow waits for its retry. Looks again when the job has moved between two looks.
-- Locks: the job's row, then what belongs to it.
create or replace function pgqueue.remove(id bigint) returns text
language plpgsql as $$
#variable_conflict use_column
declare
  _state text;
  _job record;
begin
  if exists (select from pgqueue.flow_nodes p join pgqueue.flow_links l on l.parent_id = p.id
             where p.id = remove.id and pgqueue.breaches(l.condition, p.outcome) > 0
               and (select c.blocked from pgqueue.flow_nodes c where c.id = l.child_id)) then
    raise exception using errcode = 'PQ003', message = format('job %s cannot be removed: another job waits until it is retried; cancel that one first', id);
  end if;
  loop
    _state := pgqueue.stored_state(remove.id);
    if _state is null then
      perform pgqueue.unknown_job(remove.id);
    elsif _state = 'dead' then
      delete from pgqueue.dead_jobs d where d.id = remove.id returning d.queue, d.key into _job;
      exit when found;
    elsif _state in ('succeeded', 'cancelled') then
      delete from pgqueue.finished_jobs f where f.id = remove.id returning f.queue, f.key into _job;
      exit when found;
    else
      raise exception using errcode = 'PQ003', message = format('job %s is %s: cancel it first, or wait until it ends', id, _state);
    end if;
  end loop;
  delete from pgqueue.job_args a where a.id = remove.id;
  delete from pgqueue.job_attempts t where t.job_id = remove.id;
  delete from pgqueue.attempt_lines l where l.job_id = remove.id;
  delete from pgqueue.job_steps s where s.job_id = remove.id;
  delete from pgqueue.job_keys k where k.queue = _job.queue and k.key = _job.key and k.job_id = remove.id;
  delete from pgqueue.cancel_requests c where c.job_id = remove.id;
  return _state;
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
-- functions/59_note_action.sql
-- Notes in the audit log that somebody has done something, in the transaction that does it: they commit together or not at all. `actor` is
-- who the dashboard let in, `detail` holds counts and ids, never what jobs carry. Returns the line's id. Raises PQ004 for an actor or an
-- action without a name, and for a detail that is no object or larger than 4 kB.
-- With its owner's rights: admins read the log and cannot change it; db_user is who was connected, whatever the caller says.
-- Each call drops up to 20 lines older than 400 days, so that the log is bounded. Locks: those lines, passing by locked ones.
create function pgqueue.note_action(actor text, role text, action text, target text, detail jsonb default '{}') returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  _id bigint;
begin
  if coalesce(note_action.actor, '') = '' or coalesce(note_action.action, '') = '' then
    raise exception using errcode = 'PQ004', message = 'note_action: actor and action must have a name';
  end if;
  if jsonb_typeof(note_action.detail) is distinct from 'object' or octet_length(note_action.detail::text) > 4096 then
    raise exception using errcode = 'PQ004', message = 'note_action: detail must be an object of at most 4096 bytes';
  end if;
  insert into pgqueue.audit_log (at, actor, role, action, target, detail, db_user)
  values (clock_timestamp(), left(note_action.actor, 256), left(note_action.role, 64), left(note_action.action, 64),
          left(note_action.target, 512), note_action.detail, session_user)
  returning id into _id;
  delete from pgqueue.audit_log l where l.id in (
    select o.id from pgqueue.audit_log o where o.at < clock_timestamp() - interval '400 days' order by o.at limit 20 for update skip locked);
  return _id;
end $$;
-- functions/59_queue_policies.sql
drop function pgqueue.set_share;
drop function pgqueue.set_queue;
-- Says how a queue deals its jobs out; what is null stays as it is. Returns whether anything changed. When it stops being fair, the jobs
-- that waited for their key's share are due now. Raises PQ004; 55P03 as set_quota. Locks: the policy's row, then as set_quota, as release_line.
--   fair   jobs with a fair_key take turns by the weights of their keys (set_share), whatever their number
--   aging  a job that has waited so long counts as one priority higher, and so on; '0' turns it off
--   max_depth  how many unfinished jobs it may hold: then enqueues are refused with PQ007; 0 lifts that (enforce_quota says what is exact)
create or replace function pgqueue.set_queue(queue text, fair boolean default null, aging interval default null, max_depth bigint default null) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  _old pgqueue.queue_policies;
  _limited boolean := false;
begin
  if octet_length(queue) between 1 and 200 is not true then
    raise exception using errcode = 'PQ004', message = format('set_queue: the queue must have a name of 1 to 200 bytes, got %s', coalesce(octet_length(queue), 0));
  elsif aging < '0' then
    raise exception using errcode = 'PQ004', message = format('set_queue: aging must be positive, or 0 to turn it off, got %s', aging);
  elsif max_depth not between 0 and 1000000000 then
    raise exception using errcode = 'PQ004', message = format('set_queue: max_depth must be from 1 to 1000000000, or 0 for a queue without bound, got %s', max_depth);
  end if;
  insert into pgqueue.queue_policies (queue) values (queue) on conflict do nothing;
  select p.* into _old from pgqueue.queue_policies p where p.queue = set_queue.queue for update;
  if max_depth is not null then
    _limited := pgqueue.set_quota(queue, max_depth);
  end if;
  if (_old.fair, _old.aging) is not distinct from (coalesce(fair, _old.fair), nullif(coalesce(aging, _old.aging), '0')) then
    return _limited;
  end if;
  update pgqueue.queue_policies p
  set fair = coalesce(set_queue.fair, p.fair), aging = nullif(coalesce(set_queue.aging, p.aging), '0') where p.queue = set_queue.queue;
  if _old.fair and not fair then
    perform pgqueue.release_line('fair', queue, clock_timestamp());
  end if;
  perform pgqueue.wake(queue);
  return true;
end $$;

-- Says how much of a fair queue a key gets, in proportion to the other keys that have work; a key that nobody spoke of has weight 1, and null
-- or 1 forgets it. Returns whether anything changed. Raises PQ004. Locks: the key's row.
create or replace function pgqueue.set_share(queue text, key text, weight integer) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
  if octet_length(queue) between 1 and 200 is not true or octet_length(key) between 1 and 1000 is not true then
    raise exception using errcode = 'PQ004', message = 'set_share: give a queue and a key';
  elsif weight not between 1 and 1000 then
    raise exception using errcode = 'PQ004', message = format('set_share: weight must be from 1 to 1000, got %s', weight);
  end if;
  if coalesce(weight, 1) = 1 then
    delete from pgqueue.fair_weights w where w.queue = set_share.queue and w.key = set_share.key;
    return found;
  end if;
  insert into pgqueue.fair_weights as w (queue, key, weight) values (queue, key, weight)
  on conflict on constraint fair_weights_pkey do update set weight = excluded.weight where w.weight <> excluded.weight;
  return found;
end $$;
-- functions/67_summarize_history.sql
-- Makes the summaries of the BRIN indexes by time for the pages of a day's history that have been filled, so that a fold reads the newest rows and
-- not all since the last vacuum: autosummarize asks autovacuum, which comes once a minute and forgets what it cannot note. At most 500
-- ranges of 32 pages a table and call; returns how many it made. The last range, which is being filled, stays without one: then inserting costs
-- nothing more. With its owner's rights, as only owners may. Does without while vacuum has the table.
-- Locks: the day's tables, SHARE UPDATE EXCLUSIVE, for 20 ms at most until it has them.
create function pgqueue.summarize_history(day date) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '20ms' as $$
#variable_conflict use_variable
declare
  _range_pages constant bigint := 32;  -- pages_per_range of the indexes
  _state record;
  _table regclass;
  _index regclass;
  _done bigint;
  _ranges bigint;
  _made bigint := 0;
begin
  select case when s.summarized_day = day then s.finished_ranges else 0 end as finished,
         case when s.summarized_day = day then s.attempts_ranges else 0 end as attempts
  into strict _state from pgqueue.statistics_state s;
  foreach _table in array array[to_regclass(format('%I.%I', pgqueue.schema_name(), 'finished_jobs' || to_char(day, '_YYYYMMDD'))),
                                to_regclass(format('%I.%I', pgqueue.schema_name(), 'job_attempts' || to_char(day, '_YYYYMMDD')))] loop
    continue when _table is null;
    _done := case when _table::text like '%finished_jobs%' then _state.finished else _state.attempts end;
    _ranges := least(pg_relation_size(_table) / current_setting('block_size')::bigint / _range_pages - 1, _done + 500);
    continue when _ranges <= _done;
    select i.indexrelid::regclass into _index
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
    where i.indrelid = _table and a.amname = 'brin';
    begin
      perform brin_summarize_range(_index, r * _range_pages) from generate_series(_done, _ranges - 1) r;
      _made := _made + _ranges - _done;
      if _table::text like '%finished_jobs%' then
        _state.finished := _ranges;
      else
        _state.attempts := _ranges;
      end if;
    exception when lock_not_available or deadlock_detected then
      null;  -- vacuum has it, and makes them itself
    end;
  end loop;
  update pgqueue.statistics_state s set summarized_day = day, finished_ranges = _state.finished, attempts_ranges = _state.attempts
  where (s.summarized_day, s.finished_ranges, s.attempts_ranges) is distinct from (day, _state.finished, _state.attempts);
  return _made;
end $$;
-- functions/68_fold_window.sql
-- Two histograms as one.
create function pgqueue.sum_buckets(a bigint[], b bigint[]) returns bigint[]
language sql immutable parallel safe
return array(select x.n + x.m from unnest(a, b) with ordinality as x (n, m, place) order by x.place);

-- Adds the attempts that ended after from_at and not after to_at to the statistics. Returns how many. For fold_statistics, which makes sure
-- that windows do not overlap. Attempts that are evidence of a dead letter are read there, those that a redrive put back into job_attempts by
-- the time at which they ended: wherever one is, it is in one place at a time and counts by its own time. (Of attempts that were put back more
-- than 10 minutes after they ended a fold that is as late does not know: else one that catches up would read everything since, each time.)
-- Locks: rows of the statistics.
create function pgqueue.fold_window(from_at timestamptz, to_at timestamptz) returns bigint
language plpgsql set enable_seqscan = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _attempts bigint;
begin
  with ended as (
    select f.finished_at, f.queue, f.task, case when f.succeeded then 'succeeded' else 'cancelled' end as outcome,
           date_part('epoch', f.started_at - f.run_at) as wait, date_part('epoch', f.finished_at - f.started_at) as run
    from pgqueue.finished_jobs f
    where f.finished_at > from_at and f.finished_at <= to_at and f.worker_id is not null
    union all
    select t.finished_at, j.queue, j.task, t.outcome, null,
           case when t.outcome not in ('lost', 'released') then date_part('epoch', t.finished_at - t.started_at) end
    from pgqueue.job_attempts t
    cross join lateral (select q.queue, q.task from pgqueue.queued_jobs q where q.id = t.job_id
                        union all
                        select f.queue, f.task from pgqueue.finished_jobs f where f.id = t.job_id and f.finished_at > from_at
                        limit 1) j
    where t.logged_at > from_at and t.logged_at <= to_at + interval '10 minutes' and t.finished_at > from_at and t.finished_at <= to_at
    union all
    select e.finished_at, d.queue, d.task, e.outcome,
           case when e.attempt = d.attempt then date_part('epoch', d.started_at - d.run_at) end,
           case when e.outcome not in ('lost', 'released') then date_part('epoch', e.finished_at - e.started_at) end
    from pgqueue.dead_jobs d
    cross join lateral jsonb_to_recordset(d.attempts) as e (attempt integer, started_at timestamptz, finished_at timestamptz, outcome text)
    where d.died_at > from_at and d.created_at <= to_at and e.finished_at > from_at and e.finished_at <= to_at
  ), counted as materialized (
    select date_bin('1 minute', e.finished_at, '2000-01-01 00:00:00+00') as minute, e.queue, e.task, e.outcome,
           pgqueue.bucket_of(e.wait) as wait_place, pgqueue.bucket_of(e.run) as run_place,
           count(*) as n, sum(greatest(e.wait, 0)) as wait, sum(greatest(e.run, 0)) as run
    from ended e group by 1, 2, 3, 4, 5, 6
  ), minutes as (
    select c.minute, c.queue, c.task,
           coalesce(sum(c.n) filter (where c.outcome = 'succeeded'), 0)::bigint as succeeded,
           coalesce(sum(c.n) filter (where c.outcome = 'failed'), 0)::bigint as failed,
           coalesce(sum(c.n) filter (where c.outcome = 'dead'), 0)::bigint as dead,
           coalesce(sum(c.n) filter (where c.outcome = 'cancelled'), 0)::bigint as cancelled,
           coalesce(sum(c.n) filter (where c.outcome = 'lost'), 0)::bigint as lost,
           coalesce(sum(c.n) filter (where c.outcome = 'snoozed'), 0)::bigint as snoozed,
           coalesce(sum(c.n) filter (where c.outcome = 'released'), 0)::bigint as released,
           coalesce(sum(c.wait), 0) as wait_seconds, coalesce(sum(c.run), 0) as run_seconds,
           array_replace(array[sum(c.n) filter (where c.wait_place = 1), sum(c.n) filter (where c.wait_place = 2), sum(c.n) filter (where c.wait_place = 3),
           sum(c.n) filter (where c.wait_place = 4), sum(c.n) filter (where c.wait_place = 5), sum(c.n) filter (where c.wait_place = 6), sum(c.n)
           filter (where c.wait_place = 7), sum(c.n) filter (where c.wait_place = 8), sum(c.n) filter (where c.wait_place = 9), sum(c.n) filter (where
           c.wait_place = 10), sum(c.n) filter (where c.wait_place = 11), sum(c.n) filter (where c.wait_place = 12), sum(c.n) filter (where
           c.wait_place = 13), sum(c.n) filter (where c.wait_place = 14), sum(c.n) filter (where c.wait_place = 15), sum(c.n) filter (where
           c.wait_place = 16)]::bigint[], null, 0) as wait_buckets,
           array_replace(array[sum(c.n) filter (where c.run_place = 1), sum(c.n) filter (where c.run_place = 2), sum(c.n) filter (where c.run_place = 3),
           sum(c.n) filter (where c.run_place = 4), sum(c.n) filter (where c.run_place = 5), sum(c.n) filter (where c.run_place = 6), sum(c.n) filter
           (where c.run_place = 7), sum(c.n) filter (where c.run_place = 8), sum(c.n) filter (where c.run_place = 9), sum(c.n) filter (where
           c.run_place = 10), sum(c.n) filter (where c.run_place = 11), sum(c.n) filter (where c.run_place = 12), sum(c.n) filter (where c.run_place =
           13), sum(c.n) filter (where c.run_place = 14), sum(c.n) filter (where c.run_place = 15), sum(c.n) filter (where c.run_place =
           16)]::bigint[], null, 0) as run_buckets
    from counted c group by c.minute, c.queue, c.task
  ), sums as (
    select c.queue, c.task,
           coalesce(sum(c.n) filter (where c.outcome = 'succeeded'), 0)::bigint as succeeded,
           coalesce(sum(c.n) filter (where c.outcome = 'failed'), 0)::bigint as failed,
           coalesce(sum(c.n) filter (where c.outcome = 'dead'), 0)::bigint as dead,
           coalesce(sum(c.n) filter (where c.outcome = 'cancelled'), 0)::bigint as cancelled,
           coalesce(sum(c.n) filter (where c.outcome = 'lost'), 0)::bigint as lost,
           coalesce(sum(c.n) filter (where c.outcome = 'snoozed'), 0)::bigint as snoozed,
           coalesce(sum(c.n) filter (where c.outcome = 'released'), 0)::bigint as released,
           coalesce(sum(c.wait), 0) as wait_seconds, coalesce(sum(c.run), 0) as run_seconds,
           array_replace(array[sum(c.n) filter (where c.wait_place = 1), sum(c.n) filter (where c.wait_place = 2), sum(c.n) filter (where c.wait_place = 3),
           sum(c.n) filter (where c.wait_place = 4), sum(c.n) filter (where c.wait_place = 5), sum(c.n) filter (where c.wait_place = 6), sum(c.n)
           filter (where c.wait_place = 7), sum(c.n) filter (where c.wait_place = 8), sum(c.n) filter (where c.wait_place = 9), sum(c.n) filter (where
           c.wait_place = 10), sum(c.n) filter (where c.wait_place = 11), sum(c.n) filter (where c.wait_place = 12), sum(c.n) filter (where
           c.wait_place = 13), sum(c.n) filter (where c.wait_place = 14), sum(c.n) filter (where c.wait_place = 15), sum(c.n) filter (where
           c.wait_place = 16)]::bigint[], null, 0) as wait_buckets,
           array_replace(array[sum(c.n) filter (where c.run_place = 1), sum(c.n) filter (where c.run_place = 2), sum(c.n) filter (where c.run_place = 3),
           sum(c.n) filter (where c.run_place = 4), sum(c.n) filter (where c.run_place = 5), sum(c.n) filter (where c.run_place = 6), sum(c.n) filter
           (where c.run_place = 7), sum(c.n) filter (where c.run_place = 8), sum(c.n) filter (where c.run_place = 9), sum(c.n) filter (where
           c.run_place = 10), sum(c.n) filter (where c.run_place = 11), sum(c.n) filter (where c.run_place = 12), sum(c.n) filter (where c.run_place =
           13), sum(c.n) filter (where c.run_place = 14), sum(c.n) filter (where c.run_place = 15), sum(c.n) filter (where c.run_place =
           16)]::bigint[], null, 0) as run_buckets
    from counted c group by c.queue, c.task
  ), added as (
    insert into pgqueue.statistics_minutes as m (minute, queue, task, succeeded, failed, dead, cancelled, lost, snoozed, released, wait_seconds, wait_buckets, run_seconds, run_buckets)
    select s.minute, s.queue, s.task, s.succeeded, s.failed, s.dead, s.cancelled, s.lost, s.snoozed, s.released, s.wait_seconds, s.wait_buckets, s.run_seconds, s.run_buckets
    from minutes s
    on conflict (minute, queue, task)
      do update set succeeded = m.succeeded + excluded.succeeded, failed = m.failed + excluded.failed, dead = m.dead + excluded.dead, cancelled =
      m.cancelled + excluded.cancelled, lost = m.lost + excluded.lost, snoozed = m.snoozed + excluded.snoozed, released = m.released +
      excluded.released, wait_seconds = m.wait_seconds + excluded.wait_seconds, run_seconds = m.run_seconds + excluded.run_seconds, wait_buckets =
      pgqueue.sum_buckets(m.wait_buckets, excluded.wait_buckets), run_buckets = pgqueue.sum_buckets(m.run_buckets, excluded.run_buckets)
  ), overall as (
    insert into pgqueue.overall_minutes as m (minute, succeeded, failed)
    select s.minute, sum(s.succeeded), sum(s.failed + s.dead + s.lost) from minutes s group by s.minute
    on conflict (minute) do update set succeeded = m.succeeded + excluded.succeeded, failed = m.failed + excluded.failed
  ), grown as (
    insert into pgqueue.statistics_sums as m (queue, task, succeeded, failed, dead, cancelled, lost, snoozed, released, wait_seconds, wait_buckets, run_seconds, run_buckets)
    select s.queue, s.task, s.succeeded, s.failed, s.dead, s.cancelled, s.lost, s.snoozed, s.released, s.wait_seconds, s.wait_buckets, s.run_seconds, s.run_buckets
    from sums s
    on conflict (queue, task)
      do update set succeeded = m.succeeded + excluded.succeeded, failed = m.failed + excluded.failed, dead = m.dead + excluded.dead, cancelled =
      m.cancelled + excluded.cancelled, lost = m.lost + excluded.lost, snoozed = m.snoozed + excluded.snoozed, released = m.released +
      excluded.released, wait_seconds = m.wait_seconds + excluded.wait_seconds, run_seconds = m.run_seconds + excluded.run_seconds, wait_buckets =
      pgqueue.sum_buckets(m.wait_buckets, excluded.wait_buckets), run_buckets = pgqueue.sum_buckets(m.run_buckets, excluded.run_buckets),
      counted_at = now()
  )
  select coalesce(sum(c.n), 0) into _attempts from counted c;
  return _attempts;
end $$;
-- functions/68_named_queues.sql
-- These queues, and those that have dead letters, are paused, or are served by a worker; with their dead letters, exact up to 10,000 of them in
-- all, above that scaled up from pages drawn at random. For depths, with the rights that it has.
create function pgqueue.named_queues(queues text[]) returns table (queue text, paused boolean, dead bigint, estimated boolean)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _most constant integer := 10000;
  _drawn_pages constant integer := 500;
  _pages constant bigint := pg_relation_size(to_regclass(format('%I.%I', pgqueue.schema_name(), 'dead_jobs'))) / current_setting('block_size')::integer;
begin
  return query
  with met as materialized (
    select d.queue from pgqueue.dead_jobs d limit _most + 1
  ), exactness as materialized (
    select count(*) <= _most as is_exact from met
  ), dead as (
    select m.queue, count(*) as dead from met m where (select e.is_exact from exactness e) group by m.queue
    union all
    select d.queue, (count(*) * greatest(1, _pages::double precision / _drawn_pages))::bigint
    from pgqueue.dead_jobs d tablesample system (least(100, 100.0 * _drawn_pages / greatest(_pages, 1))) repeatable (20261122)
    where not (select e.is_exact from exactness e) group by d.queue
  ), names as (
    select unnest(queues) as queue union select d.queue from dead d union select p.queue from pgqueue.paused_queues p
    union select unnest(w.queues) from pgqueue.worker_processes w where w.lost_at is null
  )
  select n.queue, p.queue is not null, coalesce(d.dead, 0), not (select e.is_exact from exactness e)
  from names n left join dead d on d.queue = n.queue left join pgqueue.paused_queues p on p.queue = n.queue;
end $$;
-- functions/69_bucket_bounds.sql
-- The upper bounds of the buckets of every histogram here, in seconds, themselves included; one more bucket is open. The same that workers'
-- own metrics have (pgqueue/worker/tally.py).
create function pgqueue.bucket_bounds() returns double precision[]
language sql immutable parallel safe
return array[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]::double precision[];

-- The bucket of so many seconds, from 1 to 16: the first whose bound is not below. Counted from above, because width_bucket puts a bound itself
-- into the bucket that follows.
create function pgqueue.bucket_of(seconds double precision) returns integer
language sql immutable parallel safe
return 16 - width_bucket(- seconds, array[-1800, -300, -60, -30, -10, -5, -2.5, -1, -0.5, -0.25, -0.1, -0.05, -0.025, -0.01, -0.005]::double precision[]);
-- functions/69_depths.sql
-- Every queue that has unfinished jobs or dead letters, is paused, or is served by a worker: its jobs by state and how long its oldest due job
-- has waited, now. Bounded, whatever there is (benchmarks/numbers.py: 9 ms with 5,000,000 jobs of 10 queues, 25 with 1,000):
--   a table of up to 1,200 pages is read as it is, and all is exact;
--   of a larger one 300 pages are drawn at random and what is on them scaled up. Queues that seem small are counted through the index of the
--   claims, up to a bound on rows that they share: those that end below it are exact, the rest are `estimated`.
-- oldest_due_age is looked up in that index for each queue and priority. The index is left alone when so many dead rows await vacuum (a
-- transaction that pins the xmin horizon) that walking over their entries would be what costs: then all is from the drawn pages.
-- Blocked jobs are never due. With its owner's rights: viewers may see the numbers, not the jobs. Locks nothing.
create function pgqueue.depths() returns table (queue text, paused boolean, scheduled bigint, blocked bigint, ready bigint, running bigint, dead bigint,
  oldest_due_age interval, estimated boolean)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
#variable_conflict use_column
declare
  _small_pages constant integer := 1200;
  _drawn_pages constant integer := 300;
  _rows constant integer := 10000;
  _dead_most constant integer := 200000;
  _at constant timestamptz := clock_timestamp();
  _table constant regclass := to_regclass(format('%I.%I', pgqueue.schema_name(), 'queued_jobs'));
  _pages constant bigint := pg_relation_size(_table) / current_setting('block_size')::integer;
  _scale constant double precision := greatest(1, _pages::double precision / _drawn_pages);
  _live constant double precision := pg_stat_get_live_tuples(_table);
  _indexed constant boolean := pg_stat_get_dead_tuples(_table) < _dead_most;
begin
  if _pages <= _small_pages then
    return query
    with unfinished as (
      select j.queue,
             count(*) filter (where j.worker_id is null and j.run_at > _at and j.run_at < 'infinity') as scheduled,
             count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
             count(*) filter (where j.worker_id is null and j.run_at <= _at) as ready,
             count(*) filter (where j.worker_id is not null) as running,
             min(j.run_at) filter (where j.worker_id is null and j.run_at <= _at) as oldest_due
      from pgqueue.queued_jobs j tablesample system (100) group by j.queue  -- never by an index, with its dead entries
    )
    select n.queue, n.paused, coalesce(u.scheduled, 0), coalesce(u.blocked, 0), coalesce(u.ready, 0), coalesce(u.running, 0), n.dead,
           _at - u.oldest_due, n.estimated
    from pgqueue.named_queues(array(select u.queue from unfinished u)) n left join unfinished u on u.queue = n.queue;
    return;
  end if;
  return query
  with recursive lines (queue, priority, run_at, is_running) as (  -- each with the job at its front
    (select j.queue, j.priority, j.run_at, j.worker_id is not null from pgqueue.queued_jobs j
     where _indexed and not j.suspect order by j.queue, j.priority, j.run_at limit 1)
    union all
    select n.queue, n.priority, n.run_at, n.is_running from lines l, lateral (
      select j.queue, j.priority, j.run_at, j.worker_id is not null as is_running from pgqueue.queued_jobs j
      where not j.suspect and (j.queue, j.priority) > (l.queue, l.priority) order by j.queue, j.priority, j.run_at limit 1) n
  ), known as materialized (
    select l.queue, l.priority, l.run_at, l.is_running from lines l limit 2000
  ), drawn as materialized (
    select j.queue, count(*) as total,
           count(*) filter (where j.worker_id is null and j.run_at > _at and j.run_at < 'infinity') as scheduled,
           count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
           count(*) filter (where j.worker_id is null and j.run_at <= _at) as ready,
           count(*) filter (where j.worker_id is not null) as running,
           min(j.run_at) filter (where j.worker_id is null and j.run_at <= _at) as oldest_due
    from pgqueue.queued_jobs j tablesample system (100 / _scale) repeatable (20261122) group by j.queue  -- the same pages: they stay cached
  ), factor as (  -- by the pages, unless the server's own count is near that: it does not depend on how many pages were drawn
    select case when _live between 0.75 * d.total * _scale and 1.25 * d.total * _scale then _live / d.total else _scale end as f
    from (select nullif(sum(x.total), 0)::double precision as total from drawn x) d
  ), guessed as materialized (
    select d.queue, d.total * x.f as total, d.scheduled * x.f as scheduled, d.blocked * x.f as blocked, d.ready * x.f as ready,
           d.running * x.f as running, d.oldest_due
    from drawn d, factor x
  ), names as materialized (
    select x.queue, coalesce(g.total, 0) as total
    from (select k.queue from known k union select g.queue from guessed g) x left join guessed g on g.queue = x.queue
  ), room as materialized (  -- how many rows may be read of a queue, and at the front of a line
    select _rows / greatest((select count(*) from names n), 1) as most, 2000 / greatest((select count(*) from known k), 20) as front
  ), counted as (
    select n.queue, c.met, c.scheduled, c.blocked, c.ready, c.running, c.oldest_due
    from names n, room r, lateral (
      select count(*) as met,
             count(*) filter (where x.worker_id is null and x.run_at > _at and x.run_at < 'infinity') as scheduled,
             count(*) filter (where x.worker_id is null and x.run_at = 'infinity') as blocked,
             count(*) filter (where x.worker_id is null and x.run_at <= _at) as ready,
             count(*) filter (where x.worker_id is not null) as running,
             min(x.run_at) filter (where x.worker_id is null and x.run_at <= _at) as oldest_due
      from (select j.worker_id, j.run_at from pgqueue.queued_jobs j where not j.suspect and j.queue = n.queue limit r.most + 1) x) c
    where _indexed and n.total <= 2 * r.most
  ), suspects as (
    select j.queue,
           count(*) filter (where j.worker_id is null and j.run_at > _at and j.run_at < 'infinity') as scheduled,
           count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
           count(*) filter (where j.worker_id is null and j.run_at <= _at) as ready,
           count(*) filter (where j.worker_id is not null) as running,
           min(j.run_at) filter (where j.worker_id is null and j.run_at <= _at) as oldest_due
    from (select x.queue, x.worker_id, x.run_at from pgqueue.queued_jobs x where _indexed and x.suspect limit 10000) j group by j.queue
  ), oldest as (
    select k.queue, min(f.run_at) as oldest_due
    from known k, lateral (
      select k.run_at where not k.is_running and k.run_at <= _at
      union all
      (select j.run_at from pgqueue.queued_jobs j
       where k.is_running and not j.suspect and j.queue = k.queue and j.priority = k.priority and j.worker_id is null and j.run_at <= _at
       order by j.run_at limit 1)) f
    group by k.queue
  ), running as (  -- running jobs are at the front, where a draw hardly ever comes
    select k.queue, sum(f.running) as running
    from known k cross join room r cross join lateral (
      select count(x.worker_id) as running
      from (select j.worker_id from pgqueue.queued_jobs j where not j.suspect and j.queue = k.queue and j.priority = k.priority
            order by j.run_at limit r.front) x) f
    where r.front >= 10  -- with more than 200 lines, what the drawn pages tell
    group by k.queue
  ), found as (
    select n.queue, coalesce(c.met <= r.most, false) as exact, least(o.oldest_due, c.oldest_due, g.oldest_due, s.oldest_due) as oldest_due,
           c, g, s, f.running
    from (select x.queue from names x union select y.queue from suspects y) n
    cross join room r
    left join counted c on c.queue = n.queue
    left join guessed g on g.queue = n.queue
    left join suspects s on s.queue = n.queue
    left join oldest o on o.queue = n.queue
    left join running f on f.queue = n.queue
  ), depth as (
    select f.queue, f.exact, f.oldest_due,
           case when f.exact then (f.c).scheduled + coalesce((f.s).scheduled, 0) else greatest((f.g).scheduled, (f.c).scheduled, 0) end::bigint as scheduled,
           case when f.exact then (f.c).blocked + coalesce((f.s).blocked, 0) else greatest((f.g).blocked, (f.c).blocked, 0) end::bigint as blocked,
           case when f.exact then (f.c).ready + coalesce((f.s).ready, 0) else greatest((f.g).ready, (f.c).ready, 0) end::bigint as ready,
           case when f.exact then (f.c).running + coalesce((f.s).running, 0) else greatest((f.g).running, f.running, 0) end::bigint as running
    from found f
  )
  select n.queue, n.paused, coalesce(d.scheduled, 0), coalesce(d.blocked, 0), coalesce(d.ready, 0), coalesce(d.running, 0), n.dead, _at - d.oldest_due,
         n.estimated or not coalesce(d.exact, _indexed)
  from pgqueue.named_queues(array(select d.queue from depth d)) n left join depth d on d.queue = n.queue;
end $$;
-- functions/69_fold_statistics.sql
-- Adds what attempts came to since the last fold to the statistics: by minute, queue and task, and in all. Returns how many attempts it
-- added, null when another session is at it. Reads the history itself (finished_jobs, job_attempts, dead_jobs with their evidence), so that
-- enqueue, claim and settle pay nothing: what ended between the mark (statistics_state.folded_to) and `lag` ago, through the BRIN indexes, for which
-- it makes the summaries first. The mark moves in the same transaction: each attempt counts once, whoever calls, whoever dies (held by
-- tests/sql/test_statistics.py against the view attempts). Missed is what was not there to be read when its time was folded: what was
-- committed more than `lag` after it ended (a handler's own transaction that stays open after ctx.complete, a cancel in a long transaction),
-- and what was removed before. Waits are those of attempts that ended their job: of others the history does not know when they were due.
-- Run times are those of handlers that ended by themselves, so not of lost and released attempts.
-- The first fold begins 10 minutes ago; after a pause of more than a day the fold goes back a day.
-- Each call takes about a tenth of a second at most: windows grow and shrink by how many attempts the last one had. Once a minute it takes the sample of
-- depths too, and deletes what is older than 7 days, at most 20,000 rows at a time.
-- A clock that ran ahead and was set back leaves marks in the future: of more than 10 minutes they are taken back to now, and minutes that were not
-- yet are deleted (their attempts stay in the totals, and count once more should that time come while the history has them); of less, the fold waits until the time has come.
-- Locks: one advisory lock of this installation, only tried; rows of the statistics, which nobody else changes.
create function pgqueue.fold_statistics(lag interval default '5 s') returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _began constant timestamptz := clock_timestamp();
  _end constant timestamptz := _began - lag;
  _ahead constant interval := '10 minutes';
  _attempts bigint := 0;
  _from timestamptz;
  _to timestamptz;
  _stretch double precision;
  _read bigint;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('pgqueue' || chr(31) || 'statistics', 20261122)) then
    return null;
  end if;
  if exists (select from pgqueue.statistics_state s where greatest(s.folded_to, s.sampled_minute) > _began + _ahead) then
    delete from pgqueue.statistics_minutes m where m.minute > _began;
    delete from pgqueue.depth_minutes m where m.minute > _began;
    delete from pgqueue.overall_minutes m where m.minute > _began;
    update pgqueue.statistics_state s
    set folded_to = least(s.folded_to, _end), sampled_minute = least(s.sampled_minute, date_trunc('minute', _began, 'UTC'));
  end if;
  select greatest(s.folded_to, _end - case when s.folded_to = '-infinity' then interval '10 minutes' else interval '1 day' end), s.stretch_seconds into strict _from, _stretch from pgqueue.statistics_state s;
  if _from < _end then
    perform pgqueue.summarize_history((_end at time zone 'UTC')::date);
  end if;
  while _from < _end and clock_timestamp() < _began + interval '80 ms' loop
    _to := least(_end, _from + make_interval(secs => _stretch));
    _read := pgqueue.fold_window(_from, _to);
    _attempts := _attempts + _read;
    -- By rows, not by time: on a machine that is slow for other reasons, smaller windows would only make more of them.
    _stretch := least(greatest(case when _read > 60000 then _stretch / 2 when _read < 20000 and _to < _end then _stretch * 2 else _stretch end, 0.25), 3600);
    _from := _to;
  end loop;
  update pgqueue.statistics_state s set folded_to = _from, stretch_seconds = _stretch;
  perform pgqueue.sample_depths(date_trunc('minute', _began, 'UTC'));
  return _attempts;
end $$;
-- functions/69_sample_depths.sql
-- Takes the sample of depths() for this minute, if nobody has, of queues that have something in them or had at the last sample; deletes what is older
-- than 7 days, 20,000 rows of each table at most, oldest first; once an hour also the counters of whole queues (their sums are counters too) that
-- no living worker serves and nothing came to for 30 days. Returns how many queues it noted. For fold_statistics, under its advisory lock.
create function pgqueue.sample_depths(minute timestamptz) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _last timestamptz;
  _oldest constant timestamptz := sample_depths.minute - interval '7 days';
  _noted bigint;
begin
  select s.sampled_minute into strict _last from pgqueue.statistics_state s;
  if sample_depths.minute <= _last then
    return 0;
  end if;
  with now as materialized (
    select d.queue, d.scheduled, d.blocked, d.ready, d.running, d.dead, date_part('epoch', d.oldest_due_age) as oldest_due_seconds, d.estimated
    from pgqueue.depths() d where d.scheduled + d.blocked + d.ready + d.running + d.dead > 0
  )
  insert into pgqueue.depth_minutes (minute, queue, scheduled, blocked, ready, running, dead, oldest_due_seconds, estimated)
  select sample_depths.minute, n.queue, n.scheduled, n.blocked, n.ready, n.running, n.dead, n.oldest_due_seconds, n.estimated from now n
  union all
  select sample_depths.minute, p.queue, 0, 0, 0, 0, 0, null, false
  from pgqueue.depth_minutes p
  where p.minute = _last and p.scheduled + p.blocked + p.ready + p.running + p.dead > 0 and not exists (select from now n where n.queue = p.queue);
  get diagnostics _noted = row_count;
  insert into pgqueue.overall_minutes as m (minute, lag_seconds)
  select d.minute, max(coalesce(d.oldest_due_seconds, 0)) from pgqueue.depth_minutes d where d.minute = sample_depths.minute group by d.minute
  on conflict (minute) do update set lag_seconds = excluded.lag_seconds;
  delete from pgqueue.overall_minutes m where m.minute < _oldest;
  update pgqueue.statistics_state s set sampled_minute = sample_depths.minute;
  delete from pgqueue.depth_minutes d using (select x.minute, x.queue from pgqueue.depth_minutes x where x.minute < _oldest order by x.minute limit 20000) o
  where d.minute = o.minute and d.queue = o.queue;
  delete from pgqueue.statistics_minutes m
  using (select x.minute, x.queue, x.task from pgqueue.statistics_minutes x where x.minute < _oldest order by x.minute limit 20000) o
  where m.minute = o.minute and m.queue = o.queue and m.task = o.task;
  if date_trunc('hour', _last, 'UTC') < date_trunc('hour', sample_depths.minute, 'UTC') then
    delete from pgqueue.statistics_sums s
    using (select x.queue from pgqueue.statistics_sums x
           where not exists (select from pgqueue.worker_processes w where w.lost_at is null and x.queue = any (w.queues))
           group by x.queue having max(x.counted_at) < sample_depths.minute - interval '30 days' limit 5000) o
    where s.queue = o.queue;
  end if;
  return _noted;
end $$;
-- functions/69_view_statistics.sql
-- What attempts came to, by the minute in which they ended: the view `attempts` counted up, but for the newest seconds (fold_statistics says what
-- else can be missing). Buckets are counts by bucket_bounds(), not cumulative, the last one open. 7 days.
create view pgqueue.statistics as
select m.minute, m.queue, m.task, m.succeeded, m.failed, m.dead, m.cancelled, m.lost, m.snoozed, m.released,
       m.wait_seconds, m.wait_buckets, m.run_seconds, m.run_buckets
from pgqueue.statistics_minutes m;

-- The same since the installation of 0.2 (or of this schema, when later): counters, which only grow. A queue that nothing came to for 30 days is
-- left out, as a whole, once no living worker serves it; should it come again, it begins at 0, as counters do that were reset.
create view pgqueue.statistics_totals as
select s.queue, s.task, s.succeeded, s.failed, s.dead, s.cancelled, s.lost, s.snoozed, s.released,
       s.wait_seconds, s.wait_buckets, s.run_seconds, s.run_buckets
from pgqueue.statistics_sums s;

-- How deep each queue was, a sample a minute, of queues that had something in them then or a minute before. 7 days.
create view pgqueue.depth_history as
select d.minute, d.queue, d.scheduled, d.blocked, d.ready, d.running, d.dead, d.oldest_due_seconds, d.estimated
from pgqueue.depth_minutes d;

-- All queues together: what attempts came to, failed, dead and lost as one, and how long the oldest due job had waited, null where no depth was
-- noted. A row a minute. 7 days.
create view pgqueue.overall_history as
select m.minute, m.succeeded, m.failed, m.lag_seconds
from pgqueue.overall_minutes m;
-- functions/70_view_jobs.sql
-- Every job, unfinished and finished alike, one row each, until retention drops it. To page through millions, query the physical tables.
-- A suspect was there when a worker died: it runs alone, and waits until some worker has nothing else or a process of its own.
-- Contents (args, meta, results, errors) are null for who may not read job_args: that grant is the right to see them, in every view.
-- It is asked once a query, as a plan of its own.
create or replace view pgqueue.jobs as
select j.id, j.task, j.queue,
       case when j.worker_id is not null then 'running' when j.run_at = 'infinity' then 'blocked' when j.run_at > clock_timestamp() then 'scheduled' else 'ready' end as state,
       j.priority, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.args end as args, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.meta end as meta, j.key, a.gates ->> 'group' as group_key, j.attempt, j.max_attempts, nullif(j.run_at, 'infinity') as run_at, j.created_at, j.started_at,
       null::timestamptz as finished_at, j.worker_id, p.fraction as progress, null::jsonb as result,
       case when (j.failures > 0 or j.losses > 0 or j.suspect) and (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then
         (select t.error from pgqueue.job_attempts t where t.job_id = j.id and t.error is not null order by t.attempt desc limit 1)
       end as error,
       p.note as progress_note, j.failures, j.losses, j.expires_at, j.timeout, j.suspect
from pgqueue.queued_jobs j
left join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
left join pgqueue.job_progress p on p.job_id = j.id and (j.token is null or p.token = j.token)
union all
select f.id, f.task, f.queue, case when f.succeeded then 'succeeded' else 'cancelled' end,
       f.priority, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.args end, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.meta end, f.key, a.gates ->> 'group', f.attempt, f.max_attempts, f.run_at, f.created_at, f.started_at,
       f.finished_at, f.worker_id, case when f.succeeded then 1 end, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then f.result end, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then f.error end,
       null, f.failures, f.losses, null, f.timeout, f.suspect
from pgqueue.finished_jobs f
left join pgqueue.job_args a on a.id = f.id and a.day = f.args_day
union all
select d.id, d.task, d.queue, 'dead',
       d.priority, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.args end, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.meta end, d.key, a.gates ->> 'group', d.attempt, d.max_attempts, d.run_at, d.created_at, d.started_at,
       d.died_at, d.worker_id, null, null, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then d.error end,
       null, d.failures, d.losses, null, d.timeout, d.suspect
from pgqueue.dead_jobs d
left join pgqueue.job_args a on a.id = d.id and a.day = d.args_day;
-- functions/71_history_depths.sql
-- How many succeeded and cancelled jobs of each queue the history holds: exact up to 10,000 of them, above that scaled up from 300 pages drawn at
-- random, and of queues that are not on them what the counters say, when that is less than one page would mean. Bounded, for the view of queues.
-- With its owner's rights: viewers may see the numbers, not the jobs. Locks nothing.
create function pgqueue.history_depths() returns table (queue text, succeeded bigint, cancelled bigint, estimated boolean)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off as $$
#variable_conflict use_column
declare
  _most constant integer := 10000;
  _drawn_pages constant integer := 300;
  _pages bigint;
  _scale double precision;
begin
  if (select count(*) <= _most from (select from pgqueue.finished_jobs f limit _most + 1) x) then
    return query
    select f.queue, count(*) filter (where f.succeeded), count(*) filter (where not f.succeeded), false from pgqueue.finished_jobs f group by f.queue;
    return;
  end if;
  select sum(pg_relation_size(i.inhrelid)) / current_setting('block_size')::integer into _pages
  from pg_inherits i where i.inhparent = to_regclass(format('%I.%I', pgqueue.schema_name(), 'finished_jobs'));
  _scale := greatest(1, _pages::double precision / _drawn_pages);
  return query
  with drawn as (
    select f.queue, count(*) filter (where f.succeeded) as succeeded, count(*) filter (where not f.succeeded) as cancelled
    from pgqueue.finished_jobs f tablesample system (100 / _scale) repeatable (20261122) group by f.queue
  ), counters as (
    select s.queue, sum(s.succeeded) as succeeded, sum(s.cancelled) as cancelled from pgqueue.statistics_sums s group by s.queue
  )
  select coalesce(d.queue, c.queue), coalesce((d.succeeded * _scale)::bigint, least(c.succeeded::bigint, (_scale * 40)::bigint), 0),
         coalesce((d.cancelled * _scale)::bigint, least(c.cancelled::bigint, (_scale * 40)::bigint), 0), true
  from drawn d full join counters c on c.queue = d.queue;
end $$;
-- functions/71_view_attempt_logs.sql
-- What the handlers of ended attempts logged, as far as that was captured: `lines` is an array, oldest first, of objects {at, level, logger,
-- message} with perhaps fields, exception and cut, and one {left_out} where lines were left out. Masked by the worker that wrote them.
-- Contents are null for who may not read job_args: that grant is the right to see them, in every view. It is asked once a query.
create view pgqueue.attempt_logs as
select l.job_id, l.attempt, l.logged_at, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then l.lines end as lines
from pgqueue.attempt_lines l;
-- functions/71_view_attempts.sql
-- Every attempt that came to an end, with its outcome; those that ended their job are told by its history row.
-- Contents (args, meta, results, errors) are null for who may not read job_args: that grant is the right to see them, in every view.
-- It is asked once a query, as a plan of its own.
create or replace view pgqueue.attempts as
select t.job_id, t.attempt, t.worker_id, t.started_at, t.finished_at, t.outcome, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then t.error end as error
from pgqueue.job_attempts t
union all
select f.id, f.attempt, f.worker_id, f.started_at, f.finished_at, case when f.succeeded then 'succeeded' else 'cancelled' end, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then f.error end
from pgqueue.finished_jobs f
where f.worker_id is not null
union all
select d.id, e.attempt, e.worker_id, e.started_at, e.finished_at, e.outcome, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then e.error end
from pgqueue.dead_jobs d,
     jsonb_to_recordset(d.attempts) as e (attempt integer, worker_id bigint, started_at timestamptz, finished_at timestamptz, outcome text, error jsonb);
-- functions/72_view_queues.sql
-- Every queue that has jobs, is paused, or is served by a worker: one count per state, how long its oldest due job has waited, and jobs a minute
-- over the last 5 minutes. What is unfinished and dead is from depths(), what is in the history from history_depths(): both bounded, exact
-- while little is there, estimates (marked) above. The rates are from the statistics, which the keeper folds every few seconds.
create or replace view pgqueue.queues as
with rates as (
  select m.queue, sum(m.succeeded * w.weight) as done, sum((m.failed + m.lost + m.dead) * w.weight) as failed
  from pgqueue.statistics_minutes m
  cross join lateral (select least(1, date_part('epoch', m.minute + interval '6 minutes' - now()) / 60)::numeric as weight) w
  where m.minute > now() - interval '6 minutes' group by m.queue
)
select coalesce(d.queue, h.queue) as queue, coalesce(d.paused, false) as paused,
       coalesce(d.scheduled, 0) as scheduled, coalesce(d.blocked, 0) as blocked, coalesce(d.ready, 0) as ready, coalesce(d.running, 0) as running,
       coalesce(h.succeeded, 0) as succeeded, coalesce(h.cancelled, 0) as cancelled, coalesce(d.dead, 0) as dead,
       d.oldest_due_age,
       round(coalesce(r.done, 0) / 5.0, 1) as throughput, round(coalesce(r.failed, 0) / 5.0, 1) as failures,
       coalesce(d.estimated, false) as estimated, coalesce(h.estimated, false) as history_estimated
from pgqueue.depths() d
full join pgqueue.history_depths() h on h.queue = d.queue
left join rates r on r.queue = coalesce(d.queue, h.queue);
-- functions/73_view_workers.sql
-- Every worker process, the lost ones of the last day too: alive while its heartbeat is younger than its lease. A version that is null: 0.1.0.
-- `stuck`, if it is: loop_blocked, thread_overdue, heartbeat_dead, gil_held or frozen as somebody has seen it (function note_incident), or silent: two
-- heartbeats are missing and nobody knows why. It is said of a lost worker for 15 minutes, or until its process is known to have ended.
create or replace view pgqueue.workers as
select w.id, w.host, w.pid, w.queues, w.tasks, w.concurrency, w.running, w.started_at, w.heartbeat_at,
       w.lost_at is null and w.heartbeat_at + w.lease >= now() as alive, w.version,
       case when w.lost_at < now() - interval '15 minutes' then null
            when w.stuck is not null then w.stuck
            when w.lost_at is null and w.heartbeat_at + 0.8 * w.lease < now() then 'silent' end as stuck,
       case when w.lost_at < now() - interval '15 minutes' then null
            when w.stuck is not null then w.stuck_since
            when w.lost_at is null and w.heartbeat_at + 0.8 * w.lease < now() then w.heartbeat_at end as stuck_since
from pgqueue.worker_processes w;
-- functions/74_view_schedules.sql
-- Every schedule. next_at is null while it is paused, for a second after it was made, and while `error` says why it cannot tick.
-- Contents (args, meta, results, errors) are null for who may not read job_args: that grant is the right to see them, in every view.
-- It is asked once a query, as a plan of its own.
create or replace view pgqueue.schedules as
select s.name, s.task, s.cron, s.timezone, s.paused_at is not null as paused, s.last_at, s.next_at,
       s.every, s.jitter, s.missed, s.missed_limit, s.overlap, s.queue, s.priority, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then s.args end as args, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then s.meta end as meta, s.limits, s.last_job_id,
       s.declared is not null as in_code, s.error
from pgqueue.job_schedules s;
-- functions/74_view_steps.sql
-- Steps that jobs have stored (ctx.step), with the attempt that ran each.
-- Contents (args, meta, results, errors) are null for who may not read job_args: that grant is the right to see them, in every view.
-- It is asked once a query, as a plan of its own.
create or replace view pgqueue.steps as
select s.job_id, s.name, s.attempt, s.stored_at, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then s.result end as result
from pgqueue.job_steps s;
-- functions/74_view_worker_incidents.sql
-- What was seen of worker processes that stood still or were ended in the last 7 days, the kinds of note_incident: the jobs that each held, and a
-- stack of where it stood (functions, files and lines; no arguments and no values).
create view pgqueue.worker_incidents as
select i.id, i.at, i.worker_id, i.host, i.pid, i.kind, i.jobs, i.detail, i.stack from pgqueue.incident_log i;
-- functions/75_view_flows.sql
-- Every flow, until retention drops it, with its jobs counted by what became of them (barriers are no jobs). Counted when asked, from the
-- flow's own nodes, so that no completion pays for it. A flow that cannot go on by itself, because what is left waits for an
-- operator's retry, has failed too.
-- Contents (args, meta, results, errors) are null for who may not read job_args: that grant is the right to see them, in every view.
-- It is asked once a query, as a plan of its own.
create or replace view pgqueue.flows as
select f.id, f.kind, f.name, f.created_at,
       case when c.unfinished > 0 then case when c.failed + c.cancelled > 0 and c.unfinished = c.stuck then 'failed' else 'running' end
            when f.cancelled_at is not null then 'cancelled'
            when c.failed + c.cancelled > 0 then 'failed' else 'succeeded' end as state,
       c.total, c.succeeded, c.failed, c.cancelled, c.running, c.unfinished - c.running as waiting, c.skipped, f.cancelled_at,
       case when c.unfinished = 0 then c.ended_at end as finished_at
from pgqueue.job_flows f,
lateral (
  select count(*) as total, count(*) filter (where n.outcome = 'succeeded') as succeeded, count(*) filter (where n.outcome = 'dead') as failed,
         count(*) filter (where n.outcome = 'cancelled') as cancelled, count(*) filter (where n.outcome = 'skipped') as skipped,
         count(*) filter (where n.outcome is null) as unfinished, count(*) filter (where n.outcome is null and n.blocked) as stuck,
         count(*) filter (where n.outcome is null and not n.blocked
                          and exists (select from pgqueue.queued_jobs j where j.id = n.id and j.worker_id is not null)) as running,
         max(n.ended_at) as ended_at
  from pgqueue.flow_nodes n where n.flow_id = f.id and n.is_job
) c;

-- Every node of a flow, jobs and barriers (without a task), in the order in which they were given; `after` are the nodes it waits for.
create or replace view pgqueue.flow_jobs as
select n.flow_id, n.id, n.name, n.role, n.task,
       coalesce(n.outcome, case when n.blocked then 'blocked' end,
                (select case when j.worker_id is not null then 'running' when j.run_at = 'infinity' then 'blocked'
                             when j.run_at > clock_timestamp() then 'scheduled' else 'ready' end
                 from pgqueue.queued_jobs j where j.id = n.id)) as state,
       array(select l.parent_id from pgqueue.flow_links l where l.child_id = n.id order by l.place, l.parent_id) as after,
       n.ended_at, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then n.result end as result
from pgqueue.flow_nodes n
where n.flow_id is not null;
-- functions/76_view_audit.sql
-- Who changed what from the dashboard; by a keyset of id, newest first.
create view pgqueue.audit as
select l.id, l.at, l.actor, l.role, l.action, l.target, l.detail, l.db_user
from pgqueue.audit_log l;
-- functions/76_view_unknown_tasks.sql
-- Tasks of due jobs that no living worker of their queue has registered, where the queue has workers (I12). Such jobs stay at the head of
-- their line, as nobody claims them: the first 200 of each queue and priority are looked at, so that it costs the same however many wait.
create view pgqueue.unknown_tasks as
with recursive lines as (
  (select j.queue, j.priority from pgqueue.queued_jobs j where not j.suspect order by j.queue, j.priority limit 1)
  union all
  select n.queue, n.priority from lines l, lateral (
    select j.queue, j.priority from pgqueue.queued_jobs j
    where not j.suspect and (j.queue, j.priority) > (l.queue, l.priority) order by j.queue, j.priority limit 1) n
), known as (
  select q.queue, t.task from pgqueue.workers w, unnest(w.queues) q (queue), unnest(w.tasks) t (task) where w.alive group by q.queue, t.task
)
select distinct h.queue, h.task
from lines l, lateral (
  select j.queue, j.task, j.worker_id from pgqueue.queued_jobs j
  where not j.suspect and j.queue = l.queue and j.priority = l.priority and j.run_at < clock_timestamp() - interval '10 s'
  order by j.run_at, j.id limit 200) h
where h.worker_id is null
  and exists (select from known k where k.queue = h.queue)
  and not exists (select from known k where k.queue = h.queue and k.task = h.task);
-- functions/77_view_partitions.sql
-- The days of each table that is cut by days: rows and dead rows by the server's own count, bytes with indexes. Counts nothing.
create view pgqueue.partitions as
select p.relname::text as name, to_date(right(c.relname, 8), 'YYYYMMDD') as day, pg_stat_get_live_tuples(c.oid) as rows_estimate,
       pg_stat_get_dead_tuples(c.oid) as dead_rows, pg_total_relation_size(c.oid) as bytes
from pg_catalog.pg_class p
join pg_catalog.pg_namespace n on n.oid = p.relnamespace
join pg_catalog.pg_inherits i on i.inhparent = p.oid
join pg_catalog.pg_class c on c.oid = i.inhrelid
where n.nspname = 'pgqueue' and p.relkind = 'p' and c.relname ~ '_[0-9]{8}$';
-- functions/80_expired_days.sql
-- The daily partitions that retention does not keep, oldest first, with their parents (null for one that was detached and not
-- dropped) and whether detaching was begun and not ended. Arguments are kept a day longer than history.
create or replace function pgqueue.expired_days() returns table (parent text, partition text, day date, pending boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with kept as (
    select ((clock_timestamp() - s.retention) at time zone 'UTC')::date as since from pgqueue.settings s
  ), days as (
    select p.relname::text as parent, c.relname::text as partition, to_date(right(c.relname, 8), 'YYYYMMDD') as day,
           coalesce(i.inhdetachpending, false) as pending
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    left join pg_catalog.pg_class p on p.oid = i.inhparent
    where n.nspname = pgqueue.schema_name() and c.relkind = 'r'
      and c.relname ~ '^(attempt_lines|finished_jobs|job_attempts|job_args)_[0-9]{8}$'
  )
  select d.parent, d.partition, d.day, d.pending
  from days d, kept k
  where d.day < k.since - case when d.partition like 'job_args%' then 1 else 0 end
  order by d.day, d.partition
$$;
-- functions/82_drop_day.sql
-- Drops a daily partition that retention does not keep, for a worker that owns no table; the owner detaches concurrently instead. Returns
-- whether it did: not one that retention keeps, nor arguments that some job still needs, whoever asks. Gives up after a quarter of a
-- second (55P03), so that who reads the history does not queue behind it for longer. With its owner's rights.
-- Locks: the parent, exclusively. A death right after it leaves the day dropped or as it was.
create function pgqueue.drop_day(partition text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '250ms' as $$
#variable_conflict use_variable
declare
  _day date;
begin
  select e.day into _day from pgqueue.expired_days() e where e.partition = drop_day.partition;
  if not found or partition like 'job\_args\_%'
     and (exists (select from pgqueue.queued_jobs j where j.args_day = _day) or exists (select from pgqueue.dead_jobs d where d.args_day = _day)) then
    return false;
  end if;
  execute format('drop table %I.%I', pgqueue.schema_name(), partition);
  return true;
end $$;
-- functions/84_enqueue_flow.sql
-- Enqueues a flow in the caller's transaction: all its jobs exist, those that wait for others too, exactly when that commits (I1). Returns its
-- id, and the ids of its entries in their order. `flow` is {"kind": chain|group|dag|batch|saga, "name": text, "jobs": [entry, ...]}.
-- An entry is a job, with the names of enqueue's arguments, or {"barrier": true}, which is no job and ends by itself. And:
--   after       what it waits for: places in the array (from 0), {"index": place, "when": ...} or {"id": a job or barrier, "when": ...};
--               when: succeeded (default), ended (however), failed (it runs only if such a parent failed), not_failed (succeeded or
--               skipped), if_succeeded (else it is skipped)
--   on_failure  when a parent did not succeed that should have: cancel (default), dead, or wait until the parent was retried and succeeded
--   name, role  labels; roles with a meaning: undo and on_success are skipped where others fail; undo waits on failure, and is not cancelled with its
--               flow; step comes before a barrier with a verdict and is not retried by itself once that has failed; on_done and on_failed are not called twice
--   verdict     of a barrier: it fails when any of its parents failed, by whatever condition it waits for them
--   gather      for many parents: it is counted without holding them up; set by itself from 100 parents on
-- Raises PQ001 unknown parent, PQ002 a key is held by another job, PQ004 invalid argument, a cycle too; then nothing is added. Locks: as add_nodes.
create or replace function pgqueue.enqueue_flow(flow jsonb) returns table (flow_id bigint, ids bigint[])
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _error text;
begin
  _error := case
    when flow is null or jsonb_typeof(flow) <> 'object' then format('enqueue_flow: must be an object with kind, name and jobs, got %s', coalesce(jsonb_typeof(flow), 'null'))
    when flow - array['kind', 'name', 'jobs'] <> '{}' then
      format('enqueue_flow: unknown name %s; the names are kind, name, jobs', (select string_agg(k, ', ') from jsonb_object_keys(flow - array['kind', 'name', 'jobs']) k))
    when coalesce(flow ->> 'kind', 'dag') not in ('chain', 'group', 'dag', 'batch', 'saga') then
      format('enqueue_flow: kind must be chain, group, dag, batch or saga, got %L', left(flow ->> 'kind', 100))
    when jsonb_typeof(flow -> 'name') not in ('string', 'null') or octet_length(flow ->> 'name') > 500 then 'enqueue_flow: name must be a string of at most 500 bytes'
    when coalesce(jsonb_typeof(flow -> 'jobs'), 'null') <> 'array' then 'enqueue_flow: jobs must be an array of objects'
    end;
  if _error is not null then
    raise exception using errcode = 'PQ004', message = _error;
  end if;
  flow_id := nextval('pgqueue.job_ids');
  insert into pgqueue.job_flows (id, kind, name, created_at) values (flow_id, coalesce(flow ->> 'kind', 'dag'), flow ->> 'name', _now);
  ids := pgqueue.add_nodes(flow_id, flow -> 'jobs', null, _now);
  return next;
end $$;
-- functions/86_cancel_flow.sql
-- Cancels what is unfinished of a flow, and returns how many jobs that were: waiting ones end at once, running ones are told to stop, as by
-- cancel. Undos are left alone, wherever in the flow their saga is: the steps are cancelled, and what they did is undone; an undo that runs is not stopped,
-- and one that has nothing to undo is skipped by the end of its step. Raises PQ001 unknown flow.
-- Locks: the flow, all its unfinished nodes by (rank, id), then the waiting jobs in id order that it can have at once (a request is left for
-- the others), then their keys and lanes. It waits for settles, and for a transaction that is adding to the flow.
create or replace function pgqueue.cancel_flow(flow_id bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _reason constant text := 'its flow was cancelled';
  _ids bigint[];
  _waiting bigint[];
  _blocked bigint[];
  _asked bigint[];
  _id bigint;
begin
  update pgqueue.job_flows f set cancelled_at = coalesce(f.cancelled_at, _at) where f.id = cancel_flow.flow_id;
  if not found then
    perform pgqueue.unknown_flow(flow_id);
  end if;
  perform pgqueue.ensure_day(_at);
  perform from pgqueue.flow_nodes n where n.flow_id = cancel_flow.flow_id and n.outcome is null order by n.rank, n.id for no key update;
  _ids := array(select n.id from pgqueue.flow_nodes n
                where n.flow_id = cancel_flow.flow_id and n.outcome is null and n.is_job and n.role <> 'undo');
  _waiting := array(select j.id from pgqueue.queued_jobs j where j.id = any (_ids) and j.worker_id is null order by j.id for update skip locked);
  _asked := array(select j.id from pgqueue.queued_jobs j where j.id = any (_ids) except select unnest(_waiting) order by 1);
  _blocked := array(select n.id from pgqueue.flow_nodes n where n.id = any (_waiting) and n.blocked);
  update pgqueue.flow_nodes n set outcome = 'cancelled', ended_at = _at, blocked = false where n.id = any (_waiting);
  perform pgqueue.end_blocked(_blocked, _at, _reason);
  perform pgqueue.advance_nodes(_waiting, '{}', _at);
  update pgqueue.queued_jobs j set linked = false where j.id = any (_waiting);  -- those that are left; their children have been told
  foreach _id in array array(select j.id from pgqueue.queued_jobs j where j.id = any (_waiting) order by j.id) loop
    perform pgqueue.cancel_waiting(_id, _at, _reason);
  end loop;
  insert into pgqueue.cancel_requests (job_id, requested_at) select a, _at from unnest(_asked) a on conflict do nothing;
  perform pg_notify(pgqueue.wake_channel(null), '') where _asked <> '{}' and pg_notification_queue_usage() < 0.5;  -- as in wake
  perform pgqueue.wake('');
  return cardinality(_waiting) + cardinality(_asked);
end $$;

-- Raises PQ001, for an id that no flow has.
create or replace function pgqueue.unknown_flow(id bigint) returns void
language plpgsql as $$
begin
  raise exception using errcode = 'PQ001',
    message = format('there is no flow %s: it never existed, its transaction was rolled back, or retention has dropped it', id);
end $$;
-- functions/87_retry_flow.sql
-- Runs again what a flow lacks: its dead and cancelled jobs, and the barriers and callbacks that ended because of them, each waiting for its
-- parents as in the beginning. What has succeeded stays, callbacks that were called are not called again, and of a saga that was given
-- up and is undone, as a flow by itself or inside another, only the undos that failed run again: what waits for its success stays as it
-- is. A saga that was given up before anything was to be undone runs again as a whole. Returns how many jobs were put back.
-- A job that cannot be retried (its key is held by another, retention has dropped its arguments) is told in a warning and stays.
-- Raises PQ001 unknown flow. Locks: the flow, then as retry, job by job along the links.
create or replace function pgqueue.retry_flow(flow_id bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _node record;
  _lost bigint[];  -- what cannot come to a better end
  _plain bigint[];
  _dead bigint[];
  _cancelled bigint[];
  _back bigint[] := '{}';
begin
  update pgqueue.job_flows f set cancelled_at = null where f.id = retry_flow.flow_id;
  if not found then
    perform pgqueue.unknown_flow(flow_id);
  end if;
  perform set_config('pgq.retried', flow_id::text, true);
  with verdicts as materialized (
    select n.id from pgqueue.flow_nodes n
    where n.flow_id = retry_flow.flow_id and not n.is_job and n.outcome in ('dead', 'cancelled') and pgqueue.is_undone(n.id)
  )
  select coalesce(array_agg(l.id), '{}') into _lost
  from (select v.id from verdicts v union select l.parent_id from verdicts v join pgqueue.flow_links l on l.child_id = v.id) l
  where (select n.role <> 'undo' from pgqueue.flow_nodes n where n.id = l.id);
  _plain := array(select n.id from pgqueue.flow_nodes n  -- what waits for nobody, as members of a batch do, goes at once: no order is to be kept
                  where n.flow_id = retry_flow.flow_id and n.outcome in ('dead', 'cancelled') and n.is_job and n.id <> all (_lost)
                    and not exists (select from pgqueue.flow_links l where l.child_id = n.id));
  _dead := array(select d.id from pgqueue.dead_jobs d
                 where d.id = any (_plain) and d.key is null and exists (select from pgqueue.job_args a where a.id = d.id and a.day = d.args_day)
                 order by d.id for update of d);
  _cancelled := array(select f.id from pgqueue.finished_jobs f
                      where f.id = any (_plain) and not f.succeeded and f.key is null
                        and exists (select from pgqueue.job_args a where a.id = f.id and a.day = f.args_day)
                      order by f.id for update of f);
  perform pgqueue.requeue_dead(_dead, _at) where _dead <> '{}';
  perform pgqueue.requeue_cancelled(_cancelled, _at) where _cancelled <> '{}';
  _back := _dead || _cancelled;
  for _node in
    select n.id, n.is_job, n.role, n.outcome from pgqueue.flow_nodes n
    where n.flow_id = retry_flow.flow_id and (n.outcome in ('dead', 'cancelled', 'skipped') or n.outcome = 'succeeded' and not n.is_job)
    order by n.rank, n.id
  loop
    continue when _node.id = any (_lost)
      or exists (select from pgqueue.flow_nodes n where n.id = _node.id and n.outcome is null);  -- a barrier that went with its parents
    if _node.outcome <> 'skipped' and exists (
         select from pgqueue.flow_links l where l.child_id = _node.id and l.parent_id = any (_lost)
           and pgqueue.breaches(l.condition, (select p.outcome from pgqueue.flow_nodes p where p.id = l.parent_id)) > 0) then
      _lost := _lost || _node.id;
      continue;
    end if;
    -- A barrier that is content, over members that were skipped, say, is judged anew when one of them runs after all.
    continue when _node.outcome = 'succeeded' and not exists (
      select from pgqueue.flow_links l where l.child_id = _node.id and (select p.outcome is null from pgqueue.flow_nodes p where p.id = l.parent_id));
    continue when _node.role in ('on_success', 'on_done', 'on_failed')
      and exists (select from pgqueue.jobs j where j.id = _node.id and j.attempt > 0);
    continue when _node.outcome = 'skipped' and pgqueue.skips(_node.id);
    begin
      if _node.is_job then
        perform pgqueue.retry(_node.id);
        _back := _back || _node.id;
      else
        perform pgqueue.reopen_nodes(array[_node.id], _at);
      end if;
    exception when sqlstate 'PQ001' or sqlstate 'PQ002' or sqlstate 'PQ003' then
      raise warning 'flow %: % (%)', flow_id, sqlerrm, sqlstate;
    end;
  end loop;
  perform set_config('pgq.retried', '', true);
  update pgqueue.flow_nodes n set patient = false where n.flow_id = retry_flow.flow_id and n.patient and n.outcome is null;
  return cardinality(_back);
end $$;
-- functions/90_grant_roles.sql
-- The rights of a kind of role, a row each: the statement that gives it, and whether the role has it. That is the one list of them; what it
-- says of each function, view and table is held against tests/roles/matrix.py. Rights that somebody granted beyond these are not in it.
--   producer  calls enqueue, enqueue_many and enqueue_flow, which run with their owner's rights; no table, no view
--   worker    what `pgq work` and handlers call, with its own rights on the tables; settings and policies it only reads
--   viewer    the views, which show contents only to those who may read job_args
--   admin     everything but owning it, and changing the audit log
create function pgqueue.role_rights(kind text) returns table (statement text, granted boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with us as (
    select n.oid, n.nspname, pgqueue.role_name(kind) as role,
           (select r.oid from pg_roles r where r.rolname = pgqueue.role_name(kind)) as role_oid
    from pg_namespace n where n.nspname = pgqueue.schema_name()
  ), relations as (
    select c.oid, format('%I.%I', us.nspname, c.relname) as name, c.relkind,
           case when c.relkind = 'S' then array['usage', 'SELECT']
                when c.relkind = 'v' or c.relname in ('alembic_version', 'audit_log') then array['SELECT']
                when kind = 'worker' and c.relname in ('settings', 'compatibility', 'queue_policies', 'queue_quotas', 'fair_weights', 'paused_queues') then array['SELECT']
                else array['SELECT', 'insert', 'update', 'delete'] end as rights
    from us join pg_class c on c.relnamespace = us.oid
    where c.relkind in ('r', 'p', 'v', 'S') and c.relname !~ '^(attempt_lines|finished_jobs|job_attempts|job_args)_[0-9]{8}$|^quota_(tickets|counted)_[0-9]+$'
      and (kind = 'admin' or kind = 'worker' and c.relname <> 'audit_log' or kind = 'viewer' and (c.relkind = 'v' or c.relname = 'alembic_version'))
  ), functions as (
    select p.oid, format('%I.%I(%s)', us.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as name
    from us join pg_proc p on p.pronamespace = us.oid
    where p.prokind = 'f' and p.proname not in ('grant_roles', 'role_rights', 'enforce_quota') and case kind
      when 'producer' then p.proname in ('enqueue', 'enqueue_many', 'enqueue_flow')
      when 'viewer' then p.proname in ('backlog', 'default_burst', 'bucket_bounds', 'depths', 'history_depths')  -- autoscalers and views call them
      when 'worker' then p.proname not in ('note_action', 'pause', 'resume', 'redrive', 'remove', 'set_limit', 'drop_limit', 'set_queue', 'set_quota', 'set_share',
        'schedule', 'unschedule', 'pause_schedule', 'resume_schedule', 'run_schedule')
      else kind = 'admin' end
  )
  select format('grant usage on schema %I to %I', us.nspname, us.role), coalesce(has_schema_privilege(us.role_oid, us.oid, 'usage'), false)
  from us where kind in ('producer', 'worker', 'viewer', 'admin')
  union all
  select format('grant %s on %s%s to %I', array_to_string(r.rights, ', '), case when r.relkind = 'S' then 'sequence ' else '' end, r.name, us.role),
         coalesce((select bool_and(case when r.relkind = 'S' then has_sequence_privilege(us.role_oid, r.oid, p) else has_table_privilege(us.role_oid, r.oid, p) end)
                   from unnest(r.rights) p), false)
  from us, relations r
  union all
  select format('grant execute on function %s to %I', f.name, us.role), coalesce(has_function_privilege(us.role_oid, f.oid, 'execute'), false)
  from us, functions f
$$;

-- Makes the roles of this installation, as far as the caller may, and gives them the rights they lack. Returns each with what came of it:
-- created, present (it was there: roles belong to the whole server, several databases share them), or missing (the caller may not make it).
-- Run by each migration, and by the schema's owner when a role was made later. Locks: rows of the catalogue. It only adds.
create function pgqueue.grant_roles() returns table (role text, state text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  _kind text;
  _statement text;
begin
  foreach _kind in array array['producer', 'worker', 'viewer', 'admin'] loop
    role := pgqueue.role_name(_kind);
    state := 'present';
    if not exists (select from pg_roles r where r.rolname = role) then
      begin
        execute format('create role %I nologin', role);
        state := 'created';
      exception
        when insufficient_privilege then state := 'missing';
        when duplicate_object or unique_violation then null;  -- another database's migration was quicker
      end;
    end if;
    return next;
    continue when state = 'missing';
    for _statement in select r.statement from pgqueue.role_rights(_kind) r where not r.granted loop
      execute _statement;
    end loop;
  end loop;
end $$;
-- functions/90_privileges.sql
-- Nobody may call our functions by default: PostgreSQL lets PUBLIC execute new ones.
revoke execute on all functions in schema pgqueue from public;
-- A role that may not make roles migrates all the same: see `pgq grants`.
do $$ begin perform pgqueue.grant_roles(); end $$;
-- end of functions/
-- Days that are there already lack the partitions of what this revision keeps by day.
select pgqueue.make_partitions((clock_timestamp() at time zone 'UTC')::date, 14);
