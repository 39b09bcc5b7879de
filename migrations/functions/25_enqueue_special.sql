-- Enqueues a job that is more than a task, arguments and a queue; see enqueue. Looks for errors only where there may be one.
-- Raises PQ002 key taken (policy raise), PQ004 invalid argument. Locks: the key's row.
create function pgqueue.enqueue_special(task text, args jsonb, queue text, priority integer, run_at timestamptz, key text,
  group_key text, max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, key_policy text,
  key_period interval, delay interval, limits jsonb, fair_key text, group_retry text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  _now constant timestamptz := clock_timestamp();
  _queue constant text := coalesce(queue, 'default');
  _day constant date := pgqueue.ensure_day(_now);
  _due timestamptz;
  _id bigint;
  _holder bigint;
  _error text;
  _gates jsonb;
begin
  _error := pgqueue.new_job_error(jsonb_strip_nulls(jsonb_build_object(
    'task', task, 'args', args, 'queue', queue, 'priority', priority, 'run_at', run_at, 'key', key, 'group_key', group_key,
    'max_attempts', max_attempts, 'timeout', timeout, 'expires_at', expires_at, 'meta', meta, 'key_policy', key_policy,
    'key_period', key_period, 'delay', delay, 'limits', limits, 'fair_key', fair_key, 'group_retry', group_retry)));
  if _error is not null then
    raise exception using errcode = split_part(_error, ' ', 1), message = substr(_error, strpos(_error, ' ') + 1);
  end if;
  args := coalesce(nullif(args, 'null'), '{}');
  meta := nullif(meta, 'null');
  perform set_config('pgq.day_seen', 'pgqueue' || _day, false);
  _due := coalesce(run_at, _now + delay, _now);
  _gates := pgqueue.job_gates(group_key, group_retry, limits, fair_key);
  _id := nextval('pgqueue.job_ids');
  if key is not null then
    _holder := pgqueue.hold_key(_id, _queue, key, _now + key_period);
    if _holder is not null then
      return pgqueue.meet_holder(_holder, task, args, _queue, priority, _due, key, key_policy, max_attempts, timeout, expires_at, meta, _day,
                                 gates => _gates);
    end if;
  end if;
  with argument as (
    insert into pgqueue.job_args (id, day, args, meta, gates) values (_id, _day, args, meta, _gates)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, expires_at, max_attempts, timeout, queue, task, key, gated)
  values (_id, _due, _now, _day, coalesce(priority, 0), expires_at, max_attempts, timeout, _queue, task, key, _gates is not null);
  if _gates ?| array['group', 'fair'] then
    perform pgqueue.line_up(array[_id], _now);
  end if;
  if _due < _now + interval '10 s' then
    perform pgqueue.wake(_queue);
  end if;
  return _id;
end $$;
