-- Makes or changes a schedule; returns created, changed or unchanged. `from_code` is a declaration: it changes nothing while the code says
-- what it said last, so that what an operator edited since stays until the code itself changes.
-- When its times change, next_at is forgotten and worked out anew from now on; else the ticks go on as they were, missed ones too.
-- An error is forgotten with any change. Raises PQ004. Locks: the schedule's row. A death leaves all of it or nothing.
create function pgqueue.save_schedule(definition jsonb, from_code boolean) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _error constant text := pgqueue.schedule_error(definition);
  _new pgqueue.job_schedules;
  _old pgqueue.job_schedules;
  _other_times boolean;
begin
  if _error is not null then
    raise exception using errcode = 'PQ004', message = _error;
  end if;
  _new.name := definition ->> 'name';
  _new.task := definition ->> 'task';
  _new.args := coalesce(nullif(definition -> 'args', 'null'), '{}');
  _new.meta := nullif(definition -> 'meta', 'null');
  _new.queue := coalesce(definition ->> 'queue', 'default');
  _new.priority := coalesce((definition ->> 'priority')::smallint, 0);
  _new.limits := nullif(definition -> 'limits', 'null');
  _new.cron := definition ->> 'cron';
  _new.every := make_interval(secs => extract(epoch from (definition ->> 'every')::interval)::double precision);
  _new.timezone := definition ->> 'timezone';
  _new.jitter := (definition ->> 'jitter')::interval;
  _new.missed := coalesce(definition ->> 'missed', 'once');
  _new.missed_limit := coalesce((definition ->> 'missed_limit')::integer, 100);
  _new.overlap := coalesce(definition ->> 'overlap', 'allow');
  _new.declared := case when from_code then definition end;
  _new.since := _now;
  loop
    insert into pgqueue.job_schedules select _new.* on conflict do nothing;
    if found then
      return 'created';
    end if;
    select s.* into _old from pgqueue.job_schedules s where s.name = _new.name for update;
    exit when found;  -- else it was removed in between
  end loop;
  if from_code and _old.declared = definition then
    return 'unchanged';
  end if;
  if (_old.task, _old.args, _old.meta, _old.queue, _old.priority, _old.limits, _old.cron, _old.every, _old.timezone, _old.jitter, _old.missed, _old.missed_limit, _old.overlap)
     is not distinct from
     (_new.task, _new.args, _new.meta, _new.queue, _new.priority, _new.limits, _new.cron, _new.every, _new.timezone, _new.jitter, _new.missed, _new.missed_limit, _new.overlap) then
    update pgqueue.job_schedules s set declared = coalesce(_new.declared, s.declared) where s.name = _new.name and from_code;
    return 'unchanged';
  end if;
  _other_times := (_old.cron, _old.every, _old.timezone) is distinct from (_new.cron, _new.every, _new.timezone);
  update pgqueue.job_schedules s
  set task = _new.task, args = _new.args, meta = _new.meta, queue = _new.queue, priority = _new.priority, limits = _new.limits, cron = _new.cron, every = _new.every,
      timezone = _new.timezone, jitter = _new.jitter, missed = _new.missed, missed_limit = _new.missed_limit, overlap = _new.overlap,
      declared = coalesce(_new.declared, s.declared), retry_at = null, error = null,
      since = case when _other_times then _now else s.since end, next_at = case when not _other_times then s.next_at end
  where s.name = _new.name;
  return 'changed';
end $$;

-- Takes the schedules that the code declares, an array of definitions; returns those that are new or changed. In the order of their names,
-- so that workers that start together wait for one another and do not deadlock. Raises PQ004. Locks: the rows, by name.
create function pgqueue.declare_schedules(definitions jsonb) returns table (name text, verdict text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  _definition jsonb;
begin
  for _definition in select d from jsonb_array_elements(definitions) d order by d ->> 'name' collate "C" loop
    name := _definition ->> 'name';
    verdict := pgqueue.save_schedule(_definition, true);
    if verdict <> 'unchanged' then
      return next;
    end if;
  end loop;
end $$;
