-- What is wrong with the definition of a schedule, an object with the names of schedule's arguments: null when nothing is, else a message.
-- The cron expression and the finer points of the time zone are Python's to judge: a schedule that cannot be worked out says so in its row.
create function pgqueue.schedule_error(definition jsonb) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  _name constant text := definition ->> 'name';
  _every interval;
  _jitter interval;
  _job text;
  _bad text;
begin
  begin
    _every := (definition ->> 'every')::interval;
    _jitter := (definition ->> 'jitter')::interval;
    perform now() at time zone (definition ->> 'timezone');
  exception when data_exception then
    return format('schedule %L: %s', left(_name, 200), sqlerrm);
  end;
  _bad := case
    when coalesce(_name, '') = '' then 'name: must not be empty'
    when octet_length(_name) > 200 then format('name: at most 200 bytes, got %s', octet_length(_name))
    when num_nonnulls(definition ->> 'cron', _every) <> 1 then 'give cron or every, one of them'
    when definition ->> 'cron' = '' or octet_length(definition ->> 'cron') > 500 then 'cron: must have from 1 to 500 bytes'
    when extract(year from _every) <> 0 or extract(month from _every) <> 0 then
      'every: months differ in length; use cron, as in 0 0 1 * *'
    when _every not between interval '1 s' and interval '3650 days' then format('every: must be from 1 second to 3650 days, got %s', _every)
    when definition ->> 'timezone' is null then 'timezone: must be a name such as Europe/Berlin'
    when _every is not null and definition ->> 'timezone' <> 'UTC' then 'timezone: belongs to cron; every counts in even distances'
    when extract(year from _jitter) <> 0 or extract(month from _jitter) <> 0 or _jitter not between interval '1 ms' and interval '30 days' then
      format('jitter: must be from 1 millisecond to 30 days, got %s', _jitter)
    when definition ->> 'missed' not in ('skip', 'once', 'all') then format('missed: must be skip, once or all, got %L', definition ->> 'missed')
    when (definition ->> 'missed_limit')::bigint not between 1 and 10000 then
      format('missed_limit: must be from 1 to 10000, got %s', definition ->> 'missed_limit')
    when definition ->> 'overlap' not in ('allow', 'skip') then format('overlap: must be allow or skip, got %L', definition ->> 'overlap')
    when definition -> 'meta' ?| array['schedule', 'tick'] then 'meta: schedule and tick are set by the schedule itself'
    end;
  if _bad is null then
    _job := pgqueue.new_job_error(jsonb_strip_nulls(jsonb_build_object('task', coalesce(definition ->> 'task', ''), 'queue', definition ->> 'queue',
      'priority', (definition ->> 'priority')::integer)) || jsonb_build_object('args', definition -> 'args', 'meta', definition -> 'meta')
      || jsonb_strip_nulls(jsonb_build_object('limits', definition -> 'limits')));
    _bad := replace(_job, format('PQ004 cannot enqueue task %L: ', left(coalesce(definition ->> 'task', ''), 100)), '');
  end if;
  return format('schedule %L: ', left(_name, 200)) || _bad;
end $$;
