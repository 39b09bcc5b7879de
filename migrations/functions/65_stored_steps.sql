-- The steps that earlier attempts of a job, or this one, have stored: all of them, or the one of that name. For the holder of the lease
-- only, so that an attempt which has lost its job learns of it before it begins a step and not after (I4); everybody else reads the view
-- `steps`. Raises PQ005. Locks: nothing.
create function pgqueue.stored_steps(id bigint, token bigint, name text default null) returns table (step text, result jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
begin
  if not exists (select from pgqueue.queued_jobs j where j.id = stored_steps.id and j.token = stored_steps.token) then
    raise exception using errcode = 'PQ005', message = format('this attempt has lost its lease on job %s: stop', id);
  end if;
  return query
  select s.name, s.result from pgqueue.job_steps s
  where s.job_id = stored_steps.id and (stored_steps.name is null or s.name = stored_steps.name);
end $$;
