-- Enters a worker process, with an id drawn at random by the caller. False: the id is taken, draw another. `version` is the caller's pgqueue;
-- null: 0.1.0, which did not say. PQ006: the schema is no longer for that version (I12); nothing is entered.
-- Locks: the new row; waits for a migration that ends the support of a version, which holds the table in share row exclusive mode while it looks who
-- is alive. So the row is entered first and the version looked at afterwards, in a fresh snapshot: either that migration sees the worker,
-- or the worker sees what it wrote. A death right after leaves a worker without jobs, which is lost after its lease.
create function pgqueue.register_worker(id bigint, host text, pid integer, queues text[], tasks text[], concurrency integer, lease interval, version text default null)
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
