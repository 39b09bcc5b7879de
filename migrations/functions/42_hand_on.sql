-- Gives a free group's turn to the first job in its line, which is due from then on, and returns its id (I8). The caller has locked the
-- lane's row and seen that nobody holds the turn. A job that is gone leaves the line, and the next one gets it. With `wait` it
-- waits for the job's row, as settles may; without it, which is how claims ask, a row that somebody has (another claim, which will
-- find the lane busy and look again; a cancel, after which `hand_on_idle` looks) gets no turn yet. Who was replaced meanwhile by something that
-- is due later, or of another group, is no longer in line: only who is taken out of this line, once its row is had, gets the turn.
create function pgqueue.hand_on(queue text, group_key text, at timestamptz, wait boolean) returns bigint
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
    if wait then
      perform from pgqueue.queued_jobs j where j.id = _id and j.worker_id is null for update;
    else
      perform from pgqueue.queued_jobs j where j.id = _id and j.worker_id is null for update skip locked;
      if not found and exists (select from pgqueue.queued_jobs j where j.id = _id) then
        return null;
      end if;
    end if;
    if found then
      delete from pgqueue.lane_waits w where w.job_id = _id and w.kind = 'group' and w.name = hand_on.queue and w.key = hand_on.group_key;
      continue when not found;
      update pgqueue.queued_jobs j set run_at = at where j.id = _id;
      insert into pgqueue.permits (job_id, kind, name, key, granted_at) values (_id, 'group', hand_on.queue, hand_on.group_key, at) on conflict do nothing;
      perform pgqueue.wake(hand_on.queue);
      return _id;
    end if;
    delete from pgqueue.lane_waits w where w.job_id = _id and w.kind = 'group' and w.name = hand_on.queue and w.key = hand_on.group_key;
  end loop;
end $$;

-- Looks for turns that nobody has though somebody is in line, and hands them on; and for limits with permits free and somebody in line.
-- Settles do this at once: here comes what a cancel or a claim at the same moment has left. Called by the keeper, it costs a
-- probe of the line for each lane that has one. Returns how many it called. Locks: one lane at a time that it can have at once.
create function pgqueue.hand_on_idle() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _lane record;
  _called bigint := 0;
begin
  for _lane in
    with recursive lines as (
      (select w.kind, w.name, w.key from pgqueue.lane_waits w where w.kind > 'fair' order by w.kind, w.name, w.key limit 1)
      union all
      select n.kind, n.name, n.key from lines l,
      lateral (select w.kind, w.name, w.key from pgqueue.lane_waits w where (w.kind, w.name, w.key) > (l.kind, l.name, l.key)
               order by w.kind, w.name, w.key limit 1) n
    )
    select l.kind, l.name, l.key, r.concurrency from lines l left join pgqueue.limit_rules r on l.kind = 'limit' and r.name = l.name
    where l.kind = 'limit' or not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = l.name and p.key = l.key)
  loop
    perform from pgqueue.lanes l where l.kind = _lane.kind and l.name = _lane.name and l.key = _lane.key for update skip locked;
    continue when not found;
    if _lane.kind = 'group' then
      if not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = _lane.name and p.key = _lane.key) then
        _called := _called + (pgqueue.hand_on(_lane.name, _lane.key, _at, false) is not null)::integer;
      end if;
    elsif _lane.concurrency is not null then
      _called := _called + (select pgqueue.call_waiting(_lane.name, _lane.key, _lane.concurrency - l.held, _at) from pgqueue.lanes l
                            where l.kind = 'limit' and l.name = _lane.name and l.key = _lane.key);
    end if;
  end loop;
  return _called;
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
    order by w.priority, w.job_id limit greatest(free, 0)
  loop
    delete from pgqueue.lane_waits w
    where w.kind = 'limit' and w.name = call_waiting.name and w.key = call_waiting.key and w.priority = _wait.priority and w.job_id = _wait.job_id;
    continue when not found;  -- it was replaced meanwhile: it is not in this line any more, or as somebody who is due later
    update pgqueue.queued_jobs j set run_at = least(j.run_at, at) where j.id = _wait.job_id and j.worker_id is null;
    _called := _called + 1;
    perform pgqueue.wake(q.queue) from pgqueue.queued_jobs q where q.id = _wait.job_id;
  end loop;
  return _called;
end $$;

-- Forgets lanes that nobody uses: no permit out, nobody in line, a bucket that is full again. Returns how many, at most 10,000.
-- Locks: the lanes' rows that it can have at once; who needs one meanwhile makes it anew.
create function pgqueue.sweep_lanes() returns bigint
language sql set search_path = pg_catalog, pg_temp as $$
  with idle as (
    select l.kind, l.name, l.key from pgqueue.lanes l
    where l.held = 0 and coalesce(greatest(l.tat, l.slot) < clock_timestamp(), true)
      and not exists (select from pgqueue.permits p where p.kind = l.kind and p.name = l.name and p.key = l.key)
      and not exists (select from pgqueue.lane_waits w where w.kind = l.kind and w.name = l.name and w.key = l.key)
    limit 10000
    for update skip locked
  ), gone as (
    delete from pgqueue.lanes l using idle i where l.kind = i.kind and l.name = i.name and l.key = i.key returning 1
  )
  select count(*) from gone
$$;
