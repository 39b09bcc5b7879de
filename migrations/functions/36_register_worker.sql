-- Enters a worker process, with an id drawn at random by the caller. False: the id is taken, draw another.
create function pgqueue.register_worker(id bigint, host text, pid integer, queues text[], tasks text[], concurrency integer, lease interval)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into pgqueue.worker_processes (id, started_at, heartbeat_at, lease, pid, concurrency, host, queues, tasks)
  values (register_worker.id, clock_timestamp(), clock_timestamp(), register_worker.lease, register_worker.pid, register_worker.concurrency,
          register_worker.host, register_worker.queues, register_worker.tasks)
  on conflict do nothing;
  return found;
end $$;
