-- Gives a waiting job the contents of a newer request with its key, and says whether it did: a job that has started keeps what it
-- started with. Its id, creation time, attempts and gates stay. A job that waits for others goes on waiting for them; one that stood
-- in a line comes to it again when it is due. New arguments are a new row: job_args is append-only, but a job's row of today may be
-- there already, so a change on the same day is an update.
-- Locks: the job's row, for which it may wait while a claim or another replacement of it commits.
create function pgqueue.replace_job(id bigint, task text, args jsonb, priority integer, run_at timestamptz,
  max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, day date) returns boolean
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _day date;
  _in_line boolean;
begin
  select j.args_day into _day from pgqueue.queued_jobs j where j.id = replace_job.id and j.worker_id is null for update;
  if not found then
    return false;
  end if;
  delete from pgqueue.lane_waits w where w.job_id = replace_job.id;
  _in_line := found;
  update pgqueue.queued_jobs j
  set task = replace_job.task, priority = replace_job.priority,
      run_at = case when j.run_at = 'infinity' and not _in_line then j.run_at else replace_job.run_at end,
      max_attempts = replace_job.max_attempts, timeout = replace_job.timeout, expires_at = replace_job.expires_at,
      args_day = replace_job.day
  where j.id = replace_job.id and j.worker_id is null;
  insert into pgqueue.job_args as a (id, day, args, meta, gates)
  select replace_job.id, replace_job.day, replace_job.args, replace_job.meta, o.gates
  from (select 1) one left join pgqueue.job_args o on o.id = replace_job.id and o.day = _day
  on conflict (id, day) do update set args = excluded.args, meta = excluded.meta;
  if _in_line then
    perform pgqueue.line_up(array[id], clock_timestamp());
  end if;
  return true;
end $$;
