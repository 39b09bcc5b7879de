-- Forgets flows whose nodes all ended longer ago than history is kept, and nodes of single jobs that nobody waits for any more. A flow that is
-- unfinished keeps all its nodes, with outcomes and results, and so does one whose jobs an unfinished job of another flow waits for
-- (I13). Returns how many rows of these kinds it looked at and dropped; there may be more when that is a hundred or more.
-- Locks: flows, then their nodes, passing by locked ones: then the flow stays for now.
create function pgqueue.sweep_flows() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _since constant timestamptz := clock_timestamp() - (select s.retention from pgqueue.settings s);
  _flow bigint;
  _nodes bigint[];
  _swept bigint := 0;
begin
  for _flow in
    select f.id from pgqueue.job_flows f
    where f.created_at < _since and not exists (
      select from pgqueue.flow_nodes n where n.flow_id = f.id and (n.outcome is null or n.ended_at >= _since))
    order by f.id limit 100 for update skip locked
  loop
    _nodes := array(select n.id from pgqueue.flow_nodes n where n.flow_id = _flow and n.ended_at < _since order by n.rank, n.id for update skip locked);
    continue when cardinality(_nodes) <> (select count(*) from pgqueue.flow_nodes n where n.flow_id = _flow)
      or exists (select from pgqueue.flow_links l
                 where l.parent_id = any (_nodes) and (select c.outcome is null from pgqueue.flow_nodes c where c.id = l.child_id));
    delete from pgqueue.flow_links l where l.child_id = any (_nodes);
    delete from pgqueue.flow_links l where l.parent_id = any (_nodes);
    delete from pgqueue.flow_nodes n where n.id = any (_nodes);
    delete from pgqueue.job_flows f where f.id = _flow;
    _swept := _swept + 1;
  end loop;
  with idle as materialized (
    select n.id from pgqueue.flow_nodes n
    where n.flow_id is null and n.ended_at < _since and not exists (select from pgqueue.flow_links l where l.parent_id = n.id)
    order by n.id limit 1000 for update skip locked
  ), gone as (
    delete from pgqueue.flow_nodes n using idle i where n.id = i.id returning 1
  )
  select _swept + count(*) into _swept from gone;
  return _swept;
end $$;
