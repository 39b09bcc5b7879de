-- Gives a free group's turn to the first job in its line, which is due from then on, and returns its id. The caller has locked the
-- lane's row and seen that nobody holds the turn (I8). A job that is being cancelled right now leaves the line; the next one gets it.
-- Locks: the job's row, waiting for its cancelling transaction only, which takes no lane while the job stands in line.
create function pgqueue.hand_on(queue text, group_key text, at timestamptz) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _id bigint;
begin
  loop
    select w.job_id into _id from pgqueue.lane_waits w
    where w.kind = 'group' and w.name = hand_on.queue and w.key = hand_on.group_key order by w.priority, w.job_id limit 1;
    if not found then
      return null;
    end if;
    delete from pgqueue.lane_waits w where w.job_id = _id and w.kind = 'group';
    update pgqueue.queued_jobs j set run_at = at where j.id = _id and j.worker_id is null;
    if found then
      insert into pgqueue.permits (job_id, kind, name, key, granted_at) values (_id, 'group', hand_on.queue, hand_on.group_key, at) on conflict do nothing;
      perform pgqueue.wake(hand_on.queue);
      return _id;
    end if;
  end loop;
end $$;

-- Calls as many of those who wait for a limit's key as there are permits free: they are due now, and take the permits when they are
-- claimed. The caller has locked the lane's row. Locks: the jobs' rows, waiting for their cancelling transactions only.
create function pgqueue.call_waiting(name text, key text, free bigint, at timestamptz) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _called bigint := 0;
  _wait record;
begin
  for _wait in
    select w.priority, w.job_id from pgqueue.lane_waits w
    where w.kind = 'limit' and w.name = call_waiting.name and w.key = call_waiting.key
    order by w.priority, w.job_id limit free
  loop
    delete from pgqueue.lane_waits w
    where w.kind = 'limit' and w.name = call_waiting.name and w.key = call_waiting.key and w.priority = _wait.priority and w.job_id = _wait.job_id;
    update pgqueue.queued_jobs j set run_at = least(j.run_at, at) where j.id = _wait.job_id and j.worker_id is null;
    _called := _called + 1;
    perform pgqueue.wake(q.queue) from pgqueue.queued_jobs q where q.id = _wait.job_id;
  end loop;
  return _called;
end $$;
