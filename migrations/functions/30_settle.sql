-- Records what attempts came to, each fenced by its lease token, and returns the ids of those whose token no longer held: nothing
-- was changed for them (I4). Everything that an outcome changes, changes here and in this transaction (I6).
-- Plans are pinned (no sequential scan, ids as an array): with statistics of an empty table generic plans went astray.
-- `outcomes` is an array of objects:
--   id, token   the job and the lease of the attempt
--   outcome     succeeded | failed | dead | cancelled | expired | snoozed | released | lost
--   delay       seconds until the job is due again (failed, snoozed; lost when given)
--   result      of a success
--   error       {type, message, traceback}: of all the others
--   alone       for lost: true when it is certain that this very job ended its process
-- failed, dead, snoozed, released and lost become cancelled when the job was asked to stop; lost becomes dead when the job has lost
-- max_losses workers while it ran alone. Death right after this statement: it has committed, or the rescue finds the job still running.
-- Raises PQ004 for an outcome that it does not know. Of two outcomes for one attempt the first counts. Delays are held between 0 and
-- 3,000 years, counts at what their columns hold, so that one odd value cannot keep the whole batch from being recorded.
-- Locks: the jobs in id order; then what belongs to them (keys, progress, cancel requests), by id too; then their dependants, by id
-- (settle_nodes); then their lanes (release).
create function pgqueue.settle(outcomes jsonb, at timestamptz) returns setof bigint
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _stale bigint[];
  _nodes jsonb;
  _gated bigint[];
