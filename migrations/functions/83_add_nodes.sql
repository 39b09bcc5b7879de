-- Makes nodes of jobs that were enqueued without a flow, because others are to wait for them, and locks all these parents, so that none
-- ends before the caller's transaction does. Those that have ended already have their outcome in their node, or get it here.
-- Raises PQ001 unknown job. Locks: the jobs that are no nodes yet in id order (their settles wait), then the nodes by (rank, id), for share.
create function pgqueue.adopt_parents(ids bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_nestloop = on set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _id bigint;
  _locked integer;
begin
  loop
    foreach _id in array array(select distinct i from unnest(ids) i order by i) loop
      continue when pgqueue.is_node(_id);
      loop
        update pgqueue.queued_jobs j set linked = true where j.id = _id;
        if found then
          insert into pgqueue.flow_nodes (id, rank, role, queue, task)
          select j.id, j.id, 'parent', j.queue, j.task from pgqueue.queued_jobs j where j.id = _id on conflict do nothing;
          exit;
        end if;
        insert into pgqueue.flow_nodes (id, rank, role, queue, task, outcome, ended_at, result)
        select f.id, f.id, 'parent', f.queue, f.task, case when f.succeeded then 'succeeded' else 'cancelled' end, f.finished_at, f.result
        from (select f.id, f.queue, f.task, f.succeeded, f.finished_at, f.result from pgqueue.finished_jobs f where f.id = _id and f.succeeded for share) f
        on conflict do nothing;
        exit when found or pgqueue.is_node(_id);
        -- What may be retried is locked, or its retry could miss that it is a node now.
        insert into pgqueue.flow_nodes (id, rank, role, queue, task, outcome, ended_at)
        select f.id, f.id, 'parent', f.queue, f.task, 'cancelled', f.finished_at
        from (select f.id, f.queue, f.task, f.finished_at from pgqueue.finished_jobs f where f.id = _id and not f.succeeded for update) f
        union all
        select d.id, d.id, 'parent', d.queue, d.task, 'dead', d.died_at
        from (select d.id, d.queue, d.task, d.died_at from pgqueue.dead_jobs d where d.id = _id for update) d
        on conflict do nothing;
        exit when found or pgqueue.is_node(_id);
        if pgqueue.stored_state(_id) is null then
          perform pgqueue.unknown_job(_id);
        end if;
      end loop;
    end loop;
    perform from pgqueue.flow_nodes n where n.id = any (ids) order by n.rank, n.id for share;
    get diagnostics _locked = row_count;
    exit when _locked = (select count(distinct i) from unnest(ids) i);  -- else retention was faster with one that ended long ago
  end loop;
end $$;

-- Adds nodes to a flow, in the caller's transaction: all or none (I1). Returns their ids in the order of the entries. Ids ascend along the
-- links whatever that order is; the rank is the id, or `rank` (see add_to_flow). What waits for nobody may run at once; the rest is parked.
-- Raises PQ001 unknown parent; PQ002 a key is held; PQ004 invalid argument, with the entry's place.
-- Locks: keys in the order of (queue, key); parents that were there before (adopt_parents); then, if one of those has ended, dependants.
create function pgqueue.add_nodes(flow_id bigint, entries jsonb, rank bigint, at timestamptz) returns bigint[]
language plpgsql set enable_nestloop = off set enable_hashjoin = on as $$
#variable_conflict use_column
declare
  _day constant date := pgqueue.ensure_day(at);
  _size constant integer := jsonb_array_length(entries);
  _jobs jsonb;
  _ids bigint[];
  _drawn bigint[];
  _held bigint[];
  _verdicts boolean[];
  _order integer[];
  _error text;
  _children integer[];
  _parents integer[];
  _parent_ids bigint[];
  _conditions text[];
  _places integer[];
  _queues text[];
  _ready bigint[];
  _shift integer;
begin
  _error := pgqueue.flow_entries_error(entries);
  if _error is null then
    select array_agg(l.child order by l.child, l.place), array_agg(l.parent order by l.child, l.place), array_agg(l.parent_id order by l.child, l.place),
           array_agg(l.condition order by l.child, l.place), array_agg(l.place order by l.child, l.place), min(l.error)
    into _children, _parents, _parent_ids, _conditions, _places, _error
    from pgqueue.flow_links_of(entries) l;
  end if;
  if _error is null then
    select format('jobs[%s]: after: names one parent twice', min(l.child) - 1) into _error
    from (select l.child from unnest(_children, _parents, _parent_ids) as l (child, parent, parent_id)
          group by l.child, l.parent, l.parent_id having count(*) > 1) l having count(*) > 0;
  end if;
  if _error is not null then
    raise exception using errcode = 'PQ004', message = _error;
  end if;
  select coalesce(jsonb_agg(case when e.entry @> '{"barrier": true}' then '{"task": "barrier"}' else e.entry - pgqueue.flow_entry_names() end order by e.place), '[]')
  into _jobs from jsonb_array_elements(entries) with ordinality as e (entry, place);
  perform pgqueue.check_new_jobs(_jobs);
  _order := pgqueue.flow_order(_size, array_remove(_parents, null),
    array(select l.child from unnest(_children, _parents) with ordinality as l (child, parent, place) where l.parent is not null order by l.place));
  _drawn := array(select d.id from (select nextval('pgqueue.job_ids') as id from generate_series(1, _size)) d order by d.id);
  _ids := _drawn;
  for _i in 1 .. _size loop
    _ids[_order[_i]] := _drawn[_i];
  end loop;
  if exists (select from jsonb_array_elements(_jobs) j where j ? 'key') then
    _held := pgqueue.hold_keys(_jobs, _ids, at);
    for _i in 1 .. _size loop
      if _held[_i] < 0 then
        raise exception using errcode = 'PQ002', hint = (-_held[_i])::text,
          message = format('jobs[%s]: cannot enqueue task %L: key %L of queue %L is held by job %s', _i - 1, _jobs -> (_i - 1) ->> 'task',
                           _jobs -> (_i - 1) ->> 'key', coalesce(_jobs -> (_i - 1) ->> 'queue', 'default'), -_held[_i]);
      end if;
    end loop;
  end if;
  _parent_ids := array(select coalesce(l.parent_id, _ids[l.parent]) from unnest(_parents, _parent_ids) with ordinality as l (parent, parent_id, turn) order by l.turn);
  if array_position(_parents, null) is not null then
    perform pgqueue.adopt_parents(array(select l.parent_id from unnest(_parents, _parent_ids) as l (parent, parent_id) where l.parent is null), at);
    if add_nodes.rank is not null then
      select format('jobs[%s]: after: job %s may come after the job that adds this: it cannot be waited for', min(l.child) - 1, min(l.parent_id)) into _error
      from unnest(_children, _parents, _parent_ids) as l (child, parent, parent_id) join pgqueue.flow_nodes n on n.id = l.parent_id
      where l.parent is null and n.rank > add_nodes.rank having count(*) > 0;
      if _error is not null then
        raise exception using errcode = 'PQ004', message = _error;
      end if;
    end if;
  end if;
  _shift := (select coalesce(max(n.place) + 1, 0) from pgqueue.flow_nodes n where n.flow_id = add_nodes.flow_id);
  insert into pgqueue.flow_links (parent_id, child_id, place, condition)
  select l.parent_id, _ids[l.child], l.place, l.condition
  from unnest(_parent_ids, _children, _places, _conditions) as l (parent_id, child, place, condition);

  _verdicts := array(select e.entry @> '{"verdict": true}' from jsonb_array_elements(entries) with ordinality as e (entry, place) order by e.place);
  with outcomes as materialized (
    select l.child, l.condition, case when l.parent is null then (select n.outcome from pgqueue.flow_nodes n where n.id = l.parent_id) end as outcome
    from unnest(_children, _parents, _parent_ids, _conditions) as l (child, parent, parent_id, condition)
  ), linked as materialized (
    select l.child, count(*) filter (where l.outcome is null) as pending, count(*) as parents, bool_or(l.condition = 'failed') as asks_failure,
           coalesce(sum(pgqueue.breaches(l.condition, l.outcome)), 0) as breached, coalesce(sum(pgqueue.misses(l.condition, l.outcome)), 0) as missed,
           coalesce(sum(pgqueue.hits(l.condition, l.outcome, _verdicts[l.child])), 0) as hits
    from outcomes l
    group by l.child
  ), given as materialized (
    select _ids[g.place] as id, g.place, coalesce(g.run_at, at + g.delay, at) as due, coalesce(nullif(g.args, 'null'), '{}') as args, nullif(g.meta, 'null') as meta,
           g.priority, g.expires_at, g.max_attempts, g.timeout, coalesce(g.queue, 'default') as queue, g.task, g.key,
           pgqueue.job_gates(g.group_key, g.group_retry, nullif(g.limits, 'null'), g.fair_key) as gates, coalesce(g.barrier, false) as barrier,
           coalesce(l.parents, 0) > 0 or coalesce(g.barrier, false) as blocked, coalesce(l.pending, 0) as pending, coalesce(l.breached, 0) as breached,
           coalesce(l.missed, 0) as missed, coalesce(l.hits, 0) as hits, coalesce(l.asks_failure, false) as asks_failure,
           coalesce(g.gather, false) or coalesce(l.parents, 0) >= 100 as gather, coalesce(g.verdict, false) as verdict,
           coalesce(g.on_failure, case when g.role = 'undo' then 'wait' else 'cancel' end) as on_failure, coalesce(g.role, 'member') as role, g.name
    from rows from (jsonb_to_recordset(entries) as (task text, args jsonb, queue text, priority integer, run_at timestamptz, key text,
      max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, delay interval, group_key text, group_retry text, limits jsonb,
      fair_key text, barrier boolean, gather boolean, verdict boolean, on_failure text, role text, name text)) with ordinality
      as g (task, args, queue, priority, run_at, key, max_attempts, timeout, expires_at, meta, delay, group_key, group_retry, limits, fair_key,
            barrier, gather, verdict, on_failure, role, name, place)
    left join linked l on l.child = g.place
  ), arguments as (
    insert into pgqueue.job_args (id, day, args, meta, gates) select g.id, _day, g.args, g.meta, g.gates from given g where not g.barrier
  ), queued as (
    insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, expires_at, max_attempts, timeout, queue, task, key, gated, linked)
    select g.id, case when g.blocked then 'infinity' else g.due end, at, _day, coalesce(g.priority, 0), g.expires_at, g.max_attempts, g.timeout,
           g.queue, g.task, g.key, g.gates is not null, true
    from given g where not g.barrier
  ), nodes as (
    insert into pgqueue.flow_nodes (id, rank, flow_id, place, pending, breached, missed, hits, is_job, gather, verdict, asks_failure, blocked, due,
                                    on_failure, role, name, queue, task)
    select g.id, coalesce(add_nodes.rank, g.id), add_nodes.flow_id, g.place - 1 + _shift, g.pending, g.breached, g.missed, g.hits, not g.barrier, g.gather, g.verdict,
           g.asks_failure, g.blocked, case when not g.barrier then g.due end, g.on_failure, g.role, g.name,
           case when not g.barrier then g.queue end, g.task
    from given g
  )
  select array_agg(distinct g.queue order by g.queue) filter (where not g.blocked and g.due < at + interval '10 s'),
         array_agg(g.id) filter (where g.blocked and (g.pending = 0 or g.breached > 0 or g.missed > 0))
  into _queues, _ready from given g;
  perform pgqueue.line_up(_ids, at) where exists (select from jsonb_array_elements(_jobs) j where j ? 'fair_key');
  perform pgqueue.wake(q) from unnest(_queues) q;
  if _ready is not null then
    perform pgqueue.advance_nodes('{}', _ready, at);
  end if;
  return _ids;
end $$;
