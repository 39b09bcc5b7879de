-- Makes a schedule, or gives an existing one these contents: an argument left out is its default, not what it was. Returns created, changed
-- or unchanged. The job of each tick has {"schedule": name, "tick": time} in its meta.
--   cron      five fields by the clock of `timezone`, or @daily and the like    every  even distances, counted from 1970-01-01 00:00 UTC
--   missed    ticks nobody was there for: skip, once (the last of them) or all (the last missed_limit)
--   overlap   skip: no job while the last one is unfinished       jitter  each job is due up to so much later, always the same for a tick
-- A cron expression is judged by the workers (and the command line): a bad one shows as the schedule's error.
-- Raises PQ004. Locks: the schedule's row.
create function pgqueue.schedule(name text, task text, cron text default null, every interval default null, args jsonb default '{}',
  timezone text default 'UTC', queue text default null, priority integer default null, missed text default 'once',
  missed_limit integer default null, overlap text default 'allow', jitter interval default null, meta jsonb default null,
  limits jsonb default null) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
  return pgqueue.save_schedule(jsonb_build_object('name', name, 'task', task, 'cron', cron, 'every', every, 'args', args, 'timezone', timezone,
    'queue', queue, 'priority', priority, 'missed', coalesce(missed, 'once'), 'missed_limit', missed_limit, 'overlap', coalesce(overlap, 'allow'),
    'jitter', jitter, 'meta', meta, 'limits', limits), false);
end $$;

-- Removes a schedule with the memory of its ticks; its jobs stay. Returns whether there was one. Code that still declares it makes it
-- anew when its worker starts. Locks: the schedule's row.
create function pgqueue.unschedule(name text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  delete from pgqueue.job_schedules s where s.name = unschedule.name;
  return found;
end $$;

-- Stops the ticks of a schedule. Returns whether it was not paused before. Raises PQ004 when there is none. Locks: the schedule's row.
create function pgqueue.pause_schedule(name text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update pgqueue.job_schedules s set paused_at = clock_timestamp(), next_at = null, retry_at = null
  where s.name = pause_schedule.name and s.paused_at is null;
  if not found then
    perform pgqueue.known_schedule(pause_schedule.name);
    return false;
  end if;
  return true;
end $$;

-- Lets a schedule tick again, from now on: what fell into the pause was not wanted, and is not missed. Returns whether it was paused.
-- Raises PQ004 when there is none. Locks: the schedule's row.
create function pgqueue.resume_schedule(name text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update pgqueue.job_schedules s set paused_at = null, since = clock_timestamp(), next_at = null, retry_at = null
  where s.name = resume_schedule.name and s.paused_at is not null;
  if not found then
    perform pgqueue.known_schedule(resume_schedule.name);
    return false;
  end if;
  return true;
end $$;

-- Enqueues a job of the schedule at once and returns its id: not a tick, so next_at stays, and neither pause nor overlap is asked. A later
-- tick with overlap => 'skip' waits for it too. Raises PQ004 when there is none. Locks: the schedule's row.
create function pgqueue.run_schedule(name text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  _schedule pgqueue.job_schedules;
  _job bigint;
begin
  select s.* into _schedule from pgqueue.job_schedules s where s.name = run_schedule.name for update;
  if not found then
    perform pgqueue.known_schedule(run_schedule.name);
  end if;
  _job := pgqueue.enqueue(_schedule.task, _schedule.args, queue => _schedule.queue, priority => _schedule.priority::integer,
                          meta => coalesce(_schedule.meta, '{}') || jsonb_build_object('schedule', run_schedule.name), limits => _schedule.limits);
  update pgqueue.job_schedules s set run_job_id = _job where s.name = run_schedule.name;
  return _job;
end $$;

-- Raises PQ004 unless there is a schedule of this name.
create function pgqueue.known_schedule(name text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from pgqueue.job_schedules s where s.name = known_schedule.name) then
    raise exception using errcode = 'PQ004', message = format('there is no schedule %L', left(known_schedule.name, 200));
  end if;
end $$;
