-- The row of `why` for a node of a flow, a job or a barrier, that its parents have not let go: how many have not ended, what the first of them
-- do, and which ended so that only a retry of theirs goes on. Counts are the node's own, with what it is still to be told (see
-- settle_nodes); of a wide fan-in it looks at 10,000 parents to name the first that have not ended.
create function pgqueue.why_dependency(id bigint, at timestamptz) returns table (gate text, detail text)
language plpgsql stable as $$
#variable_conflict use_column
declare
  _node record;
  _open bigint;
  _parents bigint;
  _waits text;
  _failed text;
begin
  select n.pending - coalesce((select sum(d.pending) from pgqueue.flow_deltas d where d.child_id = n.id), 0) as pending, n.due into _node
  from pgqueue.flow_nodes n where n.id = why_dependency.id and n.blocked;
  if not found then
    return;
  end if;
  _open := greatest(_node.pending, 0);
  _parents := (select count(*) from (select from pgqueue.flow_links l where l.child_id = why_dependency.id limit 10000) l);
  if _open > 0 then
    select string_agg(case when p.number = 6 then 'and so on' when p.is_job then format('job %s%s %s', p.id, p.label, pgqueue.told_job(p.id, at))
                           else format('barrier %s%s waits for its own parents (`pgq why %s`)', p.id, p.label, p.id) end, '; ' order by p.number)
    into _waits
    from (select n.id, n.is_job, coalesce(' (' || coalesce(n.name, n.task) || ')', '') as label, row_number() over (order by l.place, l.parent_id) as number
          from (select x.parent_id, x.place from pgqueue.flow_links x where x.child_id = why_dependency.id order by x.place, x.parent_id limit 10000) l
          join pgqueue.flow_nodes n on n.id = l.parent_id
          where n.outcome is null
          order by l.place, l.parent_id limit 6) p;
  end if;
  select string_agg(case when p.number = 6 then 'and so on' else format('%s %s%s is %s%s', case when p.is_job then 'job' else 'barrier' end, p.id, p.label, p.outcome,
           case when exists (select from pgqueue.queued_jobs j where j.id = p.id) then ', but was retried and ' || pgqueue.told_job(p.id, at) else '' end) end, '; ' order by p.number)
  into _failed
  from (select n.id, n.is_job, n.outcome, coalesce(' (' || coalesce(n.name, n.task) || ')', '') as label, row_number() over (order by l.place, l.parent_id) as number
        from (select x.parent_id, x.place, x.condition from pgqueue.flow_links x where x.child_id = why_dependency.id order by x.place, x.parent_id limit 10000) l
        join pgqueue.flow_nodes n on n.id = l.parent_id
        where n.outcome in ('dead', 'cancelled') and pgqueue.breaches(l.condition, n.outcome) > 0
        order by l.place, l.parent_id limit 6) p;
  return query select 'dependency', concat(
    case when _open > 0 then format('it waits for %s to end: %s', case when _parents = 1 then 'its one parent'
                                                                       else format('%s of its %s parents', _open, case _parents when 10000 then '10000 or more' else _parents::text end) end,
                                    coalesce(_waits, 'see the view flow_jobs'))
         when _failed is null then 'all its parents have ended, and housekeeping lets it go within seconds' end,
    case when _failed is not null then concat(case when _open > 0 then '; then ' end, 'it waits until what failed before it is retried and succeeds (`pgq jobs retry`): ', _failed) end,
    case when _node.due > at then format('; then it is due at %s at the earliest', pgqueue.told_time(_node.due)) end);
end $$;

-- The row of `why` for a barrier: a node of a flow that is no job. None when there is no such thing.
create function pgqueue.why_barrier(id bigint, at timestamptz) returns table (gate text, detail text)
language plpgsql stable as $$
#variable_conflict use_column
begin
  return query select * from pgqueue.why_dependency(id, at);
  if not found then
    return query select 'finished', format('it is a barrier of flow %s, no job, and ended as %s%s', n.flow_id, coalesce(n.outcome, 'nothing yet'),
                                           coalesce(' at ' || pgqueue.told_time(n.ended_at), ''))
      from pgqueue.flow_nodes n where n.id = why_barrier.id and not n.is_job;
  end if;
end $$;
