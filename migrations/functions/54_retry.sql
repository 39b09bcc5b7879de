-- Makes a dead, cancelled or scheduled job ready now, with both counts at zero; its id stays and its attempt numbers go on.
-- Returns the id. A ready job is left as it is. Raises PQ001 unknown job; PQ002 when another job holds its key, with the holder;
-- PQ003 when it is running or has succeeded. Locks: the job's row, then its key's row.
create function pgqueue.retry(id bigint) returns bigint
language plpgsql as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _job record;
  _holder bigint;
begin
  select j.worker_id, j.queue, j.run_at into _job from pgqueue.queued_jobs j where j.id = retry.id and j.worker_id is null for update;
  if found then
    update pgqueue.queued_jobs j set run_at = least(j.run_at, _at), failures = 0, losses = 0 where j.id = retry.id;
    delete from pgqueue.cancel_requests c where c.job_id = retry.id;
    perform pgqueue.wake(_job.queue);
    return id;
  elsif exists (select from pgqueue.queued_jobs j where j.id = retry.id) then
    raise exception using errcode = 'PQ003', message = format('job %s is running: cancel it first, or wait until it ends', id);
  end if;
  select 'dead' as state, d.queue, d.key into _job from pgqueue.dead_jobs d where d.id = retry.id for update;
  if not found then
    select 'cancelled' as state, f.queue, f.key into _job
    from pgqueue.finished_jobs f where f.id = retry.id and not f.succeeded for update;
  end if;
  if not found then
    raise exception using errcode = 'PQ003', message = format('job %s is %s: only dead, cancelled and scheduled jobs can be retried', id, pgqueue.final_state(id));
  end if;
  if _job.key is not null then
    _holder := pgqueue.hold_key(retry.id, _job.queue, _job.key, null);
    if _holder <> id then
      raise exception using errcode = 'PQ002', hint = _holder::text,
        message = format('cannot retry job %s: its key %L of queue %L is held by job %s', id, _job.key, _job.queue, _holder);
    end if;
  end if;
  if _job.state = 'dead' then
    perform pgqueue.requeue_dead(array[retry.id], _at);
  else
    perform pgqueue.requeue_cancelled(retry.id, _at);
  end if;
  return id;
end $$;
