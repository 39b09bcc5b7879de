-- Whether a node would be skipped, as its parents stand.
create function pgqueue.skips(id bigint) returns boolean
language sql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  select coalesce(sum(pgqueue.misses(l.condition, p.outcome)), 0) > 0
         or n.asks_failure and count(*) filter (where p.outcome is null) = 0 and coalesce(sum(pgqueue.hits(l.condition, p.outcome, n.verdict)), 0) = 0
  from pgqueue.flow_nodes n join pgqueue.flow_links l on l.child_id = n.id join pgqueue.flow_nodes p on p.id = l.parent_id
  where n.id = skips.id
  group by n.id, n.asks_failure, n.verdict
$$;

-- Whether a barrier is the end of a saga that has failed and is undone: an undo of it runs, has run, or waits its turn. What came before it, its
-- steps and what they added, must not run again by itself: what earlier steps did is gone.
create function pgqueue.is_undone(id bigint) returns boolean
language sql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  select exists (
    select from pgqueue.flow_nodes e
    join pgqueue.flow_links l on l.parent_id = e.id
    cross join lateral (select n.role, n.outcome from pgqueue.flow_nodes n where n.id = l.child_id offset 0) u
    where e.id = is_undone.id and not e.is_job and e.outcome in ('dead', 'cancelled') and u.role = 'undo' and u.outcome is distinct from 'skipped')
$$;

-- The barriers at the end of batches that have failed because of these nodes, among others, and of the batches that these are members of. Not those of sagas: what
-- they let go undoes. `blocked` asks for those that were reopened and wait again; null for both, also such as have not ended.
create function pgqueue.batch_ends(ids bigint[], blocked boolean) returns bigint[]
language sql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  with recursive ends as (
    select l.child_id as id from pgqueue.flow_links l
    where l.parent_id = any (ids) and l.condition = 'ended'
      and (select not n.is_job and n.verdict and case batch_ends.blocked when true then n.blocked when false then n.outcome = 'dead' else n.blocked or n.outcome = 'dead' end
           from pgqueue.flow_nodes n where n.id = l.child_id)
    union
    select l.child_id from ends e join pgqueue.flow_links l on l.parent_id = e.id
    where l.condition = 'ended'
      and (select not n.is_job and n.verdict and case batch_ends.blocked when true then n.blocked when false then n.outcome = 'dead' else n.blocked or n.outcome = 'dead' end
           from pgqueue.flow_nodes n where n.id = l.child_id)
  )
  select coalesce(array_agg(e.id), '{}') from ends e
  where not exists (select from pgqueue.flow_links l where l.parent_id = e.id and (select u.role = 'undo' from pgqueue.flow_nodes u where u.id = l.child_id))
$$;

