-- The names that a new job may have, and what is wrong with a new job, given as an object with the names of enqueue's arguments: null when nothing is, else an SQLSTATE, a
-- space, and a message that says what, which value and what to do.
create function pgqueue.new_job_names() returns text[]
language sql immutable parallel safe
return array['task', 'args', 'queue', 'priority', 'run_at', 'key', 'group_key', 'max_attempts', 'timeout', 'expires_at', 'meta',
             'key_policy', 'key_period', 'delay', 'limits', 'fair_key', 'group_retry'];

create function pgqueue.new_job_error(job jsonb) returns text
language plpgsql stable as $$
declare
  _first constant timestamptz := '0001-01-02 00:00:00+00';  -- what every driver can read, in any time zone
  _last constant timestamptz := '9999-12-30 00:00:00+00';
  _task constant text := job ->> 'task';
  _args constant jsonb := coalesce(nullif(job -> 'args', 'null'), '{}');
  _meta constant jsonb := nullif(job -> 'meta', 'null');
  _queue constant text := job ->> 'queue';
  _key constant text := job ->> 'key';
  _limit integer;
  _bad text;
begin
  if jsonb_typeof(job) <> 'object' then
    return format('PQ004 each job must be an object, got %s', jsonb_typeof(job));
  end if;
  _bad := case
    when job - pgqueue.new_job_names() <> '{}' then
      format('unknown name %s; the names are %s', (select string_agg(k, ', ') from jsonb_object_keys(job - pgqueue.new_job_names()) k), array_to_string(pgqueue.new_job_names(), ', '))
    when coalesce(_task, '') = '' then 'task: must not be empty'
    when octet_length(_task) > 500 then format('task: at most 500 bytes, got %s', octet_length(_task))
    when _queue = '' then 'queue: must not be empty; leave it out for "default"'
    when octet_length(_queue) > 200 then format('queue: at most 200 bytes, got %s', octet_length(_queue))
    when (job ->> 'priority')::integer not between -100 and 100 then
      format('priority: must be from -100 to 100 (lower runs first), got %s', job ->> 'priority')
    when _key = '' then 'key: must not be empty; leave it out for a job without a key'
    when octet_length(_key) > 1000 then format('key: at most 1000 bytes, got %s; use a hash of it', octet_length(_key))
    when octet_length(job ->> 'group_key') not between 1 and 1000 then
      format('group_key: must have 1 to 1000 bytes, got %s', octet_length(job ->> 'group_key'))
    when coalesce(job ->> 'group_retry', 'hold') not in ('hold', 'pass') then
      format('group_retry: must be hold (a retry keeps its group waiting) or pass, got %L', job ->> 'group_retry')
    when job ->> 'group_retry' is not null and job ->> 'group_key' is null then 'group_retry: given without a group_key'
    when octet_length(job ->> 'fair_key') not between 1 and 1000 then
      format('fair_key: must have 1 to 1000 bytes, got %s', octet_length(job ->> 'fair_key'))
    when coalesce(job ->> 'key_policy', 'skip') not in ('skip', 'replace', 'raise') then
      format('key_policy: must be skip, replace or raise, got %L', job ->> 'key_policy')
    when _key is null and job ->> 'key_period' is not null then 'key_period: given without a key'
    when (job ->> 'key_period')::interval not between interval '1 us' and interval '100 years' then
      format('key_period: must be positive and at most 100 years, got %s', job ->> 'key_period')
    when (job ->> 'max_attempts')::integer not between 1 and 32767 then
      format('max_attempts: must be from 1 to 32767, got %s', job ->> 'max_attempts')
    when (job ->> 'timeout')::interval not between interval '1 us' and interval '100 years' then
      format('timeout: must be positive and at most 100 years, got %s', job ->> 'timeout')
    when job ->> 'run_at' is not null and job ->> 'delay' is not null then 'give run_at or delay, not both'
    when (job ->> 'delay')::interval not between interval '-100 years' and interval '1000 years' then
      format('delay: must be from -100 to 1000 years, got %s', job ->> 'delay')
    when (job ->> 'run_at')::timestamptz not between _first and _last then
      format('run_at: must be in the years 1 to 9999, got %s', job ->> 'run_at')
    when (job ->> 'expires_at')::timestamptz not between _first and _last then
      format('expires_at: must be in the years 1 to 9999, got %s; leave it out for a job that never expires', job ->> 'expires_at')
    when jsonb_typeof(_args) <> 'object' then format('args: must be a JSON object, got %s', jsonb_typeof(_args))
    when jsonb_typeof(_meta) <> 'object' then format('meta: must be a JSON object, got %s', jsonb_typeof(_meta))
    when nullif(job -> 'limits', 'null') is not null then 'limits: ' || pgqueue.limits_error(job -> 'limits')
    end;
  -- The exact size costs a rendering, so it is only taken of what is large (jsonb is at most a little larger than its text).
  if _bad is null and (pg_column_size(_args) > 65536 or pg_column_size(_meta) > 65536) then
    select s.max_args_bytes into _limit from pgqueue.settings s;
    if octet_length(_args::text) > _limit or octet_length(_meta::text) > _limit then
      _bad := format('arguments and meta may have %s bytes each, got %s and %s; store the data elsewhere and pass a reference, or raise max_args_bytes in the settings table',
                     _limit, octet_length(_args::text), coalesce(octet_length(_meta::text), 0));
    end if;
  end if;
  return format('PQ004 cannot enqueue task %L: ', left(_task, 100)) || _bad;
end $$;
