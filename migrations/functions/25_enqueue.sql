-- Enqueues one job in the caller's transaction and returns its id: the job exists exactly when that transaction commits (I1).
-- With a key that another job holds nothing is added, and that job's id is returned; key_policy says what else happens:
-- skip nothing, replace gives a job that has not started these contents, raise is an error.
--   priority    -100 to 100, lower runs first            run_at, delay  when it is due, by the database's clock (not both)
--   key_period  how long the key holds at least, from now; without it the key holds until the job is finished
--   max_attempts, timeout  null: the task's own policy, known to the worker
--   expires_at  from then on it is cancelled instead of run
--   group_key   jobs of a queue with this key run one at a time, in the order of their ids; a retry keeps the turn unless group_retry is 'pass'
--   limits      names of limits, or {name: key}, or {name: {"key": key, "weight": n}}: it runs when it gets a share of all of them
--   fair_key    whose share of the queue it takes, if the queue shares fairly
-- With its owner's rights, so that a producer needs the right to call it and nothing else; in a function that sets its path anyway that costs nothing.
-- The plain job takes a short way: with many producers each expression costs, their caches being cold (benchmarks/enqueue.py).
-- Raises PQ002 key taken (policy raise), PQ004 invalid argument. Locks: the key's row.
create function pgqueue.enqueue(task text, args jsonb default '{}', queue text default null, priority integer default null,
  run_at timestamptz default null, key text default null, group_key text default null, max_attempts integer default null,
  timeout interval default null, expires_at timestamptz default null, meta jsonb default null, key_policy text default 'skip',
  key_period interval default null, delay interval default null, limits jsonb default null, fair_key text default null,
  group_retry text default null) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  _now constant timestamptz := clock_timestamp();
  _day constant date := (_now at time zone 'UTC')::date;
  _queue constant text := coalesce(queue, 'default');
  _id bigint;
begin
  if (num_nulls(priority, run_at, key, group_key, max_attempts, timeout, expires_at, meta, key_period, delay, limits, fair_key,
                group_retry) = 13 and key_policy = 'skip'
      and args @> '{}' and pg_column_size(args) <= 65536 and octet_length(task) between 1 and 500 and octet_length(_queue) between 1 and 200
      and current_setting('pgq.day_seen', true) = 'pgqueue' || _day) is not true then  -- a session looks for the day's partitions once
    return pgqueue.enqueue_special(task, args, queue, priority, run_at, key, group_key, max_attempts, timeout, expires_at,
                                   meta, key_policy, key_period, delay, limits, fair_key, group_retry);
  end if;
  _id := nextval('pgqueue.job_ids');
  with argument as (
    insert into pgqueue.job_args (id, day, args) values (_id, _day, args)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, queue, task) values (_id, _now, _now, _day, _queue, task);
  perform pgqueue.wake(_queue);
  return _id;
end $$;
