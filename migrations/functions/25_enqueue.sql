-- Enqueues one job in the caller's transaction and returns its id: the job exists exactly when that transaction commits (I1).
-- With a key that another job holds nothing is added, and that job's id is returned; key_policy says what else happens:
-- skip nothing, replace gives a job that has not started these contents, raise is an error.
--   priority    -100 to 100, lower runs first            run_at, delay  when it is due, by the database's clock (not both)
--   key_period  how long the key holds at least, from now; without it the key holds until the job is finished
--   max_attempts, timeout  null: the task's own policy, known to the worker
--   expires_at  from then on it is cancelled instead of run    group_key  reserved for message groups
-- Raises PQ002 key taken (policy raise), PQ004 invalid argument, PQ006 not in this version. Locks: the key's row.
create function pgqueue.enqueue(task text, args jsonb default '{}', queue text default null, priority integer default null,
  run_at timestamptz default null, key text default null, group_key text default null, max_attempts integer default null,
  timeout interval default null, expires_at timestamptz default null, meta jsonb default null, key_policy text default 'skip',
  key_period interval default null, delay interval default null) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  _now constant timestamptz := clock_timestamp();
  _queue constant text := coalesce(queue, 'default');
  _day constant date := (_now at time zone 'UTC')::date;
  _due timestamptz;
  _id bigint;
  _holder bigint;
  _error text;
begin
  if current_setting('pgq.day_seen', true) is distinct from 'pgqueue' || _day then  -- a session looks once a day: 4 of 30 us
    perform pgqueue.ensure_day(_now);
    perform set_config('pgq.day_seen', 'pgqueue' || _day, false);
  end if;
  if priority is not null or key is not null or group_key is not null or max_attempts is not null or timeout is not null
     or meta is not null or delay is not null or key_policy is distinct from 'skip' or key_period is not null
     or run_at not between '0001-01-02 00:00:00+00' and '9999-12-30 00:00:00+00'
     or expires_at not between '0001-01-02 00:00:00+00' and '9999-12-30 00:00:00+00'
     or jsonb_typeof(args) <> 'object' or pg_column_size(args) > 65536
     or coalesce(octet_length(task), 0) not between 1 and 500 or octet_length(_queue) not between 1 and 200 then
    _error := pgqueue.new_job_error(jsonb_strip_nulls(jsonb_build_object(
      'task', task, 'args', args, 'queue', queue, 'priority', priority, 'run_at', run_at, 'key', key, 'group_key', group_key,
      'max_attempts', max_attempts, 'timeout', timeout, 'expires_at', expires_at, 'meta', meta, 'key_policy', key_policy,
      'key_period', key_period, 'delay', delay)));
    if _error is not null then
      raise exception using errcode = split_part(_error, ' ', 1), message = substr(_error, strpos(_error, ' ') + 1);
    end if;
    args := nullif(args, 'null');
    meta := nullif(meta, 'null');
  end if;
  _due := coalesce(run_at, _now + delay, _now);
  _id := nextval('pgqueue.job_ids');
  if key is not null then
    _holder := pgqueue.hold_key(_id, _queue, key, _now + key_period);
    if _holder is not null then
      return pgqueue.meet_holder(_holder, task, coalesce(args, '{}'), _queue, priority, _due, key, key_policy, max_attempts, timeout, expires_at, meta, _day);
    end if;
  end if;
  with argument as (
    insert into pgqueue.job_args (id, day, args, meta) values (_id, _day, coalesce(args, '{}'), meta)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, expires_at, max_attempts, timeout, queue, task, key)
  values (_id, _due, _now, _day, coalesce(priority, 0), expires_at, max_attempts, timeout, _queue, task, key);
  if _due < _now + interval '10 s' then
    perform pgqueue.wake(_queue);
  end if;
  return _id;
end $$;
