-- Puts dead jobs whose rows the caller has locked, and whose keys it holds, back into the queue: due now, both counts at
-- zero, with their ids and the evidence of their attempts. A request to cancel from before is over. A node of a flow is
-- reopened with its job: if it never started it waits for its parents first; callbacks of its
-- batch that were skipped because of it wait again. Raises PQ003 as reopen_nodes. Locks: nodes (reopen_nodes), those requests.
create function pgqueue.requeue_dead(ids bigint[], at timestamptz) returns void
language plpgsql as $$
#variable_conflict use_column
begin
  perform pgqueue.ensure_day(at);
  with gone as (
    delete from pgqueue.dead_jobs d where d.id = any (ids)
    returning d.id, d.created_at, d.args_day, d.attempt, d.priority, d.suspect, d.max_attempts, d.timeout, d.queue, d.task, d.key, d.attempts
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select g.id, at, e.started_at, e.finished_at, e.worker_id, e.attempt, e.outcome, e.error
    from gone g, jsonb_to_recordset(g.attempts) as e (started_at timestamptz, finished_at timestamptz, worker_id bigint, attempt integer,
                                                      outcome text, error jsonb)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, attempt, priority, suspect, max_attempts, timeout, queue, task, key, gated, linked)
  select g.id, at, g.created_at, g.args_day, g.attempt, g.priority, g.suspect, g.max_attempts, g.timeout, g.queue, g.task, g.key,
         exists (select from pgqueue.job_args a where a.id = g.id and a.day = g.args_day and a.gates is not null), pgqueue.is_node(g.id)
  from gone g;
  perform pgqueue.reopen_nodes(ids, at);
  perform pgqueue.recall_skipped(ids, at);
  perform pgqueue.line_up(ids, at);
  delete from pgqueue.cancel_requests c where c.job_id = any (ids);
  perform pgqueue.wake(q.queue) from (select distinct j.queue from pgqueue.queued_jobs j where j.id = any (ids)) q;
end $$;
