-- Why a job does not run right now: a row for each gate that holds it back, from the facts that the claim goes by, with a sentence that says
-- what to do. Gates: finished; running, lost_worker; dependency, due, group, limit (one row each), fair_share, paused, no_worker,
-- unknown_task, suspect, workers_full (only when nothing else holds it), parked; and three that hold nothing back: expired (a claim cancels it), cancel_requested, ready.
-- All is read in the caller's snapshot, by index, with counts that stop at 10,000, so that it is quick in a queue of millions.
-- Plans are pinned as the claim's are. Raises PQ001. Locks: nothing.
create function pgqueue.why(id bigint) returns table (gate text, detail text)
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off set enable_material = off set plan_cache_mode = force_generic_plan set jit = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _job record;
  _gates jsonb;
  _paused timestamptz;
  _held boolean := false;
  _more boolean;
begin
  select j.* into _job from pgqueue.queued_jobs j where j.id = why.id;
  if not found then
    return query select * from pgqueue.why_ended(id);
    if not found then
      return query select * from pgqueue.why_barrier(id, _at);
      perform pgqueue.unknown_job(id) where not found;
    end if;
    return;
  end if;
  return query select 'cancel_requested', format('somebody asked at %s to cancel it; %s', pgqueue.told_time(c.requested_at),
      case when _job.worker_id is not null then 'its worker stops the handler at its next heartbeat' else 'a living worker does so within seconds' end)
    from pgqueue.cancel_requests c where c.job_id = why.id;
  if _job.worker_id is not null then
    return query select * from pgqueue.why_running(_job.worker_id, _job.attempt, _job.started_at, _at);
    return;
  end if;
  if _job.expires_at <= _at then
    return query select 'expired', format('it expired at %s, %s ago: the worker that claims it cancels it without running it',
                                          pgqueue.told_time(_job.expires_at), pgqueue.told_span(_at - _job.expires_at));
  end if;
  if _job.gated then
    select a.gates into _gates from pgqueue.job_args a where a.id = why.id and a.day = _job.args_day;
  end if;
  if _job.linked then
    return query select * from pgqueue.why_dependency(id, _at);
    _held := found;
  end if;
  return query select * from pgqueue.why_group(id, _job.queue, _gates ->> 'group', _job.run_at, _at) where _gates ? 'group';
  _held := _held or found;
  return query select * from pgqueue.why_limits(id, _job.run_at, _job.priority, _gates -> 'limits', _at) where _gates ? 'limits';
  _more := found;
  _held := _held or _more;
  if _job.run_at > _at and _job.run_at < 'infinity' and not (_more and (  -- a limit has dated it, and has told so
       _job.run_at <= _at + interval '1 s' or exists (select from pgqueue.lane_waits w where w.job_id = why.id and w.kind = 'limit'))) then
    return query select * from pgqueue.why_due(id, _job.run_at, _job.failures, _job.created_at, _at);
    _held := true;
  end if;
  return query select * from pgqueue.why_share(id, _job.queue, _gates ->> 'fair', _job.priority) where _gates ? 'fair';
  _held := _held or found;
  if _job.run_at = 'infinity' and not _held then
    return query select 'parked', format('it is parked and stands in no line, which should not be: please report it; `pgq jobs cancel %s`, then `pgq jobs retry %s`, makes it due', id, id);
    _held := true;
  end if;
  select p.paused_at into _paused from pgqueue.paused_queues p where p.queue = _job.queue;
  if found then
    return query select 'paused', format('queue %L is paused since %s (%s): `pgq queues resume %s`', _job.queue, pgqueue.told_time(_paused), pgqueue.told_span(_at - _paused), _job.queue);
    _held := true;
  end if;
  if _job.suspect then
    return query select 'suspect', format('it has to run alone, because it was there when a worker died (%s), and has taken down %s workers so far while it ran alone, of %s that make it dead; '
                                          || 'a worker takes it when it has nothing else to do, or a process of its own does',
      coalesce((select 'attempt ' || t.attempt || ', ' || pgqueue.told_time(t.finished_at) from pgqueue.job_attempts t
                where t.job_id = why.id and t.logged_at >= _job.created_at and t.outcome = 'lost' order by t.attempt desc limit 1), 'before it was retried'),
      _job.losses, (select s.max_losses from pgqueue.settings s));
    _held := true;
  end if;
  return query select * from pgqueue.why_workers(_job.queue, _job.task, not _held, _at);
  _held := _held or found;
  if not _held then
    return query select 'ready', format('nothing holds it back: it waits for a claim, and %s before it in queue %L',
      pgqueue.told_count(pgqueue.jobs_ahead(_job.queue, _job.priority, _job.run_at, id, _at), 'job', 'jobs'), _job.queue);
  end if;
end $$;
