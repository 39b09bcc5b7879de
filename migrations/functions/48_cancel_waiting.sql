-- Locks a waiting job, to cancel it, if it can have it at once; whether it could. A node of a flow is locked before its job, because who
-- settles a parent does the same (I14). Locks: the node, the job; waits for neither.
create function pgqueue.try_waiting(id bigint) returns boolean
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
begin
  if pgqueue.is_node(id) then
    perform from pgqueue.flow_nodes n where n.id = try_waiting.id for no key update skip locked;
    if not found then
      return false;
    end if;
  end if;
  perform from pgqueue.queued_jobs j where j.id = try_waiting.id and j.worker_id is null for update skip locked;
  return found;
end $$;

-- Ends a waiting job, whose row the caller has locked, as cancelled. Returns the state it was in. Locks: its key's row, its dependants,
-- its lanes if it holds permits.
create function pgqueue.cancel_waiting(id bigint, at timestamptz, reason text default 'cancelled on request') returns text
language plpgsql as $$
#variable_conflict use_column
declare
  _state text;
  _gated boolean;
  _linked boolean;
begin
  perform pgqueue.ensure_day(at);
  with gone as (
    delete from pgqueue.queued_jobs j where j.id = cancel_waiting.id and j.worker_id is null
    returning j.id, j.run_at, j.created_at, j.args_day, j.attempt, j.priority, j.failures, j.losses, j.max_attempts, j.suspect, j.queue, j.task,
              j.key, j.timeout, j.gated, j.linked
  ), finished as (
    insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, args_day, attempt, priority, failures, losses, max_attempts, succeeded,
                                       suspect, queue, task, key, timeout, error)
    select g.id, at, case when g.run_at = 'infinity' then at else g.run_at end, g.created_at, g.args_day, g.attempt, g.priority, g.failures, g.losses, g.max_attempts, false, g.suspect, g.queue,
           g.task, g.key, g.timeout, jsonb_build_object('type', 'Cancelled', 'message', reason)
    from gone g
  ), freed as (
    delete from pgqueue.job_keys k using gone g
    where k.queue = g.queue and k.key = g.key and k.job_id = g.id and (k.until is null or k.until <= at)
  ), reported as (
    delete from pgqueue.job_progress p using gone g where p.job_id = g.id
  )
  select case when g.run_at = 'infinity' then 'blocked' when g.run_at > at then 'scheduled' else 'ready' end, g.gated, g.linked
  into _state, _gated, _linked from gone g;
  if _linked then
    perform pgqueue.settle_nodes(jsonb_build_array(jsonb_build_object('id', id, 'outcome', 'cancelled',
      'error', jsonb_build_object('type', 'Cancelled', 'message', reason))), at);
  end if;
  if _gated then
    delete from pgqueue.lane_waits w where w.job_id = cancel_waiting.id;
    perform pgqueue.release(array[id], at);
  end if;
  perform pgqueue.wake('');
  return _state;
end $$;
