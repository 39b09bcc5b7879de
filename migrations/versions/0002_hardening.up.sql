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

-- functions/12_version_parts.sql
-- The three numbers of a version of pgqueue, to compare with: 0.2.0 and 0.2.0.dev0 are {0,2,0}. Null, the version that did not say, is
-- {0,1,0}; what is no version is {0,0,0}, older than all.
create function pgqueue.version_parts(version text) returns integer[]
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select (coalesce(string_to_array(substring(coalesce(version, '0.1.0') from '^[0-9]{1,9}(?:[.][0-9]{1,9})*'), '.')::integer[], '{}') || '{0,0,0}')[1:3]
$$;
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
