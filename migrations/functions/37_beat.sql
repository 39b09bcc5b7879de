-- A heartbeat: extends the lease of all jobs of a worker. Null: the worker was declared lost and must stop its handlers at once;
-- else the ids of its jobs that somebody asked to cancel. Locks: the worker's row, after a claim of it that is under way.
create function pgqueue.beat(worker_id bigint, running integer, listener_pid integer default null) returns bigint[]
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
begin
  update pgqueue.worker_processes w
  set heartbeat_at = clock_timestamp(), running = beat.running, listener_pid = beat.listener_pid,
      listener_at = case when beat.listener_pid is null then null when w.listener_pid is distinct from beat.listener_pid
                         then (select a.backend_start from pg_catalog.pg_stat_activity a where a.pid = beat.listener_pid)
                         else w.listener_at end
  where w.id = beat.worker_id and w.lost_at is null;
  if not found then
    return null;
  end if;
  return coalesce((select array_agg(c.job_id) from pgqueue.cancel_requests c
                   join pgqueue.queued_jobs j on j.id = c.job_id where j.worker_id = beat.worker_id), '{}');
end $$;
