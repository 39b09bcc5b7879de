-- Adds up what gathering nodes were not told yet, because their row was locked when parents ended, and lets go what is complete by that.
-- Returns how many it looked at. Called by the keeper some times a second: while there is nothing to add up it costs one look at
-- an empty table. Deltas of nodes that do not wait any more are dropped. One bad node does not stop the others: it is told in a warning.
-- I6: without it a child would wait for ever when two last parents passed each other, each leaving the count to the other.
-- Locks: the gathering nodes that it can have at once and their dependants, all by (rank, id); after an error only those of one node.
create function pgqueue.fold_nodes() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _ids bigint[];
  _id bigint;
begin
  if not exists (select from pgqueue.flow_deltas) then
    return 0;
  end if;
  with over as materialized (
    select n.id from pgqueue.flow_nodes n
    where n.id = any (array(select distinct d.child_id from pgqueue.flow_deltas d)) and not n.blocked
    order by n.rank, n.id for no key update skip locked
  )
  delete from pgqueue.flow_deltas d using over o where d.child_id = o.id;
  delete from pgqueue.flow_deltas d where not exists (select from pgqueue.flow_nodes n where n.id = d.child_id);
  _ids := array(select n.id from pgqueue.flow_nodes n
                where n.id = any (array(select distinct d.child_id from pgqueue.flow_deltas d)) and n.blocked);
  begin
    perform pgqueue.advance_nodes('{}', _ids, _at);
  exception when others then
    raise warning 'flow nodes: % (%); going on with one of them', sqlerrm, sqlstate;
    foreach _id in array array(select i from unnest(_ids) i order by random()) loop
      begin
        perform pgqueue.advance_nodes('{}', array[_id], _at);
        exit;
      exception when others then
        raise warning 'flow node %: % (%)', _id, sqlerrm, sqlstate;
      end;
    end loop;
  end;
  return coalesce(cardinality(_ids), 0);
end $$;
