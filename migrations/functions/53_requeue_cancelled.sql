-- Puts cancelled jobs, whose rows the caller has locked and whose keys it holds, back into the queue, due now. Returns how many: who is gone
-- meanwhile does not count. A node of a flow is reopened with its job, as in requeue_dead.
-- Locks: the jobs' history rows, nodes (reopen_nodes), requests to cancel.
create function pgqueue.requeue_cancelled(ids bigint[], at timestamptz) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _ids bigint[];
begin
  with gone as (
    delete from pgqueue.finished_jobs f where f.id = any (ids) and not f.succeeded
    returning f.id, f.finished_at, f.started_at, f.worker_id, f.created_at, f.args_day, f.attempt, f.priority, f.suspect, f.max_attempts, f.timeout,
              f.queue, f.task, f.key, f.error
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select g.id, at, g.started_at, g.finished_at, g.worker_id, g.attempt, 'cancelled', g.error from gone g where g.worker_id is not null
  ), queued as (
    insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, attempt, priority, suspect, max_attempts, timeout, queue, task, key, gated, linked)
    select g.id, at, g.created_at, g.args_day, g.attempt, g.priority, g.suspect, g.max_attempts, g.timeout, g.queue, g.task, g.key,
           exists (select from pgqueue.job_args a where a.id = g.id and a.day = g.args_day and a.gates is not null), pgqueue.is_node(g.id)
    from gone g
    returning id
  )
  select array_agg(q.id order by q.id) into _ids from queued q;
  if _ids is null then
    return 0;
  end if;
  perform pgqueue.reopen_nodes(_ids, at);
  perform pgqueue.recall_skipped(_ids, at);
  perform pgqueue.line_up(_ids, at);
  delete from pgqueue.cancel_requests c where c.job_id = any (_ids);
  perform pgqueue.wake(q.queue) from (select distinct j.queue from pgqueue.queued_jobs j where j.id = any (_ids)) q;
  return cardinality(_ids);
end $$;
