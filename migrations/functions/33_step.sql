-- What a busy worker sends: settle the last batch, then claim the next, in one round trip and one transaction, as separate
-- statements, so that the claim sees what the settle freed. Returns rows of these kinds:
--   clock   one, first: run_at is the database's time of this step, created_at where marks may begin once nothing
--           due is left, id 1 when suspects wait (jobs that have to run alone),
--           args the priorities of a full pass
--   next    at most one, when fewer than max_jobs were found: run_at is when the queue's next job of these priorities falls due
--   stale   a settled job whose token no longer held
--   lost    the worker was declared lost, or its epoch is over: it must stop its handlers and register anew; nothing was claimed
--   job     a claimed job
--   busy    others have the lanes of due jobs right now: look again in some milliseconds, from the same marks
--   more    gates held jobs back and there may be due ones behind them, or what was settled has set others free: claim again
--   gated   a claimed job that had gates to pass: marks do not go by it
-- Without priorities it is a full pass: from the beginning, over all priorities that the queue's jobs have. That finds what became
-- visible behind the marks, and costs a walk over the dead index entries that an old snapshot pins.
-- The claim locks the worker's row for key share until it commits; the rescue, which locks it for update, cannot pass a claim by.
-- Locks: jobs to settle in id order (waits only for a handler's own transaction), the worker's row, then jobs it can have at once.
create function pgqueue.step(worker_id bigint, epoch integer, token bigint, queue text, tasks text[], max_jobs integer,
  priorities smallint[] default null, marks_at timestamptz[] default null, marks_id bigint[] default null, done_ids bigint[] default '{}', done_tokens bigint[] default '{}', outcomes jsonb default null, series integer default 1)
returns table (kind text, id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint,
               timeout interval, priority smallint, run_at timestamptz, created_at timestamptz, expired boolean, key text, group_key text)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan set jit = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _priorities smallint[] := priorities;
  _marks_at timestamptz[] := marks_at;
  _marks_id bigint[] := marks_id;
  _found bigint;
  _fair boolean;
  _freed boolean := false;
  _aging interval;
begin
  if done_ids <> '{}' or outcomes is not null then
    perform pgqueue.ensure_day(_at);
  end if;
  if done_ids <> '{}' then
    return query select 'stale', s.id, null::text, null::text, null::text, null::integer, null::smallint, null::smallint, null::smallint, null::interval,
                        null::smallint, null::timestamptz, null::timestamptz, null::boolean, null::text, null::text
                 from pgqueue.settle_succeeded(done_ids, done_tokens, _at) s (id);
  end if;
  if outcomes is not null then
    return query select 'stale', s.id, null::text, null::text, null::text, null::integer, null::smallint, null::smallint, null::smallint, null::interval,
                        null::smallint, null::timestamptz, null::timestamptz, null::boolean, null::text, null::text
                 from pgqueue.settle(outcomes, _at) s (id);
  end if;
  if done_ids <> '{}' or outcomes is not null then
    perform pgqueue.wake('');
    _freed := current_setting('pgq.freed', true) = _at::text;
  end if;
  kind := 'clock'; run_at := _at; created_at := _at - interval '250 ms'; id := 0;
  if max_jobs <= 0 then
    return next;
    if _freed then
      kind := 'more';
      return next;
    end if;
    return;
  end if;
  perform from pgqueue.worker_processes w
  where w.id = step.worker_id and w.epoch = step.epoch and w.lost_at is null
  for key share;
  if not found then
    return next;
    kind := 'lost';
    return next;
    return;
  end if;
  id := exists (select from pgqueue.queued_jobs q where q.queue = step.queue and q.suspect and q.worker_id is null and q.run_at <= _at)::integer;
  if _priorities is null then
    _priorities := pgqueue.priorities(queue);
    _marks_at := array_fill('-infinity'::timestamptz, array[cardinality(_priorities)]);
    _marks_id := array_fill(0::bigint, array[cardinality(_priorities)]);
    args := _priorities::text;
  end if;
  return next;
  if exists (select from pgqueue.paused_queues p where p.queue = step.queue) then
    return;
  end if;
  select p.fair, p.aging into _fair, _aging from pgqueue.queue_policies p where p.queue = step.queue;
  if _fair then
    perform pgqueue.deal(queue, max_jobs, _at);
  end if;
  return query select c.* from pgqueue.claim(worker_id, token, queue, tasks, max_jobs, _priorities, _marks_at, _marks_id, _at, _aging, series) c;
  get diagnostics _found = row_count;
  if _freed then
    kind := 'more'; id := null; args := null; created_at := null;
    return next;
  end if;
  if _found = 0 and done_ids = '{}' and outcomes is null then
    perform set_config('synchronous_commit', 'off', true);  -- only the worker's row was locked: nothing to wait for the disk for
  end if;
  if _found < max_jobs then
    select min(n.run_at) into run_at
    from unnest(_priorities) as m (priority),
    lateral (select q.run_at from pgqueue.queued_jobs q
             where q.queue = step.queue and q.priority = m.priority and not q.suspect and q.run_at > _at and q.run_at < 'infinity'
             order by q.run_at limit 1) n;
    if run_at is not null then
      kind := 'next'; id := null; args := null; created_at := null;
      return next;
    end if;
  end if;
end $$;
