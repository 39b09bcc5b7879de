-- Stores the result of a step, and returns what is stored: of two writes of one step the first counts, so that a worker whose answer was
-- lost may ask again. Only the holder of the lease may (I4); the job's row stays locked until the transaction ends, so nobody takes the job
-- over while a handler's own transaction holds a step that has not committed. Raises PQ005; PQ004 for a name that is empty or above 200
-- bytes, and for a result above max_args_bytes of the settings. A death right after it: committed, or the step runs again.
-- Locks: the job's row, then the step's.
create function pgqueue.store_step(id bigint, token bigint, name text, result jsonb) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _attempt integer;
  _limit integer;
  _stored jsonb;
begin
  if coalesce(octet_length(name), 0) not between 1 and 200 then
    raise exception using errcode = 'PQ004', message = format('the name of a step must have 1 to 200 bytes, got %s', coalesce(octet_length(name), 0));
  end if;
  select j.attempt into _attempt from pgqueue.queued_jobs j where j.id = store_step.id and j.token = store_step.token for update;
  if not found then
    raise exception using errcode = 'PQ005', message = format('this attempt has lost its lease on job %s: step %L was not stored', id, name);
  end if;
  select s.max_args_bytes into _limit from pgqueue.settings s;
  if octet_length(result::text) > _limit then
    raise exception using errcode = 'PQ004',
      message = format('the result may have %s bytes, got %s; store the data elsewhere and return a reference, or raise max_args_bytes in the settings table',
                       _limit, octet_length(result::text));
  end if;
  insert into pgqueue.job_steps (job_id, stored_at, attempt, name, result)
  values (store_step.id, clock_timestamp(), _attempt, store_step.name, coalesce(store_step.result, 'null'))
  on conflict (job_id, name) do nothing;
  select s.result into _stored from pgqueue.job_steps s where s.job_id = store_step.id and s.name = store_step.name;
  return _stored;
end $$;
