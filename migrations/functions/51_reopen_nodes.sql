-- Whether a node would be skipped, as its parents stand.
create function pgqueue.skips(id bigint) returns boolean
language sql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  select coalesce(sum(pgqueue.misses(l.condition, p.outcome)), 0) > 0
         or n.asks_failure and count(*) filter (where p.outcome is null) = 0 and coalesce(sum(pgqueue.hits(l.condition, p.outcome, n.verdict)), 0) = 0
  from pgqueue.flow_nodes n join pgqueue.flow_links l on l.child_id = n.id join pgqueue.flow_nodes p on p.id = l.parent_id
  where n.id = skips.id
  group by n.id, n.asks_failure, n.verdict
$$;

-- Reopens the nodes among these ids, because an operator runs them again (I15): jobs that are in the queue again, or barriers. Children that
-- still wait count them as parents that have not ended; children that have started or ended are left alone, so nothing is called
-- twice. A job that never started, and a barrier, is judged anew: it waits for its parents, and if one of them has failed, until that
-- is retried too, whatever its policy says (patient).
-- Raises PQ003 for a step of a saga that was given up, whose undos run or have run, and for a job that would be skipped again.
-- I6: counts are taken under the locks of the node, of its unfinished parents (a settle that is under way has them: it commits first, or
-- finds the node blocked) and of its waiting children. Locks: all these by (rank, id), those of gathering children excepted,
-- who get a delta; a child that was linked while it waited for these locks comes last.
create function pgqueue.reopen_nodes(ids bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_nestloop = off set enable_hashjoin = on set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _nodes constant bigint[] := array(select n.id from pgqueue.flow_nodes n where n.id = any (ids));
  _again bigint[];
  _id bigint;
begin
  if _nodes = '{}' then
    return;
  end if;
  perform from pgqueue.flow_nodes n
  where n.id = any (array(
    select unnest(_nodes)
    union
    select l.child_id from pgqueue.flow_links l
    where l.parent_id = any (_nodes) and (select c.blocked and not c.gather from pgqueue.flow_nodes c where c.id = l.child_id)
    union
    select l.parent_id from pgqueue.flow_links l
    where l.child_id = any (_nodes) and (select p.outcome is null from pgqueue.flow_nodes p where p.id = l.parent_id)))
  order by n.rank, n.id
  for no key update;
  select n.id into _id
  from pgqueue.flow_nodes n
  join pgqueue.flow_links l on l.parent_id = n.id and l.parent_id = any (_nodes)
  where n.id = any (_nodes) and n.role = 'step' and (select f.kind from pgqueue.job_flows f where f.id = n.flow_id) = 'saga'
    and (select not e.is_job and e.outcome is not null from pgqueue.flow_nodes e where e.id = l.child_id)
  limit 1;
  if found then
    raise exception using errcode = 'PQ003', message = format('job %s is a step of a saga that was given up and is undone: enqueue the saga anew', _id);
  end if;
  select n.id into _id from pgqueue.flow_nodes n where n.id = any (_nodes) and n.outcome = 'skipped' and pgqueue.skips(n.id) limit 1;
  if found then
    raise exception using errcode = 'PQ003', message = format('job %s was skipped, because what it is there for did not happen: retry its parents, or the flow', _id);
  end if;

  with was as materialized (
    select n.id, n.outcome from pgqueue.flow_nodes n where n.id = any (_nodes) and n.outcome is not null
  ), told as materialized (
    select c.id, c.gather, count(*)::integer as pending, sum(pgqueue.breaches(l.condition, w.outcome))::integer as breached,
           sum(pgqueue.misses(l.condition, w.outcome))::integer as missed, sum(pgqueue.hits(l.condition, w.outcome, c.verdict))::integer as hits
    from was w
    join pgqueue.flow_links l on l.parent_id = w.id and l.parent_id = any (_nodes)
    cross join lateral (select n.id, n.gather, n.verdict from pgqueue.flow_nodes n where n.id = l.child_id and n.blocked offset 0) c
    group by c.id, c.gather
  ), narrow as (
    update pgqueue.flow_nodes c
    set pending = c.pending + t.pending, breached = c.breached - t.breached, missed = c.missed - t.missed, hits = c.hits - t.hits
    from told t where c.id = any (array(select x.id from told x where not x.gather)) and c.id = t.id
  ), wide as (
    insert into pgqueue.flow_deltas (child_id, pending, breached, missed, hits)
    select t.id, -t.pending, -t.breached, -t.missed, -t.hits from told t where t.gather
  )
  update pgqueue.flow_nodes n set outcome = null, result = null, ended_at = null from was w where n.id = any (_nodes) and n.id = w.id;

  _again := array(select n.id from pgqueue.flow_nodes n
                  where n.id = any (_nodes) and (not n.is_job or exists (select from pgqueue.queued_jobs j where j.id = n.id and j.attempt = 0)));
  with counted as materialized (
    select l.child_id as id, count(*) filter (where p.outcome is null) as pending, sum(pgqueue.breaches(l.condition, p.outcome)) as breached,
           sum(pgqueue.misses(l.condition, p.outcome)) as missed, sum(pgqueue.hits(l.condition, p.outcome, c.verdict)) as hits
    from pgqueue.flow_links l
    join pgqueue.flow_nodes c on c.id = l.child_id and c.id = any (_again)
    cross join lateral (select n.outcome from pgqueue.flow_nodes n where n.id = l.parent_id offset 0) p
    where l.child_id = any (_again)
    group by l.child_id
  ), stale as (
    delete from pgqueue.flow_deltas d where d.child_id = any (_again)
  )
  update pgqueue.flow_nodes n
  set blocked = true, patient = true, due = null, pending = coalesce(c.pending, 0), breached = coalesce(c.breached, 0), missed = coalesce(c.missed, 0),
      hits = coalesce(c.hits, 0)
  from unnest(_again) as a (id) left join counted c on c.id = a.id
  where n.id = any (_again) and n.id = a.id;
  update pgqueue.queued_jobs j set run_at = 'infinity' where j.id = any (_again);
  perform pgqueue.advance_nodes('{}', _again, at);
end $$;
