-- Cancels a job and returns the state that it found. A waiting job is cancelled at once; a running one is told to stop, and ends
-- as cancelled unless it succeeds first; a finished or dead one stays as it is. Raises PQ001 unknown job.
-- Locks: the job's row if it can have it at once. If not (a claim, a settle, or a handler's own transaction has it), it leaves
-- a request beside it, which the worker reads at its next heartbeat or wake-up, every settle checks, and the keeper sweeps. A request
-- that is there already is left alone: a handler's transaction that completes the job may be deleting it.
create function pgqueue.cancel(id bigint) returns text
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
