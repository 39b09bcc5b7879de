-- Gives a waiting job the contents of a newer request with its key, and says whether it did: a job that has started keeps what it
-- started with. Its id, creation time and attempts stay; all else is the newer request's, its gates too, also where it has none. A job that
-- waits for others goes on waiting for them, and is due after that as the newer request says (I7); one that stood in a line comes to it again when it is due.
-- New arguments are a new row: job_args is append-only, but a job's row of today may be there already, so a change on the same day is an update.
-- A group's turn (I8) stays with the job only while it is due now and of the same group: else it passes to the next in line, or
-- a job put off until tomorrow would hold up all others. A share that was dealt to it is given back; it holds no permits of
-- limits, which belong to attempts (I9).
-- Locks: the node of a job that waits for others (I14: before the job), the job's row, for which it may wait while a claim or another
-- replacement of it commits; then the lane of a turn that it gives up, and the next job's row, only if they can be had at once.
-- It must not wait for a lane: settles have the lane and wait for rows in its line, one of which may be the caller's. Giving a turn up needs no lock, because
-- who reads it meanwhile sees a turn that is taken. Where the lane is somebody else's right now, and after a death right after the commit,
-- there is at worst a line without a turn, which hand_on_idle finds.
create function pgqueue.replace_job(id bigint, task text, args jsonb, priority integer, run_at timestamptz,
  max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, day date, gates jsonb) returns boolean
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _queue text;
  _in_line boolean;
  _parked boolean;
  _left text;
begin
  perform from pgqueue.flow_nodes n where n.id = replace_job.id and n.blocked for no key update;
  select j.queue, j.run_at = 'infinity' into _queue, _parked
  from pgqueue.queued_jobs j where j.id = replace_job.id and j.worker_id is null for update;
  if not found then
    return false;
  end if;
  delete from pgqueue.lane_waits w where w.job_id = replace_job.id;
  _in_line := found;
  update pgqueue.queued_jobs j
  set task = replace_job.task, priority = replace_job.priority,
      run_at = case when _parked and not _in_line then j.run_at else replace_job.run_at end,
      max_attempts = replace_job.max_attempts, timeout = replace_job.timeout, expires_at = replace_job.expires_at,
      args_day = replace_job.day, gated = replace_job.gates is not null
  where j.id = replace_job.id and j.worker_id is null;
  insert into pgqueue.job_args as a (id, day, args, meta, gates)
  values (replace_job.id, replace_job.day, replace_job.args, replace_job.meta, replace_job.gates)
  on conflict (id, day) do update set args = excluded.args, meta = excluded.meta, gates = excluded.gates;
  if _parked and not _in_line then
    update pgqueue.flow_nodes n set due = replace_job.run_at, task = replace_job.task where n.id = replace_job.id and n.blocked;
    return true;
  end if;
  delete from pgqueue.permits p where p.job_id = replace_job.id and p.kind = 'fair';
  delete from pgqueue.permits p
  where p.job_id = replace_job.id and p.kind = 'group' and (p.key is distinct from gates ->> 'group' or replace_job.run_at > _at)
  returning p.key into _left;
  if gates ?| array['group', 'fair'] then
    perform pgqueue.line_up(array[id], _at);
    delete from pgqueue.lane_waits w  -- it has its turn already
    where w.job_id = replace_job.id and w.kind = 'group'
      and exists (select from pgqueue.permits p where p.job_id = w.job_id and p.kind = 'group');
  end if;
  if _left is not null then
    perform from pgqueue.lanes l where l.kind = 'group' and l.name = _queue and l.key = _left for update skip locked;
    if found and not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = _queue and p.key = _left) then
      perform pgqueue.hand_on(_queue, _left, _at, false);
    end if;
  end if;
  return true;
end $$;
