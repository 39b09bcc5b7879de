-- A worker that stops: hands back what it still holds without burning an attempt, wakes others for it, and takes its row away.
-- Returns the number of jobs handed back. Locks: the worker's row for update, its jobs in id order, passing by locked ones.
create function pgqueue.leave(worker_id bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _outcomes jsonb;
begin
  perform from pgqueue.worker_processes w where w.id = leave.worker_id for update;
  if not found then
    return 0;
  end if;
  select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'released'))
  into _outcomes
  from (select q.id, q.token from pgqueue.queued_jobs q where q.worker_id = leave.worker_id order by q.id for update skip locked) j;
  if _outcomes is not null then
    perform pgqueue.ensure_day(clock_timestamp());
    perform pgqueue.settle(_outcomes, clock_timestamp());
    perform pgqueue.wake(q.queue) from (select distinct unnest(w.queues) as queue from pgqueue.worker_processes w where w.id = leave.worker_id) q;
  end if;
  if exists (select from pgqueue.queued_jobs q where q.worker_id = leave.worker_id) then
    update pgqueue.worker_processes w set lost_at = clock_timestamp() where w.id = leave.worker_id;  -- a handler's transaction holds one: rescue will see
  else
    delete from pgqueue.worker_processes w where w.id = leave.worker_id;
  end if;
  return coalesce(jsonb_array_length(_outcomes), 0);
end $$;
