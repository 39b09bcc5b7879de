-- Enqueues an array of jobs, objects with the names of enqueue's arguments, in one statement and one round trip, and returns their ids in
-- the order given. Keys are as in enqueue; of two jobs with one key in the same array the first holds it.
-- Raises PQ002, PQ004 as enqueue does, with the place in the array (from 0); then nothing of it is added.
-- Locks: keys in the order of (queue, key), then jobs to replace in id order, so that producers of overlapping arrays cannot deadlock.
create function pgqueue.enqueue_many(jobs jsonb) returns setof bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _day constant date := pgqueue.ensure_day(_now);
  _ids bigint[];
  _queues text[];
  _queue text;
  _keyed boolean;
  _gated boolean;
  _bad record;
begin
  if jobs is null or jsonb_typeof(jobs) <> 'array' then
    raise exception using errcode = 'PQ004',
      message = format('enqueue_many: jobs must be a JSON array of objects, got %s', coalesce(jsonb_typeof(jobs), 'null'));
  end if;
  perform pgqueue.check_new_jobs(jobs);
  select array_agg(nextval('pgqueue.job_ids')), coalesce(bool_or(job ? 'key'), false), coalesce(bool_or(job ?| array['group_key', 'limits', 'fair_key']), false)
  into _ids, _keyed, _gated from jsonb_array_elements(jobs) job;
  if _keyed then
    _ids := pgqueue.hold_keys(jobs, _ids, _now);
  end if;

  with given as materialized (
    select _ids[place] as id, coalesce(g.run_at, _now + g.delay, _now) as due, coalesce(g.args, '{}') as args, g.meta, g.priority,
           g.expires_at, g.max_attempts, g.timeout, coalesce(g.queue, 'default') as queue, g.task, g.key,
           case when _gated then pgqueue.job_gates(g.group_key, g.group_retry, g.limits, g.fair_key) end as gates
    from rows from (jsonb_to_recordset(jobs) as (task text, args jsonb, queue text, priority integer, run_at timestamptz, key text,
      max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, delay interval, group_key text, group_retry text, limits jsonb, fair_key text)) with ordinality
      as g (task, args, queue, priority, run_at, key, max_attempts, timeout, expires_at, meta, delay, group_key, group_retry, limits, fair_key, place)
    where _ids[place] > 0
  ), arguments as (
    insert into pgqueue.job_args (id, day, args, meta, gates) select g.id, _day, g.args, g.meta, g.gates from given g
  ), queued as (
    insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, expires_at, max_attempts, timeout, queue, task, key, gated)
    select g.id, g.due, _now, _day, coalesce(g.priority, 0), g.expires_at, g.max_attempts, g.timeout, g.queue, g.task, g.key, g.gates is not null from given g
  )
  select array_agg(distinct g.queue order by g.queue) into _queues from given g where g.due < _now + interval '10 s';

  if _gated then
    perform pgqueue.line_up(_ids, _now);
  end if;
  if _keyed then
    return query select * from pgqueue.meet_holders(jobs, _ids, _now, _day);
  else
    return query select unnest(_ids);
  end if;
  foreach _queue in array coalesce(_queues, '{}') loop
    perform pgqueue.wake(_queue);
  end loop;
end $$;
