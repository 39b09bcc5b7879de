-- The state of a job that is not among the unfinished ones. Raises PQ001 when there is no such job.
create function pgqueue.final_state(id bigint) returns text
language plpgsql stable as $$
#variable_conflict use_column
declare
  _state text;
begin
  select 'dead' into _state from pgqueue.dead_jobs d where d.id = final_state.id;
  if not found then
    select case when f.succeeded then 'succeeded' else 'cancelled' end into _state from pgqueue.finished_jobs f where f.id = final_state.id limit 1;
  end if;
  if not found then
    raise exception using errcode = 'PQ001',
      message = format('there is no job %s: it never existed, its transaction was rolled back, or retention has dropped it', id);
  end if;
  return _state;
end $$;
