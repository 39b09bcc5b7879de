-- Makes a dead, cancelled or scheduled job ready now, with both counts at zero; its id stays and its attempt numbers go on.
-- Returns the id. A ready job is left as it is. Raises PQ001 unknown job; PQ002 when another job holds its key, with the holder;
-- PQ003 when it is running or has succeeded, was skipped in its flow and would be again, is a step of a saga that was given up, or retention has dropped its
-- arguments. A job of a flow that never started waits for its parents again (reopen_nodes).
-- Looks again when the job has moved between two looks (somebody else's retry, a settle): it is always somewhere.
-- Locks: the job's row, then its key's row, then nodes.
create function pgqueue.retry(id bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _state text;
  _job record;
  _holder bigint;
begin
  loop
    select j.queue, j.run_at into _job from pgqueue.queued_jobs j where j.id = retry.id and j.worker_id is null for update;
    if found then
      if _job.run_at = 'infinity' then
        raise exception using errcode = 'PQ003', message = format('job %s is blocked: it waits for another job or for its turn; why(id) tells', id);
      end if;
      update pgqueue.queued_jobs j set run_at = least(j.run_at, _at), failures = 0, losses = 0 where j.id = retry.id;
      delete from pgqueue.cancel_requests c where c.job_id = retry.id;
      perform pgqueue.wake(_job.queue);
      return id;
    end if;
    _state := pgqueue.stored_state(retry.id);
    if _state is null then
      perform pgqueue.unknown_job(retry.id);
    elsif _state = 'running' then
      raise exception using errcode = 'PQ003', message = format('job %s is running: cancel it first, or wait until it ends', id);
    elsif _state = 'succeeded' then
      raise exception using errcode = 'PQ003', message = format('job %s is succeeded: only dead, cancelled and scheduled jobs can be retried', id);
    elsif _state = 'dead' then
      select d.queue, d.key, d.args_day into _job from pgqueue.dead_jobs d where d.id = retry.id for update;
      exit when found;
    elsif _state = 'cancelled' then
      select f.queue, f.key, f.args_day into _job from pgqueue.finished_jobs f where f.id = retry.id and not f.succeeded for update;
      exit when found;
    end if;
  end loop;
  if not exists (select from pgqueue.job_args a where a.id = retry.id and a.day = _job.args_day) then
    raise exception using errcode = 'PQ003', message = format('job %s cannot be retried: retention has dropped its arguments; enqueue it anew', id);
  end if;
  if _job.key is not null then
    _holder := pgqueue.hold_key(retry.id, _job.queue, _job.key, null);
    if _holder <> id then
      raise exception using errcode = 'PQ002', hint = _holder::text,
        message = format('cannot retry job %s: its key %L of queue %L is held by job %s', id, _job.key, _job.queue, _holder);
    end if;
  end if;
  if _state = 'dead' then
    perform pgqueue.requeue_dead(array[retry.id], _at);
  else
    perform pgqueue.requeue_cancelled(array[retry.id], _at);
  end if;
  return id;
end $$;
