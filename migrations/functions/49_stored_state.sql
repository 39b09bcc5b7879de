-- The state of a job, wherever it is stored; null when there is no such job. One statement, because a job that moves between two
-- looks (settled, retried) could be in neither.
create function pgqueue.stored_state(id bigint) returns text
language sql stable set enable_seqscan = off as $$
  select case when j.worker_id is not null then 'running' when j.run_at = 'infinity' then 'blocked' when j.run_at > clock_timestamp() then 'scheduled' else 'ready' end
  from pgqueue.queued_jobs j where j.id = stored_state.id
  union all
  select 'dead' from pgqueue.dead_jobs d where d.id = stored_state.id
  union all
  select case when f.succeeded then 'succeeded' else 'cancelled' end from pgqueue.finished_jobs f where f.id = stored_state.id
  limit 1
$$;

-- Raises PQ001, for an id that no job has.
create function pgqueue.unknown_job(id bigint) returns void
language plpgsql as $$
begin
  raise exception using errcode = 'PQ001',
    message = format('there is no job %s: it never existed, its transaction was rolled back, or retention has dropped it', id);
end $$;
