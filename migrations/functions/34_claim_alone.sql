-- Leases one due job that has to run alone, because it was there when a worker died, to a worker that runs nothing else now.
-- The row says so (alone), so that a loss can be counted against this job and no other (I11). Returns rows as claim does, at most one.
-- Locks: the worker's row for key share, then one job that it can have at once.
create function pgqueue.claim_alone(worker_id bigint, epoch integer, token bigint, queue text, tasks text[])
returns table (id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint, timeout interval,
               priority smallint, run_at timestamptz, created_at timestamptz, expired boolean, key text, group_key text)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _id bigint;
  _gated boolean;
begin
  perform from pgqueue.worker_processes w
  where w.id = claim_alone.worker_id and w.epoch = claim_alone.epoch and w.lost_at is null
  for key share;
  if not found or exists (select from pgqueue.paused_queues p where p.queue = claim_alone.queue) then
    return;
  end if;
  for _round in 1 .. 8 loop
    select q.id, q.gated into _id, _gated from pgqueue.queued_jobs q
    where q.queue = claim_alone.queue and q.suspect and q.worker_id is null and q.run_at <= _at and q.task = any (tasks)
    order by q.priority, q.run_at, q.id
    limit 1
    for update skip locked;
    exit when not found or not _gated or _id = any (pgqueue.gate(array[_id], queue, tasks, _at, 1));
    _id := null;
  end loop;
  delete from pgqueue.permits p where p.kind = 'fair' and p.job_id = _id;  -- its share is taken, as in claim: else it would count against its key for ever
  return query
  with claimed as (
    update pgqueue.queued_jobs j
    set worker_id = claim_alone.worker_id, token = claim_alone.token, attempt = j.attempt + 1, started_at = _at, alone = true
    where j.id = _id and j.worker_id is null
    returning j.id, j.task, j.args_day, j.attempt, j.failures, j.losses, j.max_attempts, j.timeout, j.priority, j.run_at, j.created_at, j.expires_at, j.key
  )
  select c.id, c.task, a.args::text, a.meta::text, c.attempt, c.failures, c.losses, c.max_attempts, c.timeout, c.priority, c.run_at, c.created_at,
         c.expires_at <= _at, c.key, a.gates ->> 'group'
  from claimed c left join pgqueue.job_args a on a.id = c.id and a.day = c.args_day;
end $$;
