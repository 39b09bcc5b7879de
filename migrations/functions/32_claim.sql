-- Leases up to `max_jobs` due jobs of one queue to a worker: attempt + 1, the worker's id and a fresh token on each. Strictly by priority,
-- then run_at, then id. Only registered tasks, nothing of a paused queue, no job that has to run alone. Never waits (SKIP LOCKED).
-- Marks: for each priority (ascending) where to begin, the (run_at, id) claimed last, so that a claim does not walk over the dead
-- index entries of finished jobs when an old snapshot pins them; a mark is never later than 250 ms ago, for commits that come out
-- of order. What becomes visible behind a mark is found by a pass from '-infinity'.
-- Rows are of kind job, or gated: those are in no order that marks could go by; or more: it has not seen everything that is due; or busy:
-- others have the lanes of some that are due, look again soon. Jobs with gates have to pass them (see gate); where some are held back it looks for others, a few times. Behind a job of a group come
-- up to series - 1 of the jobs that follow it, beyond max_jobs: the worker runs them one after the other.
-- The update of a plain job is HOT; (run_at, id) of the jobs is returned exactly. Plans are pinned: `ctid = any(array(...))` kept one
-- plan on empty, stale and full tables. Args are read through the primary key of the day's partition.
create function pgqueue.claim(worker_id bigint, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[],
  marks_at timestamptz[], marks_id bigint[], at timestamptz, aging interval default null, series integer default 1)
returns table (kind text, id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint, timeout interval,
               priority smallint, run_at timestamptz, created_at timestamptz, expired boolean, key text, group_key text)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_material = off set plan_cache_mode = force_generic_plan set jit = off as $$
#variable_conflict use_column
declare
  _room integer := max_jobs;
  _look integer := max_jobs;
  _tids tid[];
  _flags boolean[];
  _gated bigint[];
  _passed bigint[];
begin
  for _round in 1 .. 4 loop
    if aging is null then
      select array_agg(c.tid), array_agg(c.gated), array_agg(c.id) filter (where c.gated) into _tids, _flags, _gated
      from (select k.tid, k.id, k.gated
            from unnest(priorities, marks_at, marks_id) as m (priority, run_at, id),
            lateral (
              select q.ctid as tid, q.id, q.gated
              from pgqueue.queued_jobs q
              where q.queue = claim.queue and q.priority = m.priority and not q.suspect and q.worker_id is null
                and (q.run_at, q.id) >= (least(m.run_at, at - interval '250 ms'), case when m.run_at <= at - interval '250 ms' then m.id else 0 end)
                and q.run_at <= at and q.task = any (tasks)
              order by q.run_at, q.id
              limit _look
              for update skip locked) k
            limit _look) c;
    else
      select array_agg(c.tid), array_agg(c.gated), array_agg(c.id) filter (where c.gated) into _tids, _flags, _gated
      from pgqueue.oldest_due(queue, tasks, _look, priorities, at, aging) c;
    end if;
    if _gated is not null then  -- plain jobs get what is theirs of the room, by the order; the gates decide about the rest
      _tids := array(select c.tid from unnest(_tids, _flags) with ordinality as c (tid, gated, place) where not c.gated and c.place <= _room);
      _room := _room - cardinality(_tids);
      _passed := pgqueue.gate(_gated, queue, tasks, at, _room);
      _room := _room - cardinality(_passed);
      delete from pgqueue.permits p where p.kind = 'fair' and p.job_id = any (_passed);
      if series > 1 and _passed <> '{}' then
        _passed := _passed || pgqueue.take_series(_passed, queue, tasks, series, at);
      end if;
    end if;
    return query
    with claimed as (
      update pgqueue.queued_jobs j
      set worker_id = claim.worker_id, token = claim.token, attempt = j.attempt + 1, started_at = at
      where j.ctid = any (_tids)
      returning j.id, j.task, j.args_day, j.attempt, j.failures, j.losses, j.max_attempts, j.timeout, j.priority, j.run_at, j.created_at, j.expires_at, j.key
    )
    select 'job', c.id, c.task, a.args::text, a.meta::text, c.attempt, c.failures, c.losses, c.max_attempts, c.timeout, c.priority, c.run_at, c.created_at,
           c.expires_at <= at, c.key, null::text
    from claimed c left join pgqueue.job_args a on a.id = c.id and a.day = c.args_day
    order by c.priority, c.run_at, c.id;
    exit when _gated is null;
    return query
    with claimed as (
      update pgqueue.queued_jobs j
      set worker_id = claim.worker_id, token = claim.token, attempt = j.attempt + 1, started_at = at, run_at = least(j.run_at, at)
      where j.id = any (_passed) and j.worker_id is null and not j.suspect and j.task = any (tasks)
      returning j.id, j.task, j.args_day, j.attempt, j.failures, j.losses, j.max_attempts, j.timeout, j.priority, j.run_at, j.created_at, j.expires_at, j.key
    )
    select 'gated', c.id, c.task, a.args::text, a.meta::text, c.attempt, c.failures, c.losses, c.max_attempts, c.timeout, c.priority, c.run_at, c.created_at,
           c.expires_at <= at, c.key, a.gates ->> 'group'
    from claimed c left join pgqueue.job_args a on a.id = c.id and a.day = c.args_day
    order by c.priority, c.id;
    exit when _room < max_jobs;  -- what it has should not wait
    if current_setting('pgq.busy', true) = at::text then
      kind := 'busy';
      return next;
      return;
    end if;
    _look := greatest(_room, 200);  -- who is held back is not met again, so it is worth while to look at many
  end loop;
  if _gated is not null and _room > 0 then
    kind := 'more';
    return next;
  end if;
end $$;
