-- Puts a cancelled job, whose key the caller holds, back into the queue, due now. Returns false when it is gone meanwhile.
-- A node of a flow is reopened with its job, as in requeue_dead. Locks: the job's history row, nodes (reopen_nodes).
create function pgqueue.requeue_cancelled(id bigint, at timestamptz) returns boolean
language plpgsql as $$
#variable_conflict use_column
declare
  _queue text;
begin
  with gone as (
    delete from pgqueue.finished_jobs f where f.id = requeue_cancelled.id and not f.succeeded
    returning f.id, f.finished_at, f.started_at, f.worker_id, f.created_at, f.args_day, f.attempt, f.priority, f.suspect, f.max_attempts, f.timeout,
              f.queue, f.task, f.key, f.error
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select g.id, at, g.started_at, g.finished_at, g.worker_id, g.attempt, 'cancelled', g.error from gone g where g.worker_id is not null
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, attempt, priority, suspect, max_attempts, timeout, queue, task, key, gated, linked)
  select g.id, at, g.created_at, g.args_day, g.attempt, g.priority, g.suspect, g.max_attempts, g.timeout, g.queue, g.task, g.key,
         exists (select from pgqueue.job_args a where a.id = g.id and a.day = g.args_day and a.gates is not null), pgqueue.is_node(g.id)
  from gone g
  returning queue into _queue;
  if not found then
    return false;
  end if;
  perform pgqueue.reopen_nodes(array[id], at);
  perform pgqueue.line_up(array[id], at);
  delete from pgqueue.cancel_requests c where c.job_id = requeue_cancelled.id;
  perform pgqueue.wake(_queue);
  return true;
end $$;
