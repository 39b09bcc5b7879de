-- After a broken connection: makes sure that nothing sent through the old one can claim any more, by ending its epoch, and returns
-- the jobs that the claim with this token had leased, if it came through: their rows are the answer that was lost.
-- False as `held` and no job: the worker was declared lost meanwhile. Scans the unfinished jobs; once per lost connection.
-- Locks: the worker's row for update (waits for a claim under way), nothing else.
create function pgqueue.recover(worker_id bigint, token bigint)
returns table (held boolean, epoch integer, id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint,
               max_attempts smallint, timeout interval, priority smallint, run_at timestamptz, created_at timestamptz, expired boolean, key text, group_key text, queue text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform from pgqueue.worker_processes w where w.id = recover.worker_id and w.lost_at is null for update;
  held := found;
  if held then
    update pgqueue.worker_processes w set epoch = w.epoch + 1 where w.id = recover.worker_id returning w.epoch into epoch;
  end if;
  return next;
  if held and recover.token is not null then
    return query
    select true, recover.epoch, j.id, j.task, a.args::text, a.meta::text, j.attempt, j.failures, j.losses, j.max_attempts, j.timeout, j.priority, j.run_at,
           j.created_at, j.expires_at <= clock_timestamp(), j.key, a.gates ->> 'group', j.queue
    from pgqueue.queued_jobs j left join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
    where j.worker_id = recover.worker_id and j.token = recover.token;
  end if;
end $$;
