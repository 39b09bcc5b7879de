-- Leases up to `max_jobs` due jobs of one queue to a worker: attempt + 1, the worker's id and a fresh token on each. Strictly by priority,
-- then run_at, then id. Only registered tasks, nothing of a paused queue, no job that has to run alone. Never waits (SKIP LOCKED).
-- Marks: for each priority (ascending) where to begin, the (run_at, id) claimed last, so that a claim does not walk over the dead
-- index entries of finished jobs when an old snapshot pins them; a mark is never later than 250 ms ago, for commits that come out
-- of order. What becomes visible behind a mark is found by a pass from '-infinity'.
-- The update is HOT; (run_at, id) of the jobs is returned exactly. Plans are pinned: `ctid = any(array(...))` kept one
-- plan on empty, stale and full tables. Args are read through the primary key of the day's partition.
create function pgqueue.claim(worker_id bigint, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[],
  marks_at timestamptz[], marks_id bigint[], at timestamptz)
returns table (id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint, timeout interval,
               priority smallint, run_at timestamptz, created_at timestamptz, expired boolean, key text)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_material = off set plan_cache_mode = force_generic_plan set jit = off as $$
#variable_conflict use_column
begin
  return query
  with claimed as (
    update pgqueue.queued_jobs j
    set worker_id = claim.worker_id, token = claim.token, attempt = j.attempt + 1, started_at = at
    where j.ctid = any (array(
      select k.tid
      from unnest(priorities, marks_at, marks_id) as m (priority, run_at, id),
      lateral (
        select q.ctid as tid
        from pgqueue.queued_jobs q
        where q.queue = claim.queue and q.priority = m.priority and not q.suspect and q.worker_id is null
          and (q.run_at, q.id) >= (least(m.run_at, at - interval '250 ms'), case when m.run_at <= at - interval '250 ms' then m.id else 0 end)
          and q.run_at <= at and q.task = any (tasks)
        order by q.run_at, q.id
        limit max_jobs
        for update skip locked) k
      limit max_jobs))
    returning j.id, j.task, j.args_day, j.attempt, j.failures, j.losses, j.max_attempts, j.timeout, j.priority, j.run_at, j.created_at, j.expires_at, j.key
  )
  select c.id, c.task, a.args::text, a.meta::text, c.attempt, c.failures, c.losses, c.max_attempts, c.timeout, c.priority, c.run_at, c.created_at,
         c.expires_at <= at, c.key
  from claimed c left join pgqueue.job_args a on a.id = c.id and a.day = c.args_day
  order by c.priority, c.run_at, c.id;
end $$;
