-- Ticks a schedule: enqueues one job for each of these times, notes them, and moves next_at on, all or nothing (I10). Returns the number of
-- jobs; null when another was first, or the schedule changed since it was read: then nothing was done.
-- Any number of workers may try. Why each tick enqueues once:
--   1. The row is locked before anything is done, so those who tick one schedule come one after the other; who cannot have it at once
--      goes away (skip locked). No lock outlives this one statement, so a client that dies or freezes between two statements holds none.
--   2. It must still be as the caller read it: `since` names the definition of its times (it changes when they do, and on resume), next_at
--      the place in them. The first to come moves next_at forward in the transaction that enqueues, so the second finds another value.
--   3. Should next_at ever go back (a failover that lost commits is no such case: there the jobs are gone as well), the primary key
--      (schedule, tick_at) is left, and a tick that was is passed over.
-- A death before commit leaves nothing: the next worker ticks the same times. After it: all of it is there, and next_at has moved.
-- A tick that lies in the future is refused with PQ004 (I7), but for tests and demos that set pgq.fast_forward in their transaction.
-- Raises also what enqueue raises. Locks: the schedule's row, only trying, then new rows alone.
create function pgqueue.tick(name text, since timestamptz, expected_next_at timestamptz, ticks timestamptz[], next_at timestamptz) returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _ahead constant boolean := coalesce(current_setting('pgq.fast_forward', true), '') = 'on';
  _schedule pgqueue.job_schedules;
  _tick timestamptz;
  _before timestamptz := '-infinity';
  _offset interval;
  _job bigint;
  _count integer := 0;
begin
  select s.* into _schedule from pgqueue.job_schedules s
  where s.name = tick.name and s.since = tick.since and s.next_at is not distinct from tick.expected_next_at and s.paused_at is null
  for update skip locked;
  if not found then
    return null;
  end if;
  foreach _tick in array tick.ticks loop
    if _tick <= _before or _tick >= tick.next_at or (_tick > _now and not _ahead) then
      raise exception using errcode = 'PQ004', message = format('schedule %L: the tick %s is out of order, or in the future', tick.name, _tick);
    end if;
    _before := _tick;
    continue when exists (select from pgqueue.schedule_ticks t where t.schedule = tick.name and t.tick_at = _tick);
    _job := null;
    if _schedule.overlap = 'allow'
       or not exists (select from pgqueue.queued_jobs q where q.id in (_schedule.last_job_id, _schedule.run_job_id)) then
      -- Always the same for a tick: a 32-bit hash of name and time, as a part of the jitter.
      _offset := _schedule.jitter * ((hashtextextended((tick.name || extract(epoch from _tick)) collate "C", 0) & 4294967295) / 4294967296.0);
      _job := pgqueue.enqueue(_schedule.task, _schedule.args, queue => _schedule.queue, priority => _schedule.priority::integer,
        run_at => case when _tick + _offset > _now and not _ahead then _tick + _offset end,
        meta => coalesce(_schedule.meta, '{}') || jsonb_build_object('schedule', tick.name, 'tick', pgqueue.iso_time(_tick)),
        limits => _schedule.limits);
      _schedule.last_job_id := _job;
      _count := _count + 1;
    end if;
    insert into pgqueue.schedule_ticks (schedule, tick_at, job_id) values (tick.name, _tick, _job);
    _schedule.last_at := greatest(_schedule.last_at, _tick);
  end loop;
  update pgqueue.job_schedules s
  set next_at = tick.next_at, last_at = _schedule.last_at, last_job_id = _schedule.last_job_id, retry_at = null, error = null
  where s.name = tick.name;
  return _count;
end $$;

-- A time as ISO 8601 in UTC: 2026-11-22T02:00:00Z, with microseconds where it has a fraction.
create function pgqueue.iso_time(moment timestamptz) returns text
language sql stable parallel safe
return to_char(moment at time zone 'UTC',
               case when date_trunc('second', moment, 'UTC') = moment then 'YYYY-MM-DD"T"HH24:MI:SS"Z"' else 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' end);

-- Notes why a schedule could not tick, and when to look again, unless it has changed since it was read. Its tick is not lost: next_at
-- stays. So one bad schedule stops no other (I15). Locks: the schedule's row.
create function pgqueue.schedule_failed(name text, since timestamptz, expected_next_at timestamptz, error text, retry_after interval) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update pgqueue.job_schedules s set error = left(schedule_failed.error, 1000), retry_at = clock_timestamp() + schedule_failed.retry_after
  where s.name = schedule_failed.name and s.since = schedule_failed.since and s.next_at is not distinct from schedule_failed.expected_next_at
    and s.paused_at is null;
  return found;
end $$;
