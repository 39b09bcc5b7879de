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