-- Reopens the nodes among these ids, because an operator runs them again (I15): jobs that are in the queue again, or barriers. Children that
-- still wait count them as parents that have not ended; children that have started or ended are left alone, so nothing is called
-- twice. A job that never started, and a barrier, is judged anew: it waits for its parents, and if one of them has failed, until that
-- is retried too, whatever its policy says (patient). With a member goes the end of its batch, if that has failed: it counts anew, and says once more
-- what became of all. Callbacks that were called are not waiting for it any more; one that was skipped can be called now (recall_skipped).
-- Raises PQ003 for a step of a saga that was given up, in whatever flow: its undos run or have run, or, where it had done nothing yet, would not be
-- there for it if it ran by itself (retry_flow, which reopens all of such a saga, says so in pgq.retried); and for a job that would be skipped again.
-- I6: counts are taken under the locks of the node, of its unfinished parents (a settle that is under way has them: it commits first, or
-- finds the node blocked), of its waiting children, and of the ends of its batches. Locks: all these by (rank, id), those of other gathering children excepted,
-- who get a delta (parents of a batch's end only where it has failed: of one that waits there may be thousands); a child that was linked while it waited for these locks comes last.
create function pgqueue.reopen_nodes(ids bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_nestloop = off set enable_hashjoin = on set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _nodes bigint[] := array(select n.id from pgqueue.flow_nodes n where n.id = any (ids));
  _ends bigint[];
  _failed bigint[];
  _again bigint[];
  _id bigint;
begin
  if _nodes = '{}' then
    return;
  end if;
  _ends := pgqueue.batch_ends(_nodes, null);
  _failed := pgqueue.batch_ends(_nodes, false);
  perform from pgqueue.flow_nodes n
  where n.id = any (array(
    select unnest(_nodes)
    union
    select unnest(_ends)
    union
    select l.child_id from pgqueue.flow_links l
    where l.parent_id = any (_nodes) and (select c.blocked and not c.gather from pgqueue.flow_nodes c where c.id = l.child_id)
    union
    select l.parent_id from pgqueue.flow_links l
    where l.child_id = any (_nodes || _failed) and (select p.outcome is null from pgqueue.flow_nodes p where p.id = l.parent_id)))
  order by n.rank, n.id
  for no key update;
  _nodes := array(select unnest(_nodes) union select unnest(pgqueue.batch_ends(_nodes, false)));  -- as they stand under the locks
  select n.id into _id
  from pgqueue.flow_nodes n
  join pgqueue.flow_links l on l.parent_id = n.id and l.parent_id = any (_nodes)
  join pgqueue.flow_nodes e on e.id = l.child_id
  where n.id = any (_nodes) and n.role = 'step' and not e.is_job and e.outcome is not null
    and (e.verdict or (select f.kind from pgqueue.job_flows f where f.id = n.flow_id) = 'saga')
    and (pgqueue.is_undone(e.id) or current_setting('pgq.retried', true) is distinct from n.flow_id::text)
  limit 1;
  if found then
    raise exception using errcode = 'PQ003', message = format(
      'job %s is a step of a saga that was given up: if nothing of it was done yet, retry its flow, else enqueue the saga anew', _id);
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
  set blocked = true, patient = n.id = any (ids), due = null, pending = coalesce(c.pending, 0), breached = coalesce(c.breached, 0), missed = coalesce(c.missed, 0),
      hits = coalesce(c.hits, 0)
  from unnest(_again) as a (id) left join counted c on c.id = a.id
  where n.id = any (_again) and n.id = a.id;
  update pgqueue.queued_jobs j set run_at = 'infinity' where j.id = any (_again);
  perform pgqueue.advance_nodes('{}', _again, at);
end $$;

-- Puts callbacks back that were skipped because their batch had failed, and what was skipped with them, now that one of its members is tried again
-- (`ids`; reopen_nodes has reopened the batch's end): should all succeed after all, on_success is called, for the first time. They wait for that as in the
-- beginning, and are skipped again if not. One whose key another job holds, or whose arguments retention has dropped, stays as it is, told in a warning.
-- retry_flow does this by itself, for all of a flow. Locks: the callbacks' history rows that it can have at once, then as retry, by (rank, id).
create function pgqueue.recall_skipped(ids bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _node record;
  _job record;
begin
  for _node in
    with recursive skipped as (
      select l.child_id as id from pgqueue.flow_links l
      where l.parent_id = any (pgqueue.batch_ends(ids, true)) and l.condition = 'if_succeeded'
        and (select n.outcome = 'skipped' from pgqueue.flow_nodes n where n.id = l.child_id)
      union
      select l.child_id from skipped s join pgqueue.flow_links l on l.parent_id = s.id
      where (select n.outcome = 'skipped' or not n.is_job and n.outcome = 'succeeded' from pgqueue.flow_nodes n where n.id = l.child_id)
    )
    select n.id, n.is_job, n.flow_id from pgqueue.flow_nodes n where n.id = any (array(select s.id from skipped s)) order by n.rank, n.id
  loop
    continue when current_setting('pgq.retried', true) = _node.flow_id::text
      or (select n.outcome is null from pgqueue.flow_nodes n where n.id = _node.id) or pgqueue.skips(_node.id);
    if not _node.is_job then
      perform pgqueue.reopen_nodes(array[_node.id], at);
      continue;
    end if;
    select f.queue, f.key, f.args_day into _job from pgqueue.finished_jobs f where f.id = _node.id and not f.succeeded for update skip locked;
    continue when not found;
    if not exists (select from pgqueue.job_args a where a.id = _node.id and a.day = _job.args_day)
       or _job.key is not null and pgqueue.hold_key(_node.id, _job.queue, _job.key, null) is not null then
      raise warning 'job % stays skipped: its key % is held by another job, or its arguments are gone', _node.id, _job.key;
      continue;
    end if;
    perform pgqueue.requeue_cancelled(array[_node.id], at);
  end loop;
end $$;
