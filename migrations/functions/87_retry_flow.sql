-- Runs again what a flow lacks: its dead and cancelled jobs, and the barriers and callbacks that ended because of them, each waiting for its
-- parents as in the beginning. What has succeeded stays, callbacks that were called are not called again, and of a saga that was given
-- up and is undone, as a flow by itself or inside another, only the undos that failed run again: what waits for its success stays as it
-- is. A saga that was given up before anything was to be undone runs again as a whole. Returns how many jobs were put back.
-- A job that cannot be retried (its key is held by another, retention has dropped its arguments) is told in a warning and stays.
-- Raises PQ001 unknown flow. Locks: the flow, then as retry, job by job along the links.
create function pgqueue.retry_flow(flow_id bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _node record;
  _lost bigint[];  -- what cannot come to a better end
  _plain bigint[];
  _dead bigint[];
  _cancelled bigint[];
  _back bigint[] := '{}';
begin
  update pgqueue.job_flows f set cancelled_at = null where f.id = retry_flow.flow_id;
  if not found then
    perform pgqueue.unknown_flow(flow_id);
  end if;
  perform set_config('pgq.retried', flow_id::text, true);
  with verdicts as materialized (
    select n.id from pgqueue.flow_nodes n
    where n.flow_id = retry_flow.flow_id and not n.is_job and n.outcome in ('dead', 'cancelled') and pgqueue.is_undone(n.id)
  )
  select coalesce(array_agg(l.id), '{}') into _lost
  from (select v.id from verdicts v union select l.parent_id from verdicts v join pgqueue.flow_links l on l.child_id = v.id) l
  where (select n.role <> 'undo' from pgqueue.flow_nodes n where n.id = l.id);
  _plain := array(select n.id from pgqueue.flow_nodes n  -- what waits for nobody, as members of a batch do, goes at once: no order is to be kept
                  where n.flow_id = retry_flow.flow_id and n.outcome in ('dead', 'cancelled') and n.is_job and n.id <> all (_lost)
                    and not exists (select from pgqueue.flow_links l where l.child_id = n.id));
  _dead := array(select d.id from pgqueue.dead_jobs d
                 where d.id = any (_plain) and d.key is null and exists (select from pgqueue.job_args a where a.id = d.id and a.day = d.args_day)
                 order by d.id for update of d);
  _cancelled := array(select f.id from pgqueue.finished_jobs f
                      where f.id = any (_plain) and not f.succeeded and f.key is null
                        and exists (select from pgqueue.job_args a where a.id = f.id and a.day = f.args_day)
                      order by f.id for update of f);
  perform pgqueue.requeue_dead(_dead, _at) where _dead <> '{}';
  perform pgqueue.requeue_cancelled(_cancelled, _at) where _cancelled <> '{}';
  _back := _dead || _cancelled;
  for _node in
    select n.id, n.is_job, n.role, n.outcome from pgqueue.flow_nodes n
    where n.flow_id = retry_flow.flow_id and (n.outcome in ('dead', 'cancelled', 'skipped') or n.outcome = 'succeeded' and not n.is_job)
    order by n.rank, n.id
  loop
    continue when _node.id = any (_lost)
      or exists (select from pgqueue.flow_nodes n where n.id = _node.id and n.outcome is null);  -- a barrier that went with its parents
    if _node.outcome <> 'skipped' and exists (
         select from pgqueue.flow_links l where l.child_id = _node.id and l.parent_id = any (_lost)
           and pgqueue.breaches(l.condition, (select p.outcome from pgqueue.flow_nodes p where p.id = l.parent_id)) > 0) then
      _lost := _lost || _node.id;
      continue;
    end if;
    -- A barrier that is content, over members that were skipped, say, is judged anew when one of them runs after all.
    continue when _node.outcome = 'succeeded' and not exists (
      select from pgqueue.flow_links l where l.child_id = _node.id and (select p.outcome is null from pgqueue.flow_nodes p where p.id = l.parent_id));
    continue when _node.role in ('on_success', 'on_done', 'on_failed')
      and exists (select from pgqueue.jobs j where j.id = _node.id and j.attempt > 0);
    continue when _node.outcome = 'skipped' and pgqueue.skips(_node.id);
    begin
      if _node.is_job then
        perform pgqueue.retry(_node.id);
        _back := _back || _node.id;
      else
        perform pgqueue.reopen_nodes(array[_node.id], _at);
      end if;
    exception when sqlstate 'PQ001' or sqlstate 'PQ002' or sqlstate 'PQ003' then
      raise warning 'flow %: % (%)', flow_id, sqlerrm, sqlstate;
    end;
  end loop;
  perform set_config('pgq.retried', '', true);
  update pgqueue.flow_nodes n set patient = false where n.flow_id = retry_flow.flow_id and n.patient and n.outcome is null;
  return cardinality(_back);
end $$;
