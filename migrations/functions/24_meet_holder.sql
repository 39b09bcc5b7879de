-- What a request does when another job holds its key: returns the holder's id, after replacing its contents if that is the
-- policy and it has not started. Raises PQ002 under the policy `raise`; `place` begins its message. Locks: as replace_job.
create function pgqueue.meet_holder(holder bigint, task text, args jsonb, queue text, priority integer, run_at timestamptz,
  key text, key_policy text, max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, day date, place text default '',
  gates jsonb default null) returns bigint
language plpgsql as $$
begin
  if key_policy = 'raise' then
    raise exception using errcode = 'PQ002',
      message = place || format('cannot enqueue task %L: key %L of queue %L is held by job %s', task, key, queue, holder),
      hint = holder::text;
  elsif key_policy = 'replace' then
    if pgqueue.replace_job(holder, task, args, coalesce(priority, 0), run_at, max_attempts, timeout, expires_at, meta, day, gates)
       and run_at < clock_timestamp() + interval '10 s' then
      perform pgqueue.wake(queue);
    end if;
  end if;
  return holder;
end $$;
