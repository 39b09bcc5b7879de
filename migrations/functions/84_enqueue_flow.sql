-- Enqueues a flow in the caller's transaction: all its jobs exist, those that wait for others too, exactly when that commits (I1). Returns its
-- id, and the ids of its entries in their order. `flow` is {"kind": chain|group|dag|batch|saga, "name": text, "jobs": [entry, ...]}.
-- An entry is a job, with the names of enqueue's arguments, or {"barrier": true}, which is no job and ends by itself. And:
--   after       what it waits for: places in the array (from 0), {"index": place, "when": ...} or {"id": a job or barrier, "when": ...};
--               when: succeeded (default), ended (however), failed (it runs only if such a parent failed), not_failed (succeeded or
--               skipped), if_succeeded (else it is skipped)
--   on_failure  when a parent did not succeed that should have: cancel (default), dead, or wait until the parent was retried and succeeded
--   name, role  labels; roles with a meaning: undo and on_success are skipped where others fail; undo waits on failure, and is not cancelled with its
--               flow; step comes before a barrier with a verdict and is not retried by itself once that has failed; on_done and on_failed are not called twice
--   verdict     of a barrier: it fails when any of its parents failed, by whatever condition it waits for them
--   gather      for many parents: it is counted without holding them up; set by itself from 100 parents on
-- Raises PQ001 unknown parent, PQ002 a key is held by another job, PQ004 invalid argument, a cycle too; then nothing is added. Locks: as add_nodes.
create function pgqueue.enqueue_flow(flow jsonb) returns table (flow_id bigint, ids bigint[])
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _error text;
begin
  _error := case
    when flow is null or jsonb_typeof(flow) <> 'object' then format('enqueue_flow: must be an object with kind, name and jobs, got %s', coalesce(jsonb_typeof(flow), 'null'))
    when flow - array['kind', 'name', 'jobs'] <> '{}' then
      format('enqueue_flow: unknown name %s; the names are kind, name, jobs', (select string_agg(k, ', ') from jsonb_object_keys(flow - array['kind', 'name', 'jobs']) k))
    when coalesce(flow ->> 'kind', 'dag') not in ('chain', 'group', 'dag', 'batch', 'saga') then
      format('enqueue_flow: kind must be chain, group, dag, batch or saga, got %L', left(flow ->> 'kind', 100))
    when jsonb_typeof(flow -> 'name') not in ('string', 'null') or octet_length(flow ->> 'name') > 500 then 'enqueue_flow: name must be a string of at most 500 bytes'
    when coalesce(jsonb_typeof(flow -> 'jobs'), 'null') <> 'array' then 'enqueue_flow: jobs must be an array of objects'
    end;
  if _error is not null then
    raise exception using errcode = 'PQ004', message = _error;
  end if;
  flow_id := nextval('pgqueue.job_ids');
  insert into pgqueue.job_flows (id, kind, name, created_at) values (flow_id, coalesce(flow ->> 'kind', 'dag'), flow ->> 'name', _now);
  ids := pgqueue.add_nodes(flow_id, flow -> 'jobs', null, _now);
  return next;
end $$;
