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
-- functions/12_version_parts.sql
-- gone
drop function pgqueue.version_parts;

-- Takes back what 0002_hardening.tables.sql added.

alter table pgqueue.worker_processes drop column version;
drop table pgqueue.compatibility;
