-- Adds jobs to the flow of a running job, as entries of enqueue_flow, while that attempt holds its lease: whatever waits for the calling job
-- waits for them too, by the same conditions, so that a batch can grow while it runs. Of those added some may be skipped (callbacks of a
-- batch, undos), which holds nobody up; and an undo waits for what its step has added, whatever becomes of that. They may wait for each other, for the calling
-- job, and for what comes before it. Returns their ids in the order of the entries.
-- I4, I6: the lease is locked until the caller's transaction ends, so the calling job cannot settle before, and what waits for it is not
-- let go before it knows its new parents.
-- Raises PQ005 when the lease is gone; PQ003 when the job belongs to no flow; what enqueue_flow raises.
-- Locks: the calling job, then as add_nodes, then the children of the calling job by (rank, id); gathering ones get a delta.
create function pgqueue.add_to_flow(job_id bigint, token bigint, jobs jsonb) returns setof bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_nestloop = off set enable_hashjoin = on set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _flow bigint;
  _rank bigint;
  _ids bigint[];
  _children bigint[];
begin
  perform pgqueue.guard(job_id, token);
  if jobs is null or jsonb_typeof(jobs) <> 'array' then
    raise exception using errcode = 'PQ004', message = format('add_to_flow: jobs must be an array of objects, got %s', coalesce(jsonb_typeof(jobs), 'null'));
  end if;
  select n.flow_id, n.rank into _flow, _rank from pgqueue.flow_nodes n where n.id = add_to_flow.job_id;
  if _flow is null then
    raise exception using errcode = 'PQ003', message = format('job %s belongs to no flow: enqueue its children, or a flow', job_id);
  end if;
  _ids := pgqueue.add_nodes(_flow, jobs, _rank, _now);
  _children := array(select l.child_id from pgqueue.flow_links l where l.parent_id = add_to_flow.job_id and l.child_id <> all (_ids));
  perform from pgqueue.flow_nodes n where n.id = any (_children) and not n.gather order by n.rank, n.id for no key update;
  with links as (
    insert into pgqueue.flow_links (parent_id, child_id, place, condition)
    select i.id, l.child_id, l.place, case when l.condition = 'succeeded' then 'not_failed'
                                          when l.condition = 'if_succeeded' and c.role = 'undo' then 'ended' else l.condition end
    from unnest(_ids) as i (id), pgqueue.flow_links l join pgqueue.flow_nodes c on c.id = l.child_id
    where l.parent_id = add_to_flow.job_id and l.child_id = any (_children)
    returning parent_id, child_id, condition
  ), told as materialized (
    select c.id, c.gather, count(*) filter (where p.outcome is null)::integer as pending, coalesce(sum(pgqueue.breaches(l.condition, p.outcome)), 0)::integer as breached,
           coalesce(sum(pgqueue.misses(l.condition, p.outcome)), 0)::integer as missed, coalesce(sum(pgqueue.hits(l.condition, p.outcome, c.verdict)), 0)::integer as hits
    from links l
    join pgqueue.flow_nodes p on p.id = l.parent_id and p.id = any (_ids)
    join pgqueue.flow_nodes c on c.id = l.child_id and c.id = any (_children)
    where c.blocked group by c.id, c.gather
  ), narrow as (
    update pgqueue.flow_nodes c
    set pending = c.pending + t.pending, breached = c.breached + t.breached, missed = c.missed + t.missed, hits = c.hits + t.hits,
        gather = c.pending + t.pending >= 100
    from told t where c.id = any (_children) and c.id = t.id and not t.gather
  )
  insert into pgqueue.flow_deltas (child_id, pending, breached, missed, hits)
  select t.id, -t.pending, t.breached, t.missed, t.hits from told t where t.gather;
  return query select unnest(_ids);
end $$;

-- What a job waited for, in the order in which it was told: the jobs before it, for a barrier the jobs before that. For those that start.
create function pgqueue.flow_parents(job_id bigint) returns table (id bigint, name text, task text, outcome text, result jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
begin
  return query
  with recursive found as (
    select l.parent_id, array[l.place::bigint, l.parent_id] as path from pgqueue.flow_links l where l.child_id = flow_parents.job_id
    union all
    select l.parent_id, f.path || array[l.place::bigint, l.parent_id]
    from found f join pgqueue.flow_links l on l.child_id = f.parent_id
    where not (select b.is_job from pgqueue.flow_nodes b where b.id = f.parent_id)
  ), firsts as (
    select f.parent_id, min(f.path) as path from found f group by f.parent_id
  )
  select n.id, n.name, n.task, n.outcome, n.result
  from firsts f join pgqueue.flow_nodes n on n.id = f.parent_id
  where n.is_job
  order by f.path;
end $$;
