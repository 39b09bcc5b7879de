-- A time as the sentences of `why` tell it.
create function pgqueue.told_time(at timestamptz) returns text
language sql stable
return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

-- A duration in its two largest units, as `pgq` shows it: 3d4h, 5m2s, 0.25s.
create function pgqueue.told_span(span interval) returns text
language plpgsql immutable as $$
declare
  _exact constant numeric := greatest(extract(epoch from span), 0);
  _s constant bigint := round(_exact);
begin
  return case
    when _exact < 10 then trim_scale(round(_exact, 2)) || 's'
    when _s < 60 then _s || 's'
    when _s < 3600 then _s / 60 || 'm' || coalesce(nullif(_s % 60, 0) || 's', '')
    when _s < 86400 then _s / 3600 || 'h' || coalesce(nullif(_s % 3600 / 60, 0) || 'm', '')
    else _s / 86400 || 'd' || coalesce(nullif(_s % 86400 / 3600, 0) || 'h', '')
  end;
end $$;

-- How many are before a job: counted up to 10,000, because it is asked while a queue is long.
create function pgqueue.told_count(count bigint, one text, many text) returns text
language sql immutable
return case when count = 0 then 'no ' || many || ' are' when count = 1 then '1 ' || one || ' is'
            when count >= 10000 then '10000 ' || many || ' or more are' else count || ' ' || many || ' are' end;

-- What an unfinished job is doing, as the end of the sentence "job 7, which ...".
create function pgqueue.told_job(id bigint, at timestamptz) returns text
language plpgsql stable as $$
#variable_conflict use_column
declare
  _job record;
begin
  select j.worker_id, j.started_at, j.run_at, j.failures into _job from pgqueue.queued_jobs j where j.id = told_job.id;
  return case
    when not found then 'has just ended'
    when _job.worker_id is not null then format('runs on worker %s since %s (%s)', _job.worker_id, pgqueue.told_time(_job.started_at), pgqueue.told_span(at - _job.started_at))
    when _job.run_at = 'infinity' then 'is held back itself'
    when _job.run_at > at then format('%s until %s (in %s)', case when _job.failures > 0 then format('waits for its retry after failure %s', _job.failures) else 'waits' end,
                                      pgqueue.told_time(_job.run_at), pgqueue.told_span(_job.run_at - at))
    else 'waits to be claimed'
  end;
end $$;
