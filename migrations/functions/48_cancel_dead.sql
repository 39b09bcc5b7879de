-- Ends a dead job as cancelled, because it was asked to stop before it died. Its error and the evidence of its attempts go to the
-- history with it. Does nothing when it is not dead, or somebody has locked it. Locks: the dead job's row if it can have it at once, its node.
create function pgqueue.cancel_dead(id bigint, at timestamptz) returns void
language plpgsql as $$
#variable_conflict use_column
begin
  perform from pgqueue.dead_jobs d where d.id = cancel_dead.id for update skip locked;
  if not found then
    return;
  end if;
  perform pgqueue.ensure_day(at);
  with gone as (
    delete from pgqueue.dead_jobs d where d.id = cancel_dead.id
    returning d.id, d.run_at, d.created_at, d.started_at, d.worker_id, d.args_day, d.attempt, d.priority, d.failures, d.losses, d.max_attempts,
              d.suspect, d.queue, d.task, d.key, d.timeout, d.error, d.attempts
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select g.id, at, e.started_at, e.finished_at, e.worker_id, e.attempt, e.outcome, e.error
    from gone g, jsonb_to_recordset(g.attempts) as e (started_at timestamptz, finished_at timestamptz, worker_id bigint, attempt integer,
                                                      outcome text, error jsonb)
    where e.attempt < g.attempt
  )
  insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, started_at, worker_id, args_day, attempt, priority, failures, losses,
                                     max_attempts, succeeded, suspect, queue, task, key, timeout, error)
  select g.id, at, g.run_at, g.created_at, g.started_at, g.worker_id, g.args_day, g.attempt, g.priority, g.failures, g.losses, g.max_attempts,
         false, g.suspect, g.queue, g.task, g.key, g.timeout, g.error
  from gone g;
  update pgqueue.flow_nodes n set outcome = 'cancelled' where n.id = cancel_dead.id and n.outcome = 'dead';  -- a failure to others as before
end $$;
