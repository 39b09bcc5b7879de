-- A row of `why` for each limit that holds a job back: one that nobody has defined, permits that are all out, a rate that is used up.
-- The same arithmetic as gate_limits, which decides; a job that has been told when to come back is told so here.
create function pgqueue.why_limits(id bigint, run_at timestamptz, priority smallint, limits jsonb, at timestamptz) returns table (gate text, detail text)
language plpgsql stable as $$
#variable_conflict use_column
declare
  _need record;
  _name text;
  _ahead bigint;
  _burst integer;
  _cell interval;
  _empty boolean;
  _free timestamptz;
  _others constant boolean := (select count(*) > 1 from pgqueue.lane_waits w where w.job_id = why_limits.id);
begin
  gate := 'limit';
  for _need in
    select o.key as name, o.value ->> 'key' as key, (o.value ->> 'weight')::integer as weight, r.name is not null as known, r.rate, r.per, r.burst, r.concurrency,
           coalesce(l.held, 0) as held, l.tat, l.slot,
           exists (select from pgqueue.lane_waits w where w.job_id = why_limits.id and w.kind = 'limit' and w.name = o.key and w.key = o.value ->> 'key') as waits
    from jsonb_each(limits) o
    left join pgqueue.limit_rules r on r.name = o.key
    left join pgqueue.lanes l on l.kind = 'limit' and l.name = o.key and l.key = o.value ->> 'key'
    order by o.key collate "C"
  loop
    _name := format('limit %L', _need.name) || case when _need.key = '' then '' else format(' for key %L', _need.key) end
             || case when _need.weight = 1 then '' else format(' (weight %s)', _need.weight) end;
    if not _need.known then
      detail := format('%s is not defined, and holds all its jobs until somebody says what it is: `app.limit` in the code or set_limit in SQL; or correct the name where the job is enqueued', _name);
      return next;
    elsif _need.held + least(_need.weight, _need.concurrency) > _need.concurrency
          or _need.waits and run_at = 'infinity' and (_need.concurrency is not null or not _others) then
      _ahead := (select count(*) from (
        select from pgqueue.lane_waits w
        where w.kind = 'limit' and w.name = _need.name and w.key = _need.key and (w.priority, w.job_id) < (why_limits.priority, why_limits.id) limit 10000) a);
      detail := format('%s: %s permits are out%s; %s before it in the line; %s', _name, _need.held || coalesce(' of ' || _need.concurrency, ''),
        (select ', to ' || string_agg(case when h.place = 6 then 'others' else format('job %s', h.job_id) || coalesce(format(' (worker %s)', h.worker_id), '') end, ', ' order by h.place)
         from (select p.job_id, j.worker_id, row_number() over (order by p.job_id) as place
               from (select x.job_id from pgqueue.permits x where x.kind = 'limit' and x.name = _need.name and x.key = _need.key order by x.job_id limit 6) p
               left join pgqueue.queued_jobs j on j.id = p.job_id) h),
        pgqueue.told_count(_ahead, 'job', 'jobs'),
        case when _need.concurrency is null then 'the limit does not count them any more, and lets its line go when one comes back'
             when _need.held + least(_need.weight, _need.concurrency) > _need.concurrency then 'it is called when permits come back, or when set_limit gives it more'
             else 'permits are free, and housekeeping calls the first in the line within seconds' end);
      return next;
    elsif _need.rate is not null then
      _burst := coalesce(_need.burst, pgqueue.default_burst(_need.rate, _need.per));
      _cell := _need.per / _need.rate;
      _empty := greatest(_need.tat, at) + _cell * least(_need.weight, _burst) - _cell * _burst > at;
      if _need.waits and run_at > at and run_at < 'infinity' and (_empty or not _others) then
        _free := run_at;
      elsif _empty or not _need.waits and _need.slot > at then
        _free := greatest(_need.slot, greatest(_need.tat, at) - _cell * _burst) + _cell * _need.weight;
      else
        continue;
      end if;
      detail := format('%s: %s in %s, %s at once at the most, are granted, and that is used up; its grant comes at %s, in %s; set_limit gives it a higher rate', _name,
                       _need.rate, pgqueue.told_span(_need.per), _burst, pgqueue.told_time(_free), pgqueue.told_span(_free - at));
      return next;
    end if;
  end loop;
end $$;
