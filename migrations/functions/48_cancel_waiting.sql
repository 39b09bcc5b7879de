-- Ends a waiting job, whose row the caller has locked, as cancelled. Returns the state it was in. Locks: its key's row.
create function pgqueue.cancel_waiting(id bigint, at timestamptz) returns text
language plpgsql as $$
#variable_conflict use_column
declare
  _state text;
begin
  perform pgqueue.ensure_day(at);
  with gone as (
    delete from pgqueue.queued_jobs j where j.id = cancel_waiting.id and j.worker_id is null
    returning j.id, j.run_at, j.created_at, j.args_day, j.attempt, j.priority, j.failures, j.losses, j.max_attempts, j.suspect, j.queue, j.task,
              j.key, j.timeout
  ), finished as (
    insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, args_day, attempt, priority, failures, losses, max_attempts, succeeded,
                                       suspect, queue, task, key, timeout, error)
    select g.id, at, g.run_at, g.created_at, g.args_day, g.attempt, g.priority, g.failures, g.losses, g.max_attempts, false, g.suspect, g.queue,
           g.task, g.key, g.timeout, '{"type": "Cancelled", "message": "cancelled on request"}'
    from gone g
  ), freed as (
    delete from pgqueue.job_keys k using gone g
    where k.queue = g.queue and k.key = g.key and k.job_id = g.id and (k.until is null or k.until <= at)
  ), reported as (
    delete from pgqueue.job_progress p using gone g where p.job_id = g.id
  )
  select case when g.run_at > at then 'scheduled' else 'ready' end into _state from gone g;
  perform pgqueue.wake('');
  return _state;
end $$;
