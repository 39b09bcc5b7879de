-- Checks an array of new jobs, as enqueue_many takes it. Looks for the first bad one in one pass and lets new_job_error say what is
-- wrong with it. A value that cannot be read as its type ends that pass: then each job is looked at by itself, to say which it is.
-- Raises PQ004, with the place in the array (from 0).
create function pgqueue.check_new_jobs(jobs jsonb) returns void
language plpgsql stable as $$
declare
  _first constant timestamptz := '0001-01-02 00:00:00+00';
  _last constant timestamptz := '9999-12-30 00:00:00+00';
  _place bigint;
  _job jsonb;
  _message text;
begin
  select g.place - 1, g.job into _place, _job
  from jsonb_array_elements(jobs) with ordinality as g (job, place)
  where jsonb_typeof(g.job) <> 'object' or g.job - pgqueue.new_job_names() <> '{}' or not (
    coalesce(octet_length(g.job ->> 'task'), 0) between 1 and 500
    and coalesce(octet_length(g.job ->> 'queue'), 1) between 1 and 200
    and coalesce((g.job ->> 'priority')::integer, 0) between -100 and 100
    and coalesce((g.job ->> 'run_at')::timestamptz between _first and _last, true)
    and coalesce((g.job ->> 'expires_at')::timestamptz between _first and _last, true)
    and coalesce(jsonb_typeof(g.job -> 'args'), 'object') = 'object'
    and not g.job ?| array['group_key', 'key', 'key_policy', 'key_period', 'max_attempts', 'timeout', 'meta', 'delay',
                          'limits', 'fair_key', 'group_retry']
    and pg_column_size(g.job -> 'args') <= 65536)
  and pgqueue.new_job_error(g.job) is not null
  limit 1;
  if found then
    _message := pgqueue.new_job_error(_job);
    raise exception using errcode = split_part(_message, ' ', 1),
      message = format('jobs[%s]: %s', _place, substr(_message, strpos(_message, ' ') + 1));
  end if;
exception when data_exception then
  for _place, _job in select g.place - 1, g.job from jsonb_array_elements(jobs) with ordinality as g (job, place) loop
    begin
      _message := pgqueue.new_job_error(_job);
    exception when data_exception then
      raise exception using errcode = 'PQ004', message = format('jobs[%s]: cannot enqueue task %L: %s', _place, left(_job ->> 'task', 100), sqlerrm);
    end;
    if _message is not null then
      raise exception using errcode = split_part(_message, ' ', 1),
        message = format('jobs[%s]: %s', _place, substr(_message, strpos(_message, ' ') + 1));
    end if;
  end loop;
end $$;