begin
  with given as materialized (
    select distinct on (g.id, g.token) g.id, g.token, g.outcome, g.result, g.error,
           case when g.delay is not null then least(greatest(g.delay, 0), 1e11) end as delay, coalesce(g.alone, false) as alone
    from rows from (jsonb_to_recordset(outcomes) as (id bigint, token bigint, outcome text, delay double precision, result jsonb, error jsonb, alone boolean))
      with ordinality as g (id, token, outcome, delay, result, error, alone, place)
    order by g.id, g.token, g.place
  ), held as materialized (
    select j.id, j.run_at, j.created_at, j.args_day, j.attempt, j.priority, j.failures, j.losses, j.suspect, j.worker_id, j.started_at,
           j.max_attempts, j.timeout, j.queue, j.task, j.key, j.gated, j.linked, g.delay, g.result, g.error, g.outcome = 'lost' and (j.alone or g.alone) as lost_alone,
           case
             when g.outcome in ('failed', 'dead', 'snoozed', 'released', 'lost')
                  and exists (select from pgqueue.cancel_requests c where c.job_id = j.id) then 'cancelled'
             when g.outcome = 'lost' and (j.alone or g.alone) and j.losses + 1 >= (select s.max_losses from pgqueue.settings s) then 'dead'
             when g.outcome in ('succeeded', 'failed', 'dead', 'cancelled', 'expired', 'snoozed', 'released', 'lost') then g.outcome
             else pgqueue.unknown_outcome(g.outcome)
           end as outcome
    from pgqueue.queued_jobs j join given g on g.id = j.id and g.token = j.token
    where j.id = any (array(select x.id from given x))
    order by j.id
    for update of j
  ), again as (
    update pgqueue.queued_jobs j
    set worker_id = null, token = null, started_at = null, alone = false,
        run_at = case when h.delay is null then j.run_at else at + make_interval(secs => h.delay) end,
        failures = least(j.failures + (h.outcome = 'failed')::integer, 32767),
        losses = least(j.losses + h.lost_alone::integer, 32767),
        suspect = j.suspect or h.outcome = 'lost'
    from held h
    where j.id = any (array(select x.id from held x where x.outcome in ('failed', 'snoozed', 'released', 'lost'))) and h.id = j.id
    returning j.id
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select h.id, at, h.started_at, at, h.worker_id, h.attempt, h.outcome, h.error
    from held h join again a on a.id = h.id
  ), gone as (
    delete from pgqueue.queued_jobs j
    where j.id = any (array(select x.id from held x where x.outcome in ('succeeded', 'cancelled', 'expired', 'dead')))
    returning j.id
  ), finished as (
    insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, started_at, worker_id, args_day, attempt, priority, failures, losses,
                                       max_attempts, succeeded, suspect, queue, task, key, timeout, result, error)
    select h.id, at, h.run_at, h.created_at, case when h.outcome <> 'expired' then h.started_at end,
           case when h.outcome <> 'expired' then h.worker_id end, h.args_day, h.attempt, h.priority, h.failures, h.losses, h.max_attempts,
           h.outcome = 'succeeded', h.suspect, h.queue, h.task, h.key, h.timeout, h.result,
           case
             when h.outcome = 'expired' then '{"type": "Cancelled", "message": "expired"}'
             when h.outcome = 'cancelled' then coalesce(h.error, '{"type": "Cancelled", "message": "cancelled on request"}')
           end
    from held h join gone g on g.id = h.id
    where h.outcome <> 'dead'
  ), evidence as (
    delete from pgqueue.job_attempts a using held h
    where a.job_id = h.id and h.outcome = 'dead'
    returning a.job_id, a.attempt, pgqueue.attempt_evidence(a.attempt, a.worker_id, a.started_at, a.finished_at, a.outcome, a.error) as attempt_row
  ), died as (
    insert into pgqueue.dead_jobs (id, died_at, run_at, created_at, started_at, worker_id, args_day, attempt, priority, failures, losses,
                                   max_attempts, suspect, queue, task, key, timeout, error, attempts)
    select h.id, at, h.run_at, h.created_at, h.started_at, h.worker_id, h.args_day, h.attempt, h.priority,
           least(h.failures + (not h.lost_alone)::integer, 32767), least(h.losses + h.lost_alone::integer, 32767), h.max_attempts, h.suspect or h.lost_alone,
           h.queue, h.task, h.key, h.timeout,
           coalesce(h.error, '{"type": "Dead", "message": "no error was given"}'),
           coalesce((select jsonb_agg(e.attempt_row order by e.attempt)
                     from (select x.attempt_row, x.attempt from evidence x where x.job_id = h.id order by x.attempt desc limit 99) e), '[]')
           || pgqueue.attempt_evidence(h.attempt, h.worker_id, h.started_at, at, 'dead', h.error)
    from held h join gone g on g.id = h.id
    where h.outcome = 'dead'
  ), freed as (
    delete from pgqueue.job_keys k using held h
    where h.key is not null and k.queue = h.queue and k.key = h.key and k.job_id = h.id
      and (h.outcome = 'dead' or h.outcome in ('succeeded', 'cancelled', 'expired') and (k.until is null or k.until <= at))
  ), reported as (
    delete from pgqueue.job_progress p where p.job_id = any (array(select g.id from gone g order by g.id))
  ), asked as (
    delete from pgqueue.cancel_requests c where c.job_id = any (array(select g.id from gone g order by g.id))
  )
  select array(select g.id from given g where not exists (select from held h where h.id = g.id)),
         (select jsonb_agg(jsonb_build_object('id', h.id, 'outcome', case h.outcome when 'expired' then 'cancelled' else h.outcome end,
                                              'result', h.result, 'error', h.error) order by h.id)
          from held h join gone g on g.id = h.id where h.linked),
         (select array_agg(h.id order by h.id) from held h where h.gated)
  into _stale, _nodes, _gated;
  if _nodes is not null then
    perform pgqueue.settle_nodes(_nodes, at);
  end if;
  if _gated is not null then
    perform pgqueue.release(_gated, at);
  end if;
  if _nodes is not null or _gated is not null then
    perform set_config('pgq.freed', at::text, true);  -- the step looks for what this has set free
  end if;
  return query select unnest(_stale);
end $$;
