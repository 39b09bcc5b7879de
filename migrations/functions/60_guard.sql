-- Locks an attempt's lease until the transaction ends, or raises PQ005 when it is gone: then what the transaction did must not
-- commit (I4). While it is locked nobody can hand the job on. Locks: the job's row.
create function pgqueue.guard(id bigint, token bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
begin
  perform from pgqueue.queued_jobs j where j.id = guard.id and j.token = guard.token for update;
  if not found then
    raise exception using errcode = 'PQ005', message = format('this attempt has lost its lease on job %s: roll back', id);
  end if;
end $$;
