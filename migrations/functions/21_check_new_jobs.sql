-- Checks an array of new jobs, as enqueue_many takes it. Looks for the first bad one in one pass and lets check_new_job, or
-- the words here, say what is wrong with it. Raises PQ004 or PQ006, with the place in the array (from 0).
create function pgqueue.check_new_jobs(jobs jsonb) returns void
language plpgsql stable as $$
declare
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
    and coalesce(jsonb_typeof(g.job -> 'args'), 'object') = 'object'
    and not g.job ?| array['group_key', 'key', 'key_policy', 'key_period', 'max_attempts', 'timeout', 'meta', 'delay']
    and pg_column_size(g.job -> 'args') <= 65536)
  and pgqueue.new_job_error(g.job) is not null
  limit 1;
  if not found then
    return;
  end if;
  _message := pgqueue.new_job_error(_job);
  raise exception using errcode = split_part(_message, ' ', 1),
    message = format('jobs[%s]: %s', _place, substr(_message, strpos(_message, ' ') + 1));
end $$;
