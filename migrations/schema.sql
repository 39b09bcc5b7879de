CREATE SCHEMA pgqueue;
COMMENT ON SCHEMA pgqueue IS 'made by pgqueue';
CREATE FUNCTION pgqueue.add_nodes(flow_id bigint, entries jsonb, rank bigint, at timestamp with time zone) RETURNS bigint[]
    LANGUAGE plpgsql
    SET enable_nestloop TO 'off'
    SET enable_hashjoin TO 'on'
    AS $$
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
CREATE FUNCTION pgqueue.add_to_flow(job_id bigint, token bigint, jobs jsonb) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_nestloop TO 'off'
    SET enable_hashjoin TO 'on'
    SET enable_mergejoin TO 'off'
    AS $$
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
CREATE FUNCTION pgqueue.adopt_parents(ids bigint[], at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_nestloop TO 'on'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
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
CREATE FUNCTION pgqueue.advance_nodes(ended bigint[], ready bigint[], at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_nestloop TO 'off'
    SET enable_hashjoin TO 'on'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  _ended bigint[] := ended;
  _ids bigint[];
  _ranks bigint[];
  _gathers boolean[];
  _mays boolean[];
  _pending integer[];
  _breached integer[];
  _missed integer[];
  _hits integer[];
  _upto integer;
  _reached boolean := false;
  _got bigint[];
  _left bigint[];
  _go bigint[];
  _over bigint[];
begin
  select array_agg(n.id order by n.rank, n.id), array_agg(n.rank order by n.rank, n.id), array_agg(n.gather order by n.rank, n.id),
         array_agg(not n.is_job or n.asks_failure or n.breached > 0 or n.missed > 0 order by n.rank, n.id),
         array_agg(0), array_agg(0), array_agg(0), array_agg(0)
  into _ids, _ranks, _gathers, _mays, _pending, _breached, _missed, _hits
  from pgqueue.flow_nodes n where n.id = any (ready);
  loop
    if cardinality(_ended) > 0 then
      with told as (
        select c.id, c.rank, c.gather, not c.is_job or c.asks_failure as may, 1 as pending, pgqueue.breaches(l.condition, p.outcome) as breached,
               pgqueue.misses(l.condition, p.outcome) as missed, pgqueue.hits(l.condition, p.outcome, c.verdict) as hits
        from pgqueue.flow_nodes p
        join pgqueue.flow_links l on l.parent_id = p.id and l.parent_id = any (_ended)
        cross join lateral (select n.id, n.rank, n.gather, n.is_job, n.asks_failure, n.verdict from pgqueue.flow_nodes n
                            where n.id = l.child_id and n.blocked offset 0) c
        where p.id = any (_ended)
        union all
        select t.* from unnest(_ids, _ranks, _gathers, _mays, _pending, _breached, _missed, _hits) as t
      ), sums as (
        select t.id, t.rank, t.gather,
               case when bool_or(t.may or t.breached > 0 or t.missed > 0) then exists (select from pgqueue.flow_links x where x.parent_id = t.id) else false end as may,
               sum(t.pending)::integer as pending,
               sum(t.breached)::integer as breached, sum(t.missed)::integer as missed, sum(t.hits)::integer as hits
        from told t group by t.id, t.rank, t.gather order by t.rank, t.id
      )
      select array_agg(s.id), array_agg(s.rank), array_agg(s.gather), array_agg(s.may), array_agg(s.pending), array_agg(s.breached),
             array_agg(s.missed), array_agg(s.hits)
      into _ids, _ranks, _gathers, _mays, _pending, _breached, _missed, _hits
      from sums s;
    end if;
    exit when coalesce(cardinality(_ids), 0) = 0;
    _upto := coalesce(array_position(_mays, true), cardinality(_ids));
    if cardinality(_ids) > 200 and _upto < cardinality(_ids) and not _reached then
      perform pgqueue.lock_reach(_ids, _mays, _breached, _missed, _hits);
      _reached := true;
    end if;
    if _reached then
      _upto := cardinality(_ids);
    end if;
    perform from pgqueue.flow_nodes n where n.id = any (_ids[1 : _upto]) and not n.gather order by n.rank, n.id for no key update;
    _left := '{}';
    if true = any (_gathers[1 : _upto]) then
      _got := array(select n.id from pgqueue.flow_nodes n
                    where n.id = any (array(select g.id from unnest(_ids[1 : _upto], _gathers[1 : _upto]) as g (id, gather) where g.gather)) and n.gather
                    order by n.rank, n.id for no key update skip locked);
      _left := array(select g.id from unnest(_ids[1 : _upto], _gathers[1 : _upto]) as g (id, gather) where g.gather and g.id <> all (_got));
      insert into pgqueue.flow_deltas (child_id, pending, breached, missed, hits)
      select t.id, t.pending, t.breached, t.missed, t.hits
      from unnest(_ids[1 : _upto], _pending[1 : _upto], _breached[1 : _upto], _missed[1 : _upto], _hits[1 : _upto]) as t (id, pending, breached, missed, hits)
      where t.id = any (_left) and t.pending <> 0;
    end if;
    with folded as (
      delete from pgqueue.flow_deltas d where true = any (_gathers[1 : _upto]) and d.child_id = any (_got)
      returning d.child_id as id, d.pending, d.breached, d.missed, d.hits
    ), sums as (
      select t.id, sum(t.pending)::integer as pending, sum(t.breached)::integer as breached, sum(t.missed)::integer as missed, sum(t.hits)::integer as hits
      from (select f.id, f.pending, f.breached, f.missed, f.hits from folded f
            union all
            select u.* from unnest(_ids[1 : _upto], _pending[1 : _upto], _breached[1 : _upto], _missed[1 : _upto], _hits[1 : _upto]) as u) t
      group by t.id
    ), judged as (
      select n.id, n.pending - s.pending as pending, n.breached + s.breached as breached, n.missed + s.missed as missed, n.hits + s.hits as hits,
             pgqueue.judge(n.pending - s.pending, n.breached + s.breached, n.missed + s.missed, n.hits + s.hits, n.asks_failure, n.verdict,
                           n.on_failure, n.patient) as outcome
      from sums s join pgqueue.flow_nodes n on n.id = s.id
      where n.id = any (_ids[1 : _upto]) and n.blocked and n.id <> all (_left)
    ), counted as (
      update pgqueue.flow_nodes n
      set pending = j.pending, breached = j.breached, missed = j.missed, hits = j.hits, blocked = j.outcome is null,
          outcome = case when not n.is_job or j.outcome <> 'succeeded' then j.outcome end,
          ended_at = case when not n.is_job or j.outcome <> 'succeeded' then at end
      from judged j where n.id = any (_ids[1 : _upto]) and n.id = j.id
      returning n.id, n.rank, n.is_job, n.blocked, n.outcome
    )
    select array_agg(c.id order by c.id) filter (where not c.blocked and c.outcome is null), array_agg(c.id) filter (where c.outcome is not null),
           array_agg(c.id order by c.id) filter (where c.is_job and c.outcome is not null)
    into _go, _ended, _over
    from counted c;
    if _go is not null then
      perform pgqueue.let_go(_go, at);
    end if;
    if _over is not null then
      perform pgqueue.end_blocked(_over, at);
    end if;
    _ids := _ids[_upto + 1 :];
    _ranks := _ranks[_upto + 1 :];
    _gathers := _gathers[_upto + 1 :];
    _mays := _mays[_upto + 1 :];
    _pending := _pending[_upto + 1 :];
    _breached := _breached[_upto + 1 :];
    _missed := _missed[_upto + 1 :];
    _hits := _hits[_upto + 1 :];
  end loop;
end $$;
CREATE FUNCTION pgqueue.attempt_evidence(attempt integer, worker_id bigint, started_at timestamp with time zone, finished_at timestamp with time zone, outcome text, error jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_build_object('attempt', attempt, 'worker_id', worker_id, 'started_at', started_at, 'finished_at', finished_at, 'outcome', outcome, 'error', error);
CREATE FUNCTION pgqueue.backlog(queue text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  _most constant integer := 50000;
  _looked_up constant integer := 5000;
  _pairs_most constant integer := 2000;
  _sure constant integer := 10000;
  _small_pages constant integer := 1200;
  _dead_most constant integer := 200000;
  _at constant timestamptz := clock_timestamp();
  _queue constant text := backlog.queue;
  _table constant regclass := to_regclass(format('%I.%I', pgqueue.schema_name(), 'queued_jobs'));
  _is_small constant boolean := pg_relation_size(_table) / current_setting('block_size')::integer <= _small_pages;
  _by_index constant boolean := not _is_small and pg_stat_get_dead_tuples(_table) < _dead_most;
  _estimate bigint;
  _limit integer;
  _met bigint;      -- jobs due or running that were seen
  _counting bigint; -- of these, a busy group once
  _is_all boolean;
begin
  if not _is_small and not _by_index then
    select coalesce(sum(d.ready + d.running), 0) into _estimate from pgqueue.depths() d where _queue is null or d.queue = _queue;
    if _estimate > _sure then
      return _estimate;
    end if;
  end if;
  foreach _limit in array array[_looked_up, _most] loop
    with recursive lines (queue, priority, n) as (
      select f.queue, f.priority, 1 from (
        (select j.queue, j.priority from pgqueue.queued_jobs j where _queue is null and not j.suspect order by j.queue, j.priority limit 1)
        union all
        (select j.queue, j.priority from pgqueue.queued_jobs j where j.queue = _queue and not j.suspect order by j.priority limit 1)) f
      where _by_index
      union all
      select n.queue, n.priority, l.n + 1 from lines l, lateral (  -- one of the two
        (select j.queue, j.priority from pgqueue.queued_jobs j
         where _queue is null and not j.suspect and (j.queue, j.priority) > (l.queue, l.priority) order by j.queue, j.priority limit 1)
        union all
        (select j.queue, j.priority from pgqueue.queued_jobs j
         where j.queue = _queue and not j.suspect and j.priority > l.priority order by j.priority limit 1)) n
      where l.n < _pairs_most
    ), met as materialized (
      (select j.id, j.queue, j.args_day, j.gated
       from lines l, lateral (select x.id, x.queue, x.args_day, x.gated from pgqueue.queued_jobs x
                              where not x.suspect and x.queue = l.queue and x.priority = l.priority and x.run_at <= _at limit _limit + 1) j
       limit _limit + 1)
      union all
      (select j.id, j.queue, j.args_day, j.gated from pgqueue.queued_jobs j
       where _by_index and j.suspect and (_queue is null or j.queue = _queue) and (j.worker_id is not null or j.run_at <= _at)
       limit _limit + 1)
      union all
      (select j.id, j.queue, j.args_day, j.gated from pgqueue.queued_jobs j tablesample system (100)
       where not _by_index and (_queue is null or j.queue = _queue) and (j.worker_id is not null or j.run_at <= _at))
    ), grouped as (
      select coalesce('g' || m.queue || chr(31) || (select a.gates ->> 'group' from pgqueue.job_args a where a.id = m.id and a.day = m.args_day), m.id::text) as key
      from (select x.id, x.queue, x.args_day from met x where x.gated limit _looked_up) m
    )
    select c.jobs, c.jobs - c.gated + coalesce(round(c.gated * g.counting), 0)::bigint,
           not _by_index or c.jobs <= _limit and (select count(*) from lines l) < _pairs_most
      into strict _met, _counting, _is_all
    from (select count(*) as jobs, count(*) filter (where m.gated) as gated from met m) c,
         (select count(distinct x.key)::double precision / nullif(count(*), 0) as counting from grouped x) g;
    if _is_all then
      return _counting;
    end if;
    _estimate := coalesce(_estimate, (select coalesce(sum(d.ready + d.running), 0) from pgqueue.depths() d where _queue is null or d.queue = _queue));
    exit when _estimate > 4 * _most;  -- however wrong it is, there are more than would be counted
  end loop;
  return greatest(_counting, round(_estimate * (_counting::double precision / greatest(_met, 1))));
end $$;
CREATE FUNCTION pgqueue.batch_ends(ids bigint[], blocked boolean) RETURNS bigint[]
    LANGUAGE sql STABLE
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
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
CREATE FUNCTION pgqueue.beat(worker_id bigint, running integer, listener_pid integer DEFAULT NULL::integer) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
  update pgqueue.worker_processes w
  set heartbeat_at = clock_timestamp(), running = beat.running, listener_pid = beat.listener_pid,
      listener_at = case when beat.listener_pid is null then null when w.listener_pid is distinct from beat.listener_pid
                         then (select a.backend_start from pg_catalog.pg_stat_activity a where a.pid = beat.listener_pid)
                         else w.listener_at end
  where w.id = beat.worker_id and w.lost_at is null;
  if not found then
    return null;
  end if;
  return coalesce((select array_agg(c.job_id) from pgqueue.cancel_requests c
                   join pgqueue.queued_jobs j on j.id = c.job_id where j.worker_id = beat.worker_id), '{}');
end $$;
CREATE FUNCTION pgqueue.breaches(condition text, outcome text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((((condition = 'succeeded'::text) AND (outcome = ANY (ARRAY['cancelled'::text, 'dead'::text]))) OR ((condition = 'not_failed'::text) AND (outcome = ANY (ARRAY['cancelled'::text, 'dead'::text])))))::integer;
CREATE FUNCTION pgqueue.bucket_bounds() RETURNS double precision[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY[(0.005)::double precision, (0.01)::double precision, (0.025)::double precision, (0.05)::double precision, (0.1)::double precision, (0.25)::double precision, (0.5)::double precision, (1)::double precision, (2.5)::double precision, (5)::double precision, (10)::double precision, (30)::double precision, (60)::double precision, (300)::double precision, (1800)::double precision];
CREATE FUNCTION pgqueue.bucket_of(seconds double precision) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (16 - width_bucket((- seconds), ARRAY[('-1800'::integer)::double precision, ('-300'::integer)::double precision, ('-60'::integer)::double precision, ('-30'::integer)::double precision, ('-10'::integer)::double precision, ('-5'::integer)::double precision, ('-2.5'::numeric)::double precision, ('-1'::integer)::double precision, ('-0.5'::numeric)::double precision, ('-0.25'::numeric)::double precision, ('-0.1'::numeric)::double precision, ('-0.05'::numeric)::double precision, ('-0.025'::numeric)::double precision, ('-0.01'::numeric)::double precision, ('-0.005'::numeric)::double precision]));
CREATE FUNCTION pgqueue.call_waiting(name text, key text, free bigint, at timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _called bigint := 0;
  _wait record;
begin
  for _wait in
    select w.priority, w.job_id from pgqueue.lane_waits w
    where w.kind = 'limit' and w.name = call_waiting.name and w.key = call_waiting.key
    order by w.priority, w.job_id limit greatest(free, 0)
  loop
    delete from pgqueue.lane_waits w
    where w.kind = 'limit' and w.name = call_waiting.name and w.key = call_waiting.key and w.priority = _wait.priority and w.job_id = _wait.job_id;
    continue when not found;  -- it was replaced meanwhile: it is not in this line any more, or as somebody who is due later
    update pgqueue.queued_jobs j set run_at = least(j.run_at, at) where j.id = _wait.job_id and j.worker_id is null;
    _called := _called + 1;
    perform pgqueue.wake(q.queue) from pgqueue.queued_jobs q where q.id = _wait.job_id;
  end loop;
  return _called;
end $$;
CREATE FUNCTION pgqueue.cancel(id bigint) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _state text;
begin
  if pgqueue.try_waiting(cancel.id) then
    return pgqueue.cancel_waiting(cancel.id, _at);
  end if;
  _state := pgqueue.stored_state(cancel.id);
  if _state is null then
    perform pgqueue.unknown_job(cancel.id);
  elsif _state in ('scheduled', 'ready', 'blocked', 'running') then
    if not exists (select from pgqueue.cancel_requests c where c.job_id = cancel.id) then
      insert into pgqueue.cancel_requests (job_id, requested_at) values (cancel.id, _at) on conflict do nothing;
    end if;
    perform pg_notify(pgqueue.wake_channel(null), '') where pg_notification_queue_usage() < 0.5;  -- as in wake
  end if;
  return _state;
end $$;
CREATE FUNCTION pgqueue.cancel_dead(id bigint, at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
begin
  perform from pgqueue.dead_jobs d where d.id = cancel_dead.id for update skip locked;
  if not found then
    return;
  end if;
  perform pgqueue.ensure_day(at);
  with gone as (
    delete from pgqueue.dead_jobs d where d.id = cancel_dead.id
    returning d.id, d.run_at, d.created_at, d.started_at, d.worker_id, d.args_day, d.attempt, d.priority, d.failures, d.losses, d.max_attempts,
              d.suspect, d.queue, d.task, d.key, d.timeout, d.error, d.attempts
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select g.id, at, e.started_at, e.finished_at, e.worker_id, e.attempt, e.outcome, e.error
    from gone g, jsonb_to_recordset(g.attempts) as e (started_at timestamptz, finished_at timestamptz, worker_id bigint, attempt integer,
                                                      outcome text, error jsonb)
    where e.attempt < g.attempt
  )
  insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, started_at, worker_id, args_day, attempt, priority, failures, losses,
                                     max_attempts, succeeded, suspect, queue, task, key, timeout, error)
  select g.id, at, g.run_at, g.created_at, g.started_at, g.worker_id, g.args_day, g.attempt, g.priority, g.failures, g.losses, g.max_attempts,
         false, g.suspect, g.queue, g.task, g.key, g.timeout, g.error
  from gone g;
  update pgqueue.flow_nodes n set outcome = 'cancelled' where n.id = cancel_dead.id and n.outcome = 'dead';  -- a failure to others as before
end $$;
CREATE FUNCTION pgqueue.cancel_flow(flow_id bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _reason constant text := 'its flow was cancelled';
  _ids bigint[];
  _waiting bigint[];
  _blocked bigint[];
  _asked bigint[];
  _id bigint;
begin
  update pgqueue.job_flows f set cancelled_at = coalesce(f.cancelled_at, _at) where f.id = cancel_flow.flow_id;
  if not found then
    perform pgqueue.unknown_flow(flow_id);
  end if;
  perform pgqueue.ensure_day(_at);
  perform from pgqueue.flow_nodes n where n.flow_id = cancel_flow.flow_id and n.outcome is null order by n.rank, n.id for no key update;
  _ids := array(select n.id from pgqueue.flow_nodes n
                where n.flow_id = cancel_flow.flow_id and n.outcome is null and n.is_job and n.role <> 'undo');
  _waiting := array(select j.id from pgqueue.queued_jobs j where j.id = any (_ids) and j.worker_id is null order by j.id for update skip locked);
  _asked := array(select j.id from pgqueue.queued_jobs j where j.id = any (_ids) except select unnest(_waiting) order by 1);
  _blocked := array(select n.id from pgqueue.flow_nodes n where n.id = any (_waiting) and n.blocked);
  update pgqueue.flow_nodes n set outcome = 'cancelled', ended_at = _at, blocked = false where n.id = any (_waiting);
  perform pgqueue.end_blocked(_blocked, _at, _reason);
  perform pgqueue.advance_nodes(_waiting, '{}', _at);
  update pgqueue.queued_jobs j set linked = false where j.id = any (_waiting);  -- those that are left; their children have been told
  foreach _id in array array(select j.id from pgqueue.queued_jobs j where j.id = any (_waiting) order by j.id) loop
    perform pgqueue.cancel_waiting(_id, _at, _reason);
  end loop;
  insert into pgqueue.cancel_requests (job_id, requested_at) select a, _at from unnest(_asked) a on conflict do nothing;
  perform pg_notify(pgqueue.wake_channel(null), '') where _asked <> '{}' and pg_notification_queue_usage() < 0.5;  -- as in wake
  perform pgqueue.wake('');
  return cardinality(_waiting) + cardinality(_asked);
end $$;
CREATE FUNCTION pgqueue.cancel_waiting(id bigint, at timestamp with time zone, reason text DEFAULT 'cancelled on request'::text) RETURNS text
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
declare
  _state text;
  _gated boolean;
  _linked boolean;
begin
  perform pgqueue.ensure_day(at);
  with gone as (
    delete from pgqueue.queued_jobs j where j.id = cancel_waiting.id and j.worker_id is null
    returning j.id, j.run_at, j.created_at, j.args_day, j.attempt, j.priority, j.failures, j.losses, j.max_attempts, j.suspect, j.queue, j.task,
              j.key, j.timeout, j.gated, j.linked
  ), finished as (
    insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, args_day, attempt, priority, failures, losses, max_attempts, succeeded,
                                       suspect, queue, task, key, timeout, error)
    select g.id, at, case when g.run_at = 'infinity' then at else g.run_at end, g.created_at, g.args_day, g.attempt, g.priority, g.failures, g.losses, g.max_attempts, false, g.suspect, g.queue,
           g.task, g.key, g.timeout, jsonb_build_object('type', 'Cancelled', 'message', reason)
    from gone g
  ), freed as (
    delete from pgqueue.job_keys k using gone g
    where k.queue = g.queue and k.key = g.key and k.job_id = g.id and (k.until is null or k.until <= at)
  ), reported as (
    delete from pgqueue.job_progress p using gone g where p.job_id = g.id
  )
  select case when g.run_at = 'infinity' then 'blocked' when g.run_at > at then 'scheduled' else 'ready' end, g.gated, g.linked
  into _state, _gated, _linked from gone g;
  if _linked then
    perform pgqueue.settle_nodes(jsonb_build_array(jsonb_build_object('id', id, 'outcome', 'cancelled',
      'error', jsonb_build_object('type', 'Cancelled', 'message', reason))), at);
  end if;
  if _gated then
    delete from pgqueue.lane_waits w where w.job_id = cancel_waiting.id;
    perform pgqueue.release(array[id], at);
  end if;
  perform pgqueue.wake('');
  return _state;
end $$;
CREATE FUNCTION pgqueue.carry_args(day date) RETURNS TABLE(carried bigint, remaining bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
  _today constant date := pgqueue.ensure_day(clock_timestamp());
  _unfinished bigint[];
  _dead bigint[];
begin
  select array_agg(j.id) into _unfinished
  from (select q.id from pgqueue.queued_jobs q where q.args_day = carry_args.day order by q.id for update skip locked) j;
  select array_agg(j.id) into _dead
  from (select d.id from pgqueue.dead_jobs d where d.args_day = carry_args.day order by d.id for update skip locked) j;
  insert into pgqueue.job_args (id, day, args, meta, gates)
  select a.id, _today, a.args, a.meta, a.gates from pgqueue.job_args a
  where a.day = carry_args.day and a.id = any (_unfinished || _dead)
  on conflict do nothing;
  update pgqueue.queued_jobs q set args_day = _today where q.id = any (_unfinished);
  update pgqueue.dead_jobs d set args_day = _today where d.id = any (_dead);
  carried := coalesce(cardinality(_unfinished), 0) + coalesce(cardinality(_dead), 0);
  remaining := (select count(*) from pgqueue.queued_jobs q where q.args_day = carry_args.day)
               + (select count(*) from pgqueue.dead_jobs d where d.args_day = carry_args.day);
  return next;
end $$;
CREATE FUNCTION pgqueue.check_new_jobs(jobs jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
declare
  _first constant timestamptz := '0001-01-02 00:00:00+00';
  _last constant timestamptz := '9999-12-30 00:00:00+00';
  _place bigint;
  _job jsonb;
  _message text;
begin
  select g.place - 1, g.job into _place, _job
  from jsonb_array_elements(jobs) with ordinality as g (job, place)
  where jsonb_typeof(g.job) <> 'object' or g.job - pgqueue.new_job_names() <> '{}' or not (
    coalesce(octet_length(g.job ->> 'task'), 0) between 1 and 500
    and coalesce(octet_length(g.job ->> 'queue'), 1) between 1 and 200
    and coalesce((g.job ->> 'priority')::integer, 0) between -100 and 100
    and coalesce((g.job ->> 'run_at')::timestamptz between _first and _last, true)
    and coalesce((g.job ->> 'expires_at')::timestamptz between _first and _last, true)
    and coalesce(jsonb_typeof(g.job -> 'args'), 'object') = 'object'
    and not g.job ?| array['group_key', 'key', 'key_policy', 'key_period', 'max_attempts', 'timeout', 'meta', 'delay',
                          'limits', 'fair_key', 'group_retry']
    and pg_column_size(g.job -> 'args') <= 65536)
  and pgqueue.new_job_error(g.job) is not null
  limit 1;
  if found then
    _message := pgqueue.new_job_error(_job);
    raise exception using errcode = split_part(_message, ' ', 1),
      message = format('jobs[%s]: %s', _place, substr(_message, strpos(_message, ' ') + 1));
  end if;
exception when data_exception then
  for _place, _job in select g.place - 1, g.job from jsonb_array_elements(jobs) with ordinality as g (job, place) loop
    begin
      _message := pgqueue.new_job_error(_job);
    exception when data_exception then
      raise exception using errcode = 'PQ004', message = format('jobs[%s]: cannot enqueue task %L: %s', _place, left(_job ->> 'task', 100), sqlerrm);
    end;
    if _message is not null then
      raise exception using errcode = split_part(_message, ' ', 1),
        message = format('jobs[%s]: %s', _place, substr(_message, strpos(_message, ' ') + 1));
    end if;
  end loop;
end $$;
CREATE FUNCTION pgqueue.claim(worker_id bigint, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[], marks_at timestamp with time zone[], marks_id bigint[], at timestamp with time zone, aging interval DEFAULT NULL::interval, series integer DEFAULT 1) RETURNS TABLE(kind text, id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint, timeout interval, priority smallint, run_at timestamp with time zone, created_at timestamp with time zone, expired boolean, key text, group_key text)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  _room integer := max_jobs;
  _look integer := max_jobs;
  _tids tid[];
  _flags boolean[];
  _gated bigint[];
  _passed bigint[];
begin
  for _round in 1 .. 4 loop
    if aging is null then
      select array_agg(c.tid), array_agg(c.gated), array_agg(c.id) filter (where c.gated) into _tids, _flags, _gated
      from (select k.tid, k.id, k.gated
            from unnest(priorities, marks_at, marks_id) as m (priority, run_at, id),
            lateral (
              select q.ctid as tid, q.id, q.gated
              from pgqueue.queued_jobs q
              where q.queue = claim.queue and q.priority = m.priority and not q.suspect and q.worker_id is null
                and (q.run_at, q.id) >= (least(m.run_at, at - interval '250 ms'), case when m.run_at <= at - interval '250 ms' then m.id else 0 end)
                and q.run_at <= at and q.task = any (tasks)
              order by q.run_at, q.id
              limit _look
              for update skip locked) k
            limit _look) c;
    else
      select array_agg(c.tid), array_agg(c.gated), array_agg(c.id) filter (where c.gated) into _tids, _flags, _gated
      from pgqueue.oldest_due(queue, tasks, _look, priorities, at, aging) c;
    end if;
    if _gated is not null then  -- plain jobs get what is theirs of the room, by the order; the gates decide about the rest
      _tids := array(select c.tid from unnest(_tids, _flags) with ordinality as c (tid, gated, place) where not c.gated and c.place <= _room);
      _room := _room - cardinality(_tids);
      _passed := pgqueue.gate(_gated, queue, tasks, at, _room);
      _room := _room - cardinality(_passed);
      delete from pgqueue.permits p where p.kind = 'fair' and p.job_id = any (_passed);
      if series > 1 and _passed <> '{}' then
        _passed := _passed || pgqueue.take_series(_passed, queue, tasks, series, at);
      end if;
    end if;
    return query
    with claimed as (
      update pgqueue.queued_jobs j
      set worker_id = claim.worker_id, token = claim.token, attempt = j.attempt + 1, started_at = at
      where j.ctid = any (_tids)
      returning j.id, j.task, j.args_day, j.attempt, j.failures, j.losses, j.max_attempts, j.timeout, j.priority, j.run_at, j.created_at, j.expires_at, j.key
    )
    select 'job', c.id, c.task, a.args::text, a.meta::text, c.attempt, c.failures, c.losses, c.max_attempts, c.timeout, c.priority, c.run_at, c.created_at,
           c.expires_at <= at, c.key, null::text
    from claimed c left join pgqueue.job_args a on a.id = c.id and a.day = c.args_day
    order by c.priority, c.run_at, c.id;
    exit when _gated is null;
    return query
    with claimed as (
      update pgqueue.queued_jobs j
      set worker_id = claim.worker_id, token = claim.token, attempt = j.attempt + 1, started_at = at, run_at = least(j.run_at, at)
      where j.id = any (_passed) and j.worker_id is null and not j.suspect and j.task = any (tasks)
      returning j.id, j.task, j.args_day, j.attempt, j.failures, j.losses, j.max_attempts, j.timeout, j.priority, j.run_at, j.created_at, j.expires_at, j.key
    )
    select 'gated', c.id, c.task, a.args::text, a.meta::text, c.attempt, c.failures, c.losses, c.max_attempts, c.timeout, c.priority, c.run_at, c.created_at,
           c.expires_at <= at, c.key, a.gates ->> 'group'
    from claimed c left join pgqueue.job_args a on a.id = c.id and a.day = c.args_day
    order by c.priority, c.id;
    exit when _room < max_jobs;  -- what it has should not wait
    if current_setting('pgq.busy', true) = at::text then
      kind := 'busy';
      return next;
      return;
    end if;
    _look := greatest(_room, 200);  -- who is held back is not met again, so it is worth while to look at many
  end loop;
  if _gated is not null and _room > 0 then
    kind := 'more';
    return next;
  end if;
end $$;
CREATE FUNCTION pgqueue.claim_alone(worker_id bigint, epoch integer, token bigint, queue text, tasks text[]) RETURNS TABLE(id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint, timeout interval, priority smallint, run_at timestamp with time zone, created_at timestamp with time zone, expired boolean, key text, group_key text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _id bigint;
  _gated boolean;
begin
  perform from pgqueue.worker_processes w
  where w.id = claim_alone.worker_id and w.epoch = claim_alone.epoch and w.lost_at is null
  for key share;
  if not found or exists (select from pgqueue.paused_queues p where p.queue = claim_alone.queue) then
    return;
  end if;
  for _round in 1 .. 8 loop
    select q.id, q.gated into _id, _gated from pgqueue.queued_jobs q
    where q.queue = claim_alone.queue and q.suspect and q.worker_id is null and q.run_at <= _at and q.task = any (tasks)
    order by q.priority, q.run_at, q.id
    limit 1
    for update skip locked;
    exit when not found or not _gated or _id = any (pgqueue.gate(array[_id], queue, tasks, _at, 1));
    _id := null;
  end loop;
  delete from pgqueue.permits p where p.kind = 'fair' and p.job_id = _id;  -- its share is taken, as in claim: else it would count against its key for ever
  return query
  with claimed as (
    update pgqueue.queued_jobs j
    set worker_id = claim_alone.worker_id, token = claim_alone.token, attempt = j.attempt + 1, started_at = _at, alone = true
    where j.id = _id and j.worker_id is null
    returning j.id, j.task, j.args_day, j.attempt, j.failures, j.losses, j.max_attempts, j.timeout, j.priority, j.run_at, j.created_at, j.expires_at, j.key
  )
  select c.id, c.task, a.args::text, a.meta::text, c.attempt, c.failures, c.losses, c.max_attempts, c.timeout, c.priority, c.run_at, c.created_at,
         c.expires_at <= _at, c.key, a.gates ->> 'group'
  from claimed c left join pgqueue.job_args a on a.id = c.id and a.day = c.args_day;
end $$;
CREATE FUNCTION pgqueue.complete(id bigint, token bigint, result jsonb DEFAULT NULL::jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  _at constant timestamptz := clock_timestamp();
begin
  perform pgqueue.guard(id, token);
  perform pgqueue.ensure_day(_at);
  perform pgqueue.settle(jsonb_build_array(jsonb_build_object('id', id, 'token', token, 'outcome', 'succeeded', 'result', result)), _at);
  perform pgqueue.wake('');
end $$;
CREATE FUNCTION pgqueue.deal(queue text, wanted integer, at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
  _key record;
  _ids bigint[];
begin
  perform pgqueue.make_lane('fair', queue, '');
  perform from pgqueue.lanes l where l.kind = 'fair' and l.name = deal.queue and l.key = '' for update skip locked;
  if not found then
    return;
  end if;
  for _key in
    with recursive keys as (
      select (select min(w.key) from pgqueue.lane_waits w where w.kind = 'fair' and w.name = deal.queue) as key
      union all
      select (select min(w.key) from pgqueue.lane_waits w where w.kind = 'fair' and w.name = deal.queue and w.key > k.key) from keys k where k.key is not null
    ), shares as (
      select k.key, coalesce(f.weight, 1) as weight from keys k left join pgqueue.fair_weights f on f.queue = deal.queue and f.key = k.key
      where k.key is not null
    )
    select d.key, d.share,
           d.share - (select count(*) from pgqueue.permits p where p.kind = 'fair' and p.name = deal.queue and p.key = d.key) as room
    from (select s.key, s.weight * greatest(1, ceil(deal.wanted::float8 / sum(s.weight) over ())) as share from shares s) d
  loop
    continue when _key.room <= 0;
    select array_agg(c.id) into _ids
    from (select j.id from pgqueue.lane_waits w join pgqueue.queued_jobs j on j.id = w.job_id
          where w.kind = 'fair' and w.name = deal.queue and w.key = _key.key and j.worker_id is null
          order by w.priority, w.job_id limit _key.room for update of j skip locked) c;
    continue when _ids is null;
    with gone as (  -- who was replaced before its row was had may stand elsewhere now
      delete from pgqueue.lane_waits w where w.kind = 'fair' and w.name = deal.queue and w.key = _key.key and w.job_id = any (_ids) returning w.job_id
    )
    select array_agg(g.job_id) into _ids from gone g;
    continue when _ids is null;
    insert into pgqueue.permits (job_id, kind, name, key, granted_at) select i, 'fair', queue, _key.key, at from unnest(_ids) i;
    update pgqueue.queued_jobs j set run_at = at - make_interval(secs => greatest(0.001 * (1 - i.place / _key.share), 0))
    from (select x.id, row_number() over (order by x.priority, x.id) as place from pgqueue.queued_jobs x where x.id = any (_ids)) i
    where j.id = any (_ids) and j.id = i.id;
  end loop;
end $$;
CREATE FUNCTION pgqueue.declare_limits(definitions jsonb) RETURNS TABLE(name text, verdict text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  _rule jsonb;
begin
  for _rule in select d from jsonb_array_elements(definitions) d order by d ->> 'name' collate "C" loop
    name := _rule ->> 'name';
    verdict := pgqueue.save_limit(name, (_rule ->> 'rate')::double precision, coalesce((_rule ->> 'per')::interval, '1 s'),
                                  (_rule ->> 'burst')::integer, (_rule ->> 'concurrency')::integer, _rule);
    if verdict <> 'unchanged' then
      return next;
    end if;
  end loop;
end $$;
CREATE FUNCTION pgqueue.declare_schedules(definitions jsonb) RETURNS TABLE(name text, verdict text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  _definition jsonb;
begin
  for _definition in select d from jsonb_array_elements(definitions) d order by d ->> 'name' collate "C" loop
    name := _definition ->> 'name';
    verdict := pgqueue.save_schedule(_definition, true);
    if verdict <> 'unchanged' then
      return next;
    end if;
  end loop;
end $$;
CREATE FUNCTION pgqueue.default_burst(rate double precision, per interval) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (GREATEST((1)::double precision, ceil(((rate / (EXTRACT(epoch FROM per))::double precision) / (10)::double precision))))::integer;
CREATE FUNCTION pgqueue.depths() RETURNS TABLE(queue text, paused boolean, scheduled bigint, blocked bigint, ready bigint, running bigint, dead bigint, oldest_due_age interval, estimated boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  _small_pages constant integer := 1200;
  _drawn_pages constant integer := 300;
  _rows constant integer := 10000;
  _dead_most constant integer := 200000;
  _at constant timestamptz := clock_timestamp();
  _table constant regclass := to_regclass(format('%I.%I', pgqueue.schema_name(), 'queued_jobs'));
  _pages constant bigint := pg_relation_size(_table) / current_setting('block_size')::integer;
  _scale constant double precision := greatest(1, _pages::double precision / _drawn_pages);
  _live constant double precision := pg_stat_get_live_tuples(_table);
  _indexed constant boolean := pg_stat_get_dead_tuples(_table) < _dead_most;
begin
  if _pages <= _small_pages then
    return query
    with unfinished as (
      select j.queue,
             count(*) filter (where j.worker_id is null and j.run_at > _at and j.run_at < 'infinity') as scheduled,
             count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
             count(*) filter (where j.worker_id is null and j.run_at <= _at) as ready,
             count(*) filter (where j.worker_id is not null) as running,
             min(j.run_at) filter (where j.worker_id is null and j.run_at <= _at) as oldest_due
      from pgqueue.queued_jobs j tablesample system (100) group by j.queue  -- never by an index, with its dead entries
    )
    select n.queue, n.paused, coalesce(u.scheduled, 0), coalesce(u.blocked, 0), coalesce(u.ready, 0), coalesce(u.running, 0), n.dead,
           _at - u.oldest_due, n.estimated
    from pgqueue.named_queues(array(select u.queue from unfinished u)) n left join unfinished u on u.queue = n.queue;
    return;
  end if;
  return query
  with recursive lines (queue, priority, run_at, is_running) as (  -- each with the job at its front
    (select j.queue, j.priority, j.run_at, j.worker_id is not null from pgqueue.queued_jobs j
     where _indexed and not j.suspect order by j.queue, j.priority, j.run_at limit 1)
    union all
    select n.queue, n.priority, n.run_at, n.is_running from lines l, lateral (
      select j.queue, j.priority, j.run_at, j.worker_id is not null as is_running from pgqueue.queued_jobs j
      where not j.suspect and (j.queue, j.priority) > (l.queue, l.priority) order by j.queue, j.priority, j.run_at limit 1) n
  ), known as materialized (
    select l.queue, l.priority, l.run_at, l.is_running from lines l limit 2000
  ), drawn as materialized (
    select j.queue, count(*) as total,
           count(*) filter (where j.worker_id is null and j.run_at > _at and j.run_at < 'infinity') as scheduled,
           count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
           count(*) filter (where j.worker_id is null and j.run_at <= _at) as ready,
           count(*) filter (where j.worker_id is not null) as running,
           min(j.run_at) filter (where j.worker_id is null and j.run_at <= _at) as oldest_due
    from pgqueue.queued_jobs j tablesample system (100 / _scale) repeatable (20261122) group by j.queue  -- the same pages: they stay cached
  ), factor as (  -- by the pages, unless the server's own count is near that: it does not depend on how many pages were drawn
    select case when _live between 0.75 * d.total * _scale and 1.25 * d.total * _scale then _live / d.total else _scale end as f
    from (select nullif(sum(x.total), 0)::double precision as total from drawn x) d
  ), guessed as materialized (
    select d.queue, d.total * x.f as total, d.scheduled * x.f as scheduled, d.blocked * x.f as blocked, d.ready * x.f as ready,
           d.running * x.f as running, d.oldest_due
    from drawn d, factor x
  ), names as materialized (
    select x.queue, coalesce(g.total, 0) as total
    from (select k.queue from known k union select g.queue from guessed g) x left join guessed g on g.queue = x.queue
  ), room as materialized (  -- how many rows may be read of a queue, and at the front of a line
    select _rows / greatest((select count(*) from names n), 1) as most, 2000 / greatest((select count(*) from known k), 20) as front
  ), counted as (
    select n.queue, c.met, c.scheduled, c.blocked, c.ready, c.running, c.oldest_due
    from names n, room r, lateral (
      select count(*) as met,
             count(*) filter (where x.worker_id is null and x.run_at > _at and x.run_at < 'infinity') as scheduled,
             count(*) filter (where x.worker_id is null and x.run_at = 'infinity') as blocked,
             count(*) filter (where x.worker_id is null and x.run_at <= _at) as ready,
             count(*) filter (where x.worker_id is not null) as running,
             min(x.run_at) filter (where x.worker_id is null and x.run_at <= _at) as oldest_due
      from (select j.worker_id, j.run_at from pgqueue.queued_jobs j where not j.suspect and j.queue = n.queue limit r.most + 1) x) c
    where _indexed and n.total <= 2 * r.most
  ), suspects as (
    select j.queue,
           count(*) filter (where j.worker_id is null and j.run_at > _at and j.run_at < 'infinity') as scheduled,
           count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
           count(*) filter (where j.worker_id is null and j.run_at <= _at) as ready,
           count(*) filter (where j.worker_id is not null) as running,
           min(j.run_at) filter (where j.worker_id is null and j.run_at <= _at) as oldest_due
    from (select x.queue, x.worker_id, x.run_at from pgqueue.queued_jobs x where _indexed and x.suspect limit 10000) j group by j.queue
  ), oldest as (
    select k.queue, min(f.run_at) as oldest_due
    from known k, lateral (
      select k.run_at where not k.is_running and k.run_at <= _at
      union all
      (select j.run_at from pgqueue.queued_jobs j
       where k.is_running and not j.suspect and j.queue = k.queue and j.priority = k.priority and j.worker_id is null and j.run_at <= _at
       order by j.run_at limit 1)) f
    group by k.queue
  ), running as (  -- running jobs are at the front, where a draw hardly ever comes
    select k.queue, sum(f.running) as running
    from known k cross join room r cross join lateral (
      select count(x.worker_id) as running
      from (select j.worker_id from pgqueue.queued_jobs j where not j.suspect and j.queue = k.queue and j.priority = k.priority
            order by j.run_at limit r.front) x) f
    where r.front >= 10  -- with more than 200 lines, what the drawn pages tell
    group by k.queue
  ), found as (
    select n.queue, coalesce(c.met <= r.most, false) as exact, least(o.oldest_due, c.oldest_due, g.oldest_due, s.oldest_due) as oldest_due,
           c, g, s, f.running
    from (select x.queue from names x union select y.queue from suspects y) n
    cross join room r
    left join counted c on c.queue = n.queue
    left join guessed g on g.queue = n.queue
    left join suspects s on s.queue = n.queue
    left join oldest o on o.queue = n.queue
    left join running f on f.queue = n.queue
  ), depth as (
    select f.queue, f.exact, f.oldest_due,
           case when f.exact then (f.c).scheduled + coalesce((f.s).scheduled, 0) else greatest((f.g).scheduled, (f.c).scheduled, 0) end::bigint as scheduled,
           case when f.exact then (f.c).blocked + coalesce((f.s).blocked, 0) else greatest((f.g).blocked, (f.c).blocked, 0) end::bigint as blocked,
           case when f.exact then (f.c).ready + coalesce((f.s).ready, 0) else greatest((f.g).ready, (f.c).ready, 0) end::bigint as ready,
           case when f.exact then (f.c).running + coalesce((f.s).running, 0) else greatest((f.g).running, f.running, 0) end::bigint as running
    from found f
  )
  select n.queue, n.paused, coalesce(d.scheduled, 0), coalesce(d.blocked, 0), coalesce(d.ready, 0), coalesce(d.running, 0), n.dead, _at - d.oldest_due,
         n.estimated or not coalesce(d.exact, _indexed)
  from pgqueue.named_queues(array(select d.queue from depth d)) n left join depth d on d.queue = n.queue;
end $$;
CREATE FUNCTION pgqueue.drop_day(partition text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '250ms'
    AS $$
#variable_conflict use_variable
declare
  _day date;
begin
  select e.day into _day from pgqueue.expired_days() e where e.partition = drop_day.partition;
  if not found or partition like 'job\_args\_%'
     and (exists (select from pgqueue.queued_jobs j where j.args_day = _day) or exists (select from pgqueue.dead_jobs d where d.args_day = _day)) then
    return false;
  end if;
  execute format('drop table %I.%I', pgqueue.schema_name(), partition);
  return true;
end $$;
CREATE FUNCTION pgqueue.drop_limit(name text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  delete from pgqueue.limit_rules r where r.name = drop_limit.name;
  if not found then
    return false;
  end if;
  perform pgqueue.release_line('limit', drop_limit.name, clock_timestamp());
  return true;
end $$;
CREATE FUNCTION pgqueue.end_blocked(ids bigint[], at timestamp with time zone, reason text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_nestloop TO 'on'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
begin
  perform pgqueue.ensure_day(at);
  perform from pgqueue.queued_jobs j where j.id = any (ids) order by j.id for update;
  with gone as (
    delete from pgqueue.queued_jobs j where j.id = any (ids)
    returning j.id, j.run_at, j.created_at, j.args_day, j.attempt, j.priority, j.failures, j.losses, j.max_attempts, j.suspect, j.queue, j.task,
              j.key, j.timeout
  ), told as materialized (
    select g.*, n.outcome, coalesce(n.due, at) as due,
           case when reason is not null or n.outcome = 'skipped' then jsonb_build_object('type', 'Cancelled', 'message', coalesce(reason, 'skipped'))
                else jsonb_build_object('type', case n.outcome when 'dead' then 'ParentFailed' else 'Cancelled' end, 'message', coalesce((
                  select format('it waited for %s, which ended as %s', case when p.is_job then format('job %s (%s)', p.id, p.task) else 'barrier ' || p.id end, p.outcome)
                  from pgqueue.flow_links l
                  cross join lateral (select x.id, x.is_job, x.task, x.outcome from pgqueue.flow_nodes x where x.id = l.parent_id offset 0) p
                  where l.child_id = g.id and pgqueue.breaches(l.condition, p.outcome) > 0 order by l.place limit 1), 'a job that it waited for failed')) end as error
    from gone g cross join lateral (select x.outcome, x.due from pgqueue.flow_nodes x where x.id = g.id offset 0) n
  ), finished as (
    insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, args_day, attempt, priority, failures, losses, max_attempts, succeeded,
                                       suspect, queue, task, key, timeout, error)
    select t.id, at, t.due, t.created_at, t.args_day, t.attempt, t.priority, t.failures, t.losses, t.max_attempts, false, t.suspect, t.queue,
           t.task, t.key, t.timeout, t.error
    from told t where t.outcome <> 'dead'
  ), evidence as (
    delete from pgqueue.job_attempts a where a.job_id = any (array(select t.id from told t where t.outcome = 'dead'))
    returning a.job_id, a.attempt, pgqueue.attempt_evidence(a.attempt, a.worker_id, a.started_at, a.finished_at, a.outcome, a.error) as attempt_row
  ), died as (
    insert into pgqueue.dead_jobs (id, died_at, run_at, created_at, args_day, attempt, priority, failures, losses, max_attempts, suspect, queue,
                                   task, key, timeout, error, attempts)
    select t.id, at, t.due, t.created_at, t.args_day, t.attempt, t.priority, t.failures, t.losses, t.max_attempts, t.suspect, t.queue, t.task,
           t.key, t.timeout, t.error,
           coalesce((select jsonb_agg(e.attempt_row order by e.attempt)
                     from (select x.attempt_row, x.attempt from evidence x where x.job_id = t.id order by x.attempt desc limit 100) e), '[]')
    from told t where t.outcome = 'dead'
  ), asked as (
    delete from pgqueue.cancel_requests c where c.job_id = any (ids)
  )
  delete from pgqueue.job_keys k using told t
  where k.queue = t.queue and k.key = t.key and k.job_id = t.id and (t.outcome = 'dead' or k.until is null or k.until <= at);
end $$;
CREATE FUNCTION pgqueue.end_listener(pid integer, started_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a
  where a.pid = end_listener.pid and a.backend_start = end_listener.started_at and a.pid <> pg_backend_pid();
exception when insufficient_privilege then
  raise log 'pgqueue: not allowed to end the listening backend % of a lost worker', end_listener.pid;
end $$;
CREATE FUNCTION pgqueue.ended(ids bigint[]) RETURNS TABLE(id bigint, state text, attempt integer, result jsonb, error jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
begin
  return query
  with gone as materialized (
    select distinct i.id from unnest(ids) as i (id)
    where not exists (select from pgqueue.queued_jobs j where j.id = i.id)
  )
  select g.id, case when f.id is not null then case when f.succeeded then 'succeeded' else 'cancelled' end when d.id is not null then 'dead' end,
         coalesce(f.attempt, d.attempt), f.result, coalesce(f.error, d.error)
  from gone g
  left join pgqueue.finished_jobs f on f.id = g.id
  left join pgqueue.dead_jobs d on d.id = g.id;
end $$;
CREATE FUNCTION pgqueue.enforce_quota() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
declare
  _now_us constant bigint := extract(epoch from clock_timestamp()) * 1000000;
  _most bigint;
  _tickets text;
  _counted text;
  _depth bigint;
begin
  select q.max_depth, format('%I.%I', pgqueue.schema_name(), 'quota_tickets_' || q.number), format('%I.%I', pgqueue.schema_name(), 'quota_counted_' || q.number)
  into _most, _tickets, _counted from pgqueue.queue_quotas q where q.queue = new.queue;
  if not found or nextval(_tickets) <= _most then
    return new;
  end if;
  if _now_us - coalesce(pg_sequence_last_value(_counted::regclass), 0) >= 5 * _most then
    perform setval(_counted, _now_us);
    select count(*) into _depth from (select from pgqueue.queued_jobs j where j.queue = new.queue limit _most) j;
    perform setval(_tickets, _depth + 1);
    if _depth < _most then
      return new;
    end if;
  end if;
  raise exception using errcode = 'PQ007',
    message = format('cannot enqueue task %L: queue %L is full, it may hold %s unfinished jobs; try again later, or raise its max_depth', left(new.task, 100), new.queue, _most);
end $$;
CREATE FUNCTION pgqueue.enqueue(task text, args jsonb DEFAULT '{}'::jsonb, queue text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, key text DEFAULT NULL::text, group_key text DEFAULT NULL::text, max_attempts integer DEFAULT NULL::integer, timeout interval DEFAULT NULL::interval, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, meta jsonb DEFAULT NULL::jsonb, key_policy text DEFAULT 'skip'::text, key_period interval DEFAULT NULL::interval, delay interval DEFAULT NULL::interval, limits jsonb DEFAULT NULL::jsonb, fair_key text DEFAULT NULL::text, group_retry text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_variable
declare
  _now constant timestamptz := clock_timestamp();
  _day constant date := (_now at time zone 'UTC')::date;
  _queue constant text := coalesce(queue, 'default');
  _id bigint;
begin
  if (num_nulls(priority, run_at, key, group_key, max_attempts, timeout, expires_at, meta, key_period, delay, limits, fair_key,
                group_retry) = 13 and key_policy = 'skip'
      and args @> '{}' and pg_column_size(args) <= 65536 and octet_length(task) between 1 and 500 and octet_length(_queue) between 1 and 200
      and current_setting('pgq.day_seen', true) = 'pgqueue' || _day) is not true then  -- a session looks for the day's partitions once
    return pgqueue.enqueue_special(task, args, queue, priority, run_at, key, group_key, max_attempts, timeout, expires_at,
                                   meta, key_policy, key_period, delay, limits, fair_key, group_retry);
  end if;
  _id := nextval('pgqueue.job_ids');
  with argument as (
    insert into pgqueue.job_args (id, day, args) values (_id, _day, args)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, queue, task) values (_id, _now, _now, _day, _queue, task);
  perform pgqueue.wake(_queue);
  return _id;
end $$;
CREATE FUNCTION pgqueue.enqueue_flow(flow jsonb) RETURNS TABLE(flow_id bigint, ids bigint[])
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION pgqueue.enqueue_many(jobs jsonb) RETURNS SETOF bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _day constant date := pgqueue.ensure_day(_now);
  _ids bigint[];
  _queues text[];
  _queue text;
  _keyed boolean;
  _gated boolean;
  _bad record;
begin
  if jobs is null or jsonb_typeof(jobs) <> 'array' then
    raise exception using errcode = 'PQ004',
      message = format('enqueue_many: jobs must be a JSON array of objects, got %s', coalesce(jsonb_typeof(jobs), 'null'));
  end if;
  perform pgqueue.check_new_jobs(jobs);
  select array_agg(nextval('pgqueue.job_ids')), coalesce(bool_or(job ? 'key'), false), coalesce(bool_or(job ?| array['group_key', 'limits', 'fair_key']), false)
  into _ids, _keyed, _gated from jsonb_array_elements(jobs) job;
  if _keyed then
    _ids := pgqueue.hold_keys(jobs, _ids, _now);
  end if;
  with given as materialized (
    select _ids[place] as id, coalesce(g.run_at, _now + g.delay, _now) as due, coalesce(g.args, '{}') as args, g.meta, g.priority,
           g.expires_at, g.max_attempts, g.timeout, coalesce(g.queue, 'default') as queue, g.task, g.key,
           case when _gated then pgqueue.job_gates(g.group_key, g.group_retry, g.limits, g.fair_key) end as gates
    from rows from (jsonb_to_recordset(jobs) as (task text, args jsonb, queue text, priority integer, run_at timestamptz, key text,
      max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, delay interval, group_key text, group_retry text, limits jsonb, fair_key text)) with ordinality
      as g (task, args, queue, priority, run_at, key, max_attempts, timeout, expires_at, meta, delay, group_key, group_retry, limits, fair_key, place)
    where _ids[place] > 0
  ), arguments as (
    insert into pgqueue.job_args (id, day, args, meta, gates) select g.id, _day, g.args, g.meta, g.gates from given g
  ), queued as (
    insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, expires_at, max_attempts, timeout, queue, task, key, gated)
    select g.id, g.due, _now, _day, coalesce(g.priority, 0), g.expires_at, g.max_attempts, g.timeout, g.queue, g.task, g.key, g.gates is not null from given g
  )
  select array_agg(distinct g.queue order by g.queue) into _queues from given g where g.due < _now + interval '10 s';
  if _gated then
    perform pgqueue.line_up(_ids, _now);
  end if;
  if _keyed then
    return query select * from pgqueue.meet_holders(jobs, _ids, _now, _day);
  else
    return query select unnest(_ids);
  end if;
  foreach _queue in array coalesce(_queues, '{}') loop
    perform pgqueue.wake(_queue);
  end loop;
end $$;
CREATE FUNCTION pgqueue.enqueue_special(task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, group_key text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, key_policy text, key_period interval, delay interval, limits jsonb, fair_key text, group_retry text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_variable
declare
  _now constant timestamptz := clock_timestamp();
  _queue constant text := coalesce(queue, 'default');
  _day constant date := pgqueue.ensure_day(_now);
  _due timestamptz;
  _id bigint;
  _holder bigint;
  _error text;
  _gates jsonb;
begin
  _error := pgqueue.new_job_error(jsonb_strip_nulls(jsonb_build_object(
    'task', task, 'args', args, 'queue', queue, 'priority', priority, 'run_at', run_at, 'key', key, 'group_key', group_key,
    'max_attempts', max_attempts, 'timeout', timeout, 'expires_at', expires_at, 'meta', meta, 'key_policy', key_policy,
    'key_period', key_period, 'delay', delay, 'limits', limits, 'fair_key', fair_key, 'group_retry', group_retry)));
  if _error is not null then
    raise exception using errcode = split_part(_error, ' ', 1), message = substr(_error, strpos(_error, ' ') + 1);
  end if;
  args := coalesce(nullif(args, 'null'), '{}');
  meta := nullif(meta, 'null');
  perform set_config('pgq.day_seen', 'pgqueue' || _day, false);
  _due := coalesce(run_at, _now + delay, _now);
  _gates := pgqueue.job_gates(group_key, group_retry, limits, fair_key);
  _id := nextval('pgqueue.job_ids');
  if key is not null then
    _holder := pgqueue.hold_key(_id, _queue, key, _now + key_period);
    if _holder is not null then
      return pgqueue.meet_holder(_holder, task, args, _queue, priority, _due, key, key_policy, max_attempts, timeout, expires_at, meta, _day,
                                 gates => _gates);
    end if;
  end if;
  with argument as (
    insert into pgqueue.job_args (id, day, args, meta, gates) values (_id, _day, args, meta, _gates)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, expires_at, max_attempts, timeout, queue, task, key, gated)
  values (_id, _due, _now, _day, coalesce(priority, 0), expires_at, max_attempts, timeout, _queue, task, key, _gates is not null);
  if _gates ?| array['group', 'fair'] then
    perform pgqueue.line_up(array[_id], _now);
  end if;
  if _due < _now + interval '10 s' then
    perform pgqueue.wake(_queue);
  end if;
  return _id;
end $$;
CREATE FUNCTION pgqueue.ensure_day(at timestamp with time zone) RETURNS date
    LANGUAGE plpgsql
    AS $$
declare
  _day constant date := (at at time zone 'UTC')::date;
begin
  if to_regclass(format('%I.%I', pgqueue.schema_name(), 'job_attempts' || to_char(_day, '_YYYYMMDD'))) is null then
    perform pgqueue.make_partitions(_day, 2);
  end if;
  return _day;
end $$;
CREATE FUNCTION pgqueue.expired_days() RETURNS TABLE(parent text, partition text, day date, pending boolean)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  with kept as (
    select ((clock_timestamp() - s.retention) at time zone 'UTC')::date as since from pgqueue.settings s
  ), days as (
    select p.relname::text as parent, c.relname::text as partition, to_date(right(c.relname, 8), 'YYYYMMDD') as day,
           coalesce(i.inhdetachpending, false) as pending
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    left join pg_catalog.pg_class p on p.oid = i.inhparent
    where n.nspname = pgqueue.schema_name() and c.relkind = 'r'
      and c.relname ~ '^(attempt_lines|finished_jobs|job_attempts|job_args)_[0-9]{8}$'
  )
  select d.parent, d.partition, d.day, d.pending
  from days d, kept k
  where d.day < k.since - case when d.partition like 'job_args%' then 1 else 0 end
  order by d.day, d.partition
$_$;
CREATE FUNCTION pgqueue.flow_entries_error(entries jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select format('jobs[%s]: ', b.place - 1) || b.error
  from (
    select e.place, case
      when jsonb_typeof(e.entry) <> 'object' then format('each entry must be an object, got %s', jsonb_typeof(e.entry))
      when jsonb_typeof(e.entry -> 'after') not in ('array', 'null') then format('after: must be an array of places or objects, got %s', left((e.entry -> 'after')::text, 200))
      when e.entry ->> 'on_failure' not in ('cancel', 'dead', 'wait') then format('on_failure: must be cancel, dead or wait, got %L', left(e.entry ->> 'on_failure', 100))
      when jsonb_typeof(e.entry -> 'name') not in ('string', 'null') then format('name: must be a string, got %s', left((e.entry -> 'name')::text, 200))
      when jsonb_typeof(e.entry -> 'role') not in ('string', 'null') or octet_length(e.entry ->> 'role') > 100 then
        format('role: must be a string of at most 100 bytes, got %s', left((e.entry -> 'role')::text, 200))
      when exists (select from unnest(array['barrier', 'gather', 'verdict']) f where jsonb_typeof(e.entry -> f) not in ('boolean', 'null')) then
        'barrier, gather and verdict: must be true or false'
      when e.entry @> '{"verdict": true}' and not e.entry @> '{"barrier": true}' then 'verdict: only a barrier has one'
      when e.entry @> '{"barrier": true}' and e.entry - pgqueue.flow_entry_names() <> '{}' then
        format('a barrier is no job: unknown name %s', (select string_agg(k, ', ') from jsonb_object_keys(e.entry - pgqueue.flow_entry_names()) k))
      when e.entry @> '{"barrier": true}' then null
      when e.entry ->> 'key_policy' in ('skip', 'replace') then 'key_policy: a job of a flow is always a new one, a key that another job holds is an error; leave it out'
      end as error
    from jsonb_array_elements(entries) with ordinality as e (entry, place)
  ) b
  where b.error is not null
  order by b.place limit 1
$$;
CREATE FUNCTION pgqueue.flow_entry_names() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY['after'::text, 'on_failure'::text, 'name'::text, 'role'::text, 'barrier'::text, 'gather'::text, 'verdict'::text];
CREATE FUNCTION pgqueue.flow_links_of(entries jsonb) RETURNS TABLE(child integer, parent integer, parent_id bigint, condition text, place integer, error text)
    LANGUAGE sql IMMUTABLE
    AS $_$
  with given as (
    select e.place::integer as child, a.place::integer as place, e.entry ->> 'role' as role,
           case jsonb_typeof(a.after) when 'object' then a.after when 'number' then jsonb_build_object('index', a.after) else '{}' end as after, a.after as told
    from jsonb_array_elements(entries) with ordinality as e (entry, place),
         jsonb_array_elements(nullif(e.entry -> 'after', 'null')) with ordinality as a (after, place)
  ), judged as (
    select g.*, case
      when (g.after ? 'index')::integer + (g.after ? 'id')::integer <> 1 or g.after - array['index', 'id', 'when'] <> '{}'
           or jsonb_typeof(coalesce(g.after -> 'index', g.after -> 'id')) <> 'number' or coalesce(g.after ->> 'index', g.after ->> 'id') !~ '^\d{1,18}$' then
        format('must be places of other entries, or {"index": place} or {"id": job} with a "when", got %s', left(g.told::text, 200))
      when coalesce(g.after ->> 'when', 'succeeded') not in ('succeeded', 'ended', 'failed', 'not_failed', 'if_succeeded') then
        format('when: must be succeeded, ended, failed, not_failed or if_succeeded, got %L', left(g.after ->> 'when', 100))
      when (g.after ->> 'index')::bigint >= jsonb_array_length(entries) then format('there is no entry %s', g.after ->> 'index')
      when (g.after ->> 'index')::bigint = g.child - 1 then 'an entry cannot wait for itself'
      end as error
    from given g
  )
  select j.child, case when j.error is null then (j.after ->> 'index')::integer + 1 end, case when j.error is null then (j.after ->> 'id')::bigint end,
         case when coalesce(j.after ->> 'when', 'succeeded') = 'succeeded' and j.role in ('undo', 'on_success') then 'if_succeeded'
              else coalesce(j.after ->> 'when', 'succeeded') end,
         j.place, format('jobs[%s]: after: ', j.child - 1) || j.error
  from judged j
$_$;
CREATE FUNCTION pgqueue.flow_order(size integer, parents integer[], children integer[]) RETURNS integer[]
    LANGUAGE plpgsql IMMUTABLE
    AS $$
#variable_conflict use_column
declare
  _parents integer[];
  _children integer[];
  _first integer[] := array_fill(null::integer, array[greatest(size, 1)]);
  _open integer[] := array_fill(0, array[greatest(size, 1)]);
  _order integer[] := '{}';
  _done integer := 0;
  _node integer;
  _path integer[] := '{}';
begin
  if not exists (select from unnest(parents, children) as l (parent, child) where l.parent > l.child) then
    return array(select i from generate_series(1, size) i);
  end if;
  select array_agg(l.parent order by l.parent, l.child), array_agg(l.child order by l.parent, l.child) into _parents, _children
  from unnest(parents, children) as l (parent, child);
  for _i in reverse cardinality(_parents) .. 1 loop
    _first[_parents[_i]] := _i;
    _open[_children[_i]] := _open[_children[_i]] + 1;
  end loop;
  _order := array(select i from generate_series(1, size) i where _open[i] = 0);
  while _done < cardinality(_order) loop
    _done := _done + 1;
    _node := _order[_done];
    for _i in coalesce(_first[_node], cardinality(_parents) + 1) .. cardinality(_parents) loop
      exit when _parents[_i] <> _node;
      _open[_children[_i]] := _open[_children[_i]] - 1;
      if _open[_children[_i]] = 0 then
        _order := _order || _children[_i];
      end if;
    end loop;
  end loop;
  if cardinality(_order) = size then
    return _order;
  end if;
  _node := (select i from generate_series(1, size) i where _open[i] > 0 limit 1);
  while _node <> all (_path) loop  -- whoever is left has a parent that is left
    _path := _path || _node;
    _node := (select l.parent from unnest(_parents, _children) as l (parent, child) where l.child = _node and _open[l.parent] > 0 limit 1);
  end loop;
  _path := _path[array_position(_path, _node) :] || _node;
  raise exception using errcode = 'PQ004', message = format('the flow has a cycle: %s', (
    select string_agg(format('jobs[%s]', p.node - 1), ' after ' order by p.place) from unnest(_path) with ordinality as p (node, place)));
end $$;
CREATE FUNCTION pgqueue.flow_parents(job_id bigint) RETURNS TABLE(id bigint, name text, task text, outcome text, result jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
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
CREATE FUNCTION pgqueue.fold_nodes() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
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
CREATE FUNCTION pgqueue.fold_statistics(lag interval DEFAULT '00:00:05'::interval) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
declare
  _began constant timestamptz := clock_timestamp();
  _end constant timestamptz := _began - lag;
  _ahead constant interval := '10 minutes';
  _attempts bigint := 0;
  _from timestamptz;
  _to timestamptz;
  _stretch double precision;
  _read bigint;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('pgqueue' || chr(31) || 'statistics', 20261122)) then
    return null;
  end if;
  if exists (select from pgqueue.statistics_state s where greatest(s.folded_to, s.sampled_minute) > _began + _ahead) then
    delete from pgqueue.statistics_minutes m where m.minute > _began;
    delete from pgqueue.depth_minutes m where m.minute > _began;
    delete from pgqueue.overall_minutes m where m.minute > _began;
    update pgqueue.statistics_state s
    set folded_to = least(s.folded_to, _end), sampled_minute = least(s.sampled_minute, date_trunc('minute', _began, 'UTC'));
  end if;
  select greatest(s.folded_to, _end - case when s.folded_to = '-infinity' then interval '10 minutes' else interval '1 day' end), s.stretch_seconds into strict _from, _stretch from pgqueue.statistics_state s;
  if _from < _end then
    perform pgqueue.summarize_history((_end at time zone 'UTC')::date);
  end if;
  while _from < _end and clock_timestamp() < _began + interval '80 ms' loop
    _to := least(_end, _from + make_interval(secs => _stretch));
    _read := pgqueue.fold_window(_from, _to);
    _attempts := _attempts + _read;
    -- By rows, not by time: on a machine that is slow for other reasons, smaller windows would only make more of them.
    _stretch := least(greatest(case when _read > 60000 then _stretch / 2 when _read < 20000 and _to < _end then _stretch * 2 else _stretch end, 0.25), 3600);
    _from := _to;
  end loop;
  update pgqueue.statistics_state s set folded_to = _from, stretch_seconds = _stretch;
  perform pgqueue.sample_depths(date_trunc('minute', _began, 'UTC'));
  return _attempts;
end $$;
CREATE FUNCTION pgqueue.fold_window(from_at timestamp with time zone, to_at timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
declare
  _attempts bigint;
begin
  with ended as (
    select f.finished_at, f.queue, f.task, case when f.succeeded then 'succeeded' else 'cancelled' end as outcome,
           date_part('epoch', f.started_at - f.run_at) as wait, date_part('epoch', f.finished_at - f.started_at) as run
    from pgqueue.finished_jobs f
    where f.finished_at > from_at and f.finished_at <= to_at and f.worker_id is not null
    union all
    select t.finished_at, j.queue, j.task, t.outcome, null,
           case when t.outcome not in ('lost', 'released') then date_part('epoch', t.finished_at - t.started_at) end
    from pgqueue.job_attempts t
    cross join lateral (select q.queue, q.task from pgqueue.queued_jobs q where q.id = t.job_id
                        union all
                        select f.queue, f.task from pgqueue.finished_jobs f where f.id = t.job_id and f.finished_at > from_at
                        limit 1) j
    where t.logged_at > from_at and t.logged_at <= to_at + interval '10 minutes' and t.finished_at > from_at and t.finished_at <= to_at
    union all
    select e.finished_at, d.queue, d.task, e.outcome,
           case when e.attempt = d.attempt then date_part('epoch', d.started_at - d.run_at) end,
           case when e.outcome not in ('lost', 'released') then date_part('epoch', e.finished_at - e.started_at) end
    from pgqueue.dead_jobs d
    cross join lateral jsonb_to_recordset(d.attempts) as e (attempt integer, started_at timestamptz, finished_at timestamptz, outcome text)
    where d.died_at > from_at and d.created_at <= to_at and e.finished_at > from_at and e.finished_at <= to_at
  ), counted as materialized (
    select date_bin('1 minute', e.finished_at, '2000-01-01 00:00:00+00') as minute, e.queue, e.task, e.outcome,
           pgqueue.bucket_of(e.wait) as wait_place, pgqueue.bucket_of(e.run) as run_place,
           count(*) as n, sum(greatest(e.wait, 0)) as wait, sum(greatest(e.run, 0)) as run
    from ended e group by 1, 2, 3, 4, 5, 6
  ), minutes as (
    select c.minute, c.queue, c.task,
           coalesce(sum(c.n) filter (where c.outcome = 'succeeded'), 0)::bigint as succeeded,
           coalesce(sum(c.n) filter (where c.outcome = 'failed'), 0)::bigint as failed,
           coalesce(sum(c.n) filter (where c.outcome = 'dead'), 0)::bigint as dead,
           coalesce(sum(c.n) filter (where c.outcome = 'cancelled'), 0)::bigint as cancelled,
           coalesce(sum(c.n) filter (where c.outcome = 'lost'), 0)::bigint as lost,
           coalesce(sum(c.n) filter (where c.outcome = 'snoozed'), 0)::bigint as snoozed,
           coalesce(sum(c.n) filter (where c.outcome = 'released'), 0)::bigint as released,
           coalesce(sum(c.wait), 0) as wait_seconds, coalesce(sum(c.run), 0) as run_seconds,
           array_replace(array[sum(c.n) filter (where c.wait_place = 1), sum(c.n) filter (where c.wait_place = 2), sum(c.n) filter (where c.wait_place = 3),
           sum(c.n) filter (where c.wait_place = 4), sum(c.n) filter (where c.wait_place = 5), sum(c.n) filter (where c.wait_place = 6), sum(c.n)
           filter (where c.wait_place = 7), sum(c.n) filter (where c.wait_place = 8), sum(c.n) filter (where c.wait_place = 9), sum(c.n) filter (where
           c.wait_place = 10), sum(c.n) filter (where c.wait_place = 11), sum(c.n) filter (where c.wait_place = 12), sum(c.n) filter (where
           c.wait_place = 13), sum(c.n) filter (where c.wait_place = 14), sum(c.n) filter (where c.wait_place = 15), sum(c.n) filter (where
           c.wait_place = 16)]::bigint[], null, 0) as wait_buckets,
           array_replace(array[sum(c.n) filter (where c.run_place = 1), sum(c.n) filter (where c.run_place = 2), sum(c.n) filter (where c.run_place = 3),
           sum(c.n) filter (where c.run_place = 4), sum(c.n) filter (where c.run_place = 5), sum(c.n) filter (where c.run_place = 6), sum(c.n) filter
           (where c.run_place = 7), sum(c.n) filter (where c.run_place = 8), sum(c.n) filter (where c.run_place = 9), sum(c.n) filter (where
           c.run_place = 10), sum(c.n) filter (where c.run_place = 11), sum(c.n) filter (where c.run_place = 12), sum(c.n) filter (where c.run_place =
           13), sum(c.n) filter (where c.run_place = 14), sum(c.n) filter (where c.run_place = 15), sum(c.n) filter (where c.run_place =
           16)]::bigint[], null, 0) as run_buckets
    from counted c group by c.minute, c.queue, c.task
  ), sums as (
    select c.queue, c.task,
           coalesce(sum(c.n) filter (where c.outcome = 'succeeded'), 0)::bigint as succeeded,
           coalesce(sum(c.n) filter (where c.outcome = 'failed'), 0)::bigint as failed,
           coalesce(sum(c.n) filter (where c.outcome = 'dead'), 0)::bigint as dead,
           coalesce(sum(c.n) filter (where c.outcome = 'cancelled'), 0)::bigint as cancelled,
           coalesce(sum(c.n) filter (where c.outcome = 'lost'), 0)::bigint as lost,
           coalesce(sum(c.n) filter (where c.outcome = 'snoozed'), 0)::bigint as snoozed,
           coalesce(sum(c.n) filter (where c.outcome = 'released'), 0)::bigint as released,
           coalesce(sum(c.wait), 0) as wait_seconds, coalesce(sum(c.run), 0) as run_seconds,
           array_replace(array[sum(c.n) filter (where c.wait_place = 1), sum(c.n) filter (where c.wait_place = 2), sum(c.n) filter (where c.wait_place = 3),
           sum(c.n) filter (where c.wait_place = 4), sum(c.n) filter (where c.wait_place = 5), sum(c.n) filter (where c.wait_place = 6), sum(c.n)
           filter (where c.wait_place = 7), sum(c.n) filter (where c.wait_place = 8), sum(c.n) filter (where c.wait_place = 9), sum(c.n) filter (where
           c.wait_place = 10), sum(c.n) filter (where c.wait_place = 11), sum(c.n) filter (where c.wait_place = 12), sum(c.n) filter (where
           c.wait_place = 13), sum(c.n) filter (where c.wait_place = 14), sum(c.n) filter (where c.wait_place = 15), sum(c.n) filter (where
           c.wait_place = 16)]::bigint[], null, 0) as wait_buckets,
           array_replace(array[sum(c.n) filter (where c.run_place = 1), sum(c.n) filter (where c.run_place = 2), sum(c.n) filter (where c.run_place = 3),
           sum(c.n) filter (where c.run_place = 4), sum(c.n) filter (where c.run_place = 5), sum(c.n) filter (where c.run_place = 6), sum(c.n) filter
           (where c.run_place = 7), sum(c.n) filter (where c.run_place = 8), sum(c.n) filter (where c.run_place = 9), sum(c.n) filter (where
           c.run_place = 10), sum(c.n) filter (where c.run_place = 11), sum(c.n) filter (where c.run_place = 12), sum(c.n) filter (where c.run_place =
           13), sum(c.n) filter (where c.run_place = 14), sum(c.n) filter (where c.run_place = 15), sum(c.n) filter (where c.run_place =
           16)]::bigint[], null, 0) as run_buckets
    from counted c group by c.queue, c.task
  ), added as (
    insert into pgqueue.statistics_minutes as m (minute, queue, task, succeeded, failed, dead, cancelled, lost, snoozed, released, wait_seconds, wait_buckets, run_seconds, run_buckets)
    select s.minute, s.queue, s.task, s.succeeded, s.failed, s.dead, s.cancelled, s.lost, s.snoozed, s.released, s.wait_seconds, s.wait_buckets, s.run_seconds, s.run_buckets
    from minutes s
    on conflict (minute, queue, task)
      do update set succeeded = m.succeeded + excluded.succeeded, failed = m.failed + excluded.failed, dead = m.dead + excluded.dead, cancelled =
      m.cancelled + excluded.cancelled, lost = m.lost + excluded.lost, snoozed = m.snoozed + excluded.snoozed, released = m.released +
      excluded.released, wait_seconds = m.wait_seconds + excluded.wait_seconds, run_seconds = m.run_seconds + excluded.run_seconds, wait_buckets =
      pgqueue.sum_buckets(m.wait_buckets, excluded.wait_buckets), run_buckets = pgqueue.sum_buckets(m.run_buckets, excluded.run_buckets)
  ), overall as (
    insert into pgqueue.overall_minutes as m (minute, succeeded, failed)
    select s.minute, sum(s.succeeded), sum(s.failed + s.dead + s.lost) from minutes s group by s.minute
    on conflict (minute) do update set succeeded = m.succeeded + excluded.succeeded, failed = m.failed + excluded.failed
  ), grown as (
    insert into pgqueue.statistics_sums as m (queue, task, succeeded, failed, dead, cancelled, lost, snoozed, released, wait_seconds, wait_buckets, run_seconds, run_buckets)
    select s.queue, s.task, s.succeeded, s.failed, s.dead, s.cancelled, s.lost, s.snoozed, s.released, s.wait_seconds, s.wait_buckets, s.run_seconds, s.run_buckets
    from sums s
    on conflict (queue, task)
      do update set succeeded = m.succeeded + excluded.succeeded, failed = m.failed + excluded.failed, dead = m.dead + excluded.dead, cancelled =
      m.cancelled + excluded.cancelled, lost = m.lost + excluded.lost, snoozed = m.snoozed + excluded.snoozed, released = m.released +
      excluded.released, wait_seconds = m.wait_seconds + excluded.wait_seconds, run_seconds = m.run_seconds + excluded.run_seconds, wait_buckets =
      pgqueue.sum_buckets(m.wait_buckets, excluded.wait_buckets), run_buckets = pgqueue.sum_buckets(m.run_buckets, excluded.run_buckets),
      counted_at = now()
  )
  select coalesce(sum(c.n), 0) into _attempts from counted c;
  return _attempts;
end $$;
CREATE FUNCTION pgqueue.gate(ids bigint[], queue text, tasks text[], at timestamp with time zone, room integer) RETURNS bigint[]
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _ids bigint[] := ids;
  _limited bigint[];
begin
  _ids := pgqueue.gate_shares(_ids, queue);
  _ids := pgqueue.gate_groups(_ids, queue, at, room);
  _limited := array(select j.id from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
                    where j.id = any (_ids) and a.gates ? 'limits');
  if _limited <> '{}' then
    _ids := array(select i from unnest(_ids) i where i <> all (_limited));
    if room > cardinality(_ids) then  -- else the others fill the room, and those with limits stay as they are until the next claim
      _ids := _ids || pgqueue.gate_limits(_limited, queue, tasks, at, room - cardinality(_ids));
    end if;
  end if;
  return _ids[1 : room];
end $$;
CREATE FUNCTION pgqueue.gate_groups(ids bigint[], queue text, at timestamp with time zone, room integer) RETURNS bigint[]
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
  _ids bigint[];
  _keys text[];
  _locked text[] := '{}';
  _ok bigint[];
  _key text;
  _free boolean;
begin
  select array_agg(j.id), array_agg(a.gates ->> 'group') into _ids, _keys
  from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
  where j.id = any (ids) and a.gates ? 'group'
    and not exists (select from pgqueue.permits p where p.job_id = j.id and p.kind = 'group');
  if _ids is null then
    return ids;
  end if;
  _ok := array(select i from unnest(ids) i where i <> all (_ids));
  perform pgqueue.make_lane('group', queue, k) from (select distinct k from unnest(_keys) k order by k) k;
  for _key in
    select l.key from pgqueue.lanes l
    where l.kind = 'group' and l.name = gate_groups.queue and l.key = any (_keys)
    order by l.key
    for update skip locked
  loop
    _locked := _locked || _key;
    _free := not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = gate_groups.queue and p.key = _key);
    continue when _free and cardinality(_ok) >= room;  -- it could start and there is no room for it: it stays where it is
    perform pgqueue.park(array(select c.id from unnest(_ids, _keys) as c (id, key) where c.key = _key), 'group', queue, _key);
    if _free then
      _ok := _ok || array_remove(array[pgqueue.hand_on(queue, _key, at, false)], null);
    end if;
  end loop;
  if exists (select from unnest(_keys) k where k <> all (_locked)) then
    perform set_config('pgq.busy', at::text, true);
  end if;
  return _ok;
end $$;
CREATE FUNCTION pgqueue.gate_limits(ids bigint[], queue text, tasks text[], at timestamp with time zone, room integer) RETURNS bigint[]
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
  _ids bigint[] := ids;
  _ok bigint[] := '{}';
  _names text[] := '{}'; _keys text[] := '{}'; _states text[] := '{}'; _held bigint[] := '{}'; _tat timestamptz[] := '{}'; _slot timestamptz[] := '{}';
  _cells interval[] := '{}'; _bursts integer[] := '{}'; _most integer[] := '{}';
  _permit_ids bigint[] := '{}'; _permit_places integer[] := '{}'; _permit_weights integer[] := '{}';
  _late_ids bigint[] := '{}'; _late_places integer[] := '{}'; _late_weights integer[] := '{}'; _late_why text[] := '{}';
  _job record;
  _lane record;
  _rule record;
  _open boolean;
  _place integer;
  _places integer[];
  _weight integer;
  _stop text;
begin
  _ids := _ids || array(  -- those in line for a rate are served first, in its order: the time they were told is only when to come back
    select l.id
    from (select distinct o.key as name, o.value ->> 'key' as key
          from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
          cross join lateral jsonb_each(a.gates -> 'limits') o join pgqueue.limit_rules r on r.name = o.key and r.rate is not null
          where j.id = any (ids)) lane,
    lateral (select j.id
             from (select w.job_id, w.priority from pgqueue.lane_waits w where w.kind = 'limit' and w.name = lane.name and w.key = lane.key
                   order by w.priority, w.job_id limit 2 * room) w
             join pgqueue.queued_jobs j on j.id = w.job_id
             where j.queue = gate_limits.queue and j.task = any (tasks) and j.worker_id is null and not j.suspect
               and j.id <> all (ids)
             order by w.priority, w.job_id limit room
             for update of j skip locked) l);
  for _job in
    select c.* from (
    select j.id, j.priority, array_agg(o.key order by o.key collate "C") as names,
           array_agg(o.value ->> 'key' order by o.key collate "C") as keys,
           array_agg((o.value ->> 'weight')::integer order by o.key collate "C") as weights,
           array_agg(exists (select from pgqueue.lane_waits w where w.job_id = j.id and w.kind = 'limit' and w.name = o.key
                               and w.key = o.value ->> 'key') order by o.key collate "C") as in_line
    from pgqueue.queued_jobs j
    join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
    cross join lateral jsonb_each(a.gates -> 'limits') o
    where j.id = any (_ids)
    group by j.id) c
    where c.id = any (ids) or true = any (c.in_line)  -- who was looked up in a line and replaced before its row was had is there no more
    order by c.priority, true = any (c.in_line) desc, c.id
  loop
    exit when cardinality(_ok) >= room;
    _stop := null;
    _places := '{}';
    for _i in 1 .. cardinality(_job.names) loop
      select p.place into _place from unnest(_names, _keys) with ordinality as p (name, key, place)
      where p.name = _job.names[_i] and p.key = _job.keys[_i];
      if not found then
        _names := _names || _job.names[_i];
        _keys := _keys || _job.keys[_i];
        _place := cardinality(_names);
        select l.held, l.tat, l.slot into _lane from pgqueue.lanes l
        where l.kind = 'limit' and l.name = _names[_place] and l.key = _keys[_place] for update skip locked;
        _open := found;
        if not found and not exists (select from pgqueue.lanes l where l.kind = 'limit' and l.name = _names[_place] and l.key = _keys[_place]) then
          perform from pgqueue.limit_rules r where r.name = _names[_place] for share skip locked;
          if found then
            perform pgqueue.make_lane('limit', _names[_place], _keys[_place]);
            select l.held, l.tat, l.slot into _lane from pgqueue.lanes l
            where l.kind = 'limit' and l.name = _names[_place] and l.key = _keys[_place] for update skip locked;
            _open := found;
          end if;
        end if;
        select r.concurrency, r.per / r.rate as cell, coalesce(r.burst, pgqueue.default_burst(r.rate, r.per)) as burst into _rule
        from pgqueue.limit_rules r where r.name = _names[_place];
        _states[_place] := case when not found then 'unknown' when _open then 'open' else 'busy' end;
        _held[_place] := case when _open then _lane.held else 0 end;  -- every array has every place: they are unnested side by side
        _tat[_place] := case when _open then _lane.tat end;
        _slot[_place] := case when _open then _lane.slot end;
        _cells[_place] := _rule.cell;
        _bursts[_place] := _rule.burst;
        _most[_place] := _rule.concurrency;
      end if;
      _places := _places || _place;
      _weight := least(_job.weights[_i], _most[_place]);
      if _states[_place] = 'open' and _held[_place] + _weight > _most[_place] then
        _states[_place] := 'full';
      elsif _states[_place] = 'open'
            and greatest(_tat[_place], at) + _cells[_place] * (least(_job.weights[_i], _bursts[_place]) - _bursts[_place]) > at then
        _states[_place] := 'dated';
      end if;
      _stop := nullif(_states[_place], 'open');
      if _stop is null and _slot[_place] > at and not _job.in_line[_i] then
        _stop := 'dated';
      end if;
      exit when _stop is not null;
    end loop;
    if _stop is null then
      _ok := _ok || _job.id;
      for _i in 1 .. cardinality(_places) loop
        if _most[_places[_i]] is not null then
          _weight := least(_job.weights[_i], _most[_places[_i]]);
          _held[_places[_i]] := _held[_places[_i]] + _weight;
          _permit_ids := _permit_ids || _job.id;
          _permit_places := _permit_places || _places[_i];
          _permit_weights := _permit_weights || _weight;
        end if;
        if _cells[_places[_i]] is not null then
          _tat[_places[_i]] := greatest(_tat[_places[_i]], at) + _cells[_places[_i]] * least(_job.weights[_i], _bursts[_places[_i]]);
        end if;
      end loop;
    else
      continue when _stop = 'busy' or _job.id <> all (ids);  -- who was only looked up in the line stays as he is
      _late_ids := _late_ids || _job.id;
      _late_places := _late_places || _place;
      _late_weights := _late_weights || _job.weights[cardinality(_places)];
      _late_why := _late_why || case when _stop = 'dated' and _job.in_line[cardinality(_places)] then 'again' else _stop end;
    end if;
  end loop;
  if 'busy' = any (_states) then
    perform set_config('pgq.busy', at::text, true);
  end if;
  delete from pgqueue.lane_waits w where w.kind = 'limit' and w.job_id = any (_ok);
  insert into pgqueue.permits (job_id, kind, name, key, weight, granted_at)
  select p.id, 'limit', _names[p.place], _keys[p.place], p.weight, at
  from unnest(_permit_ids, _permit_places, _permit_weights) as p (id, place, weight);
  insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
  select 'limit', _names[t.place], _keys[t.place], j.priority, t.id
  from unnest(_late_ids, _late_places, _late_why) as t (id, place, why) join pgqueue.queued_jobs j on j.id = t.id
  where t.why in ('full', 'dated')
  on conflict do nothing;
  with told as (
    select t.id, t.place,
           case t.why
             when 'full' then 'infinity'
             when 'again' then greatest(_tat[t.place], at) - _cells[t.place] * _bursts[t.place]
                               + _cells[t.place] * sum(t.weight) over (partition by t.place, t.why order by t.number)
             when 'dated' then greatest(_slot[t.place], greatest(_tat[t.place], at) - _cells[t.place] * _bursts[t.place])
                               + _cells[t.place] * sum(t.weight) over (partition by t.place, t.why order by t.number)
             else at + interval '1 s'
           end as run_at, t.why
    from unnest(_late_ids, _late_places, _late_weights, _late_why) with ordinality as t (id, place, weight, why, number)
  ), dated as (
    update pgqueue.queued_jobs j set run_at = t.run_at from told t where j.id = t.id
  )
  update pgqueue.lanes l
  set held = p.held, tat = p.tat,
      slot = greatest(p.slot, (select max(t.run_at) from told t where t.place = p.place and t.why = 'dated'))
  from unnest(_names, _keys, _held, _tat, _slot, _states) with ordinality as p (name, key, held, tat, slot, state, place)
  where l.kind = 'limit' and l.name = p.name and l.key = p.key and p.state not in ('busy', 'unknown');
  return _ok;
end $$;
CREATE FUNCTION pgqueue.gate_shares(ids bigint[], queue text) RETURNS bigint[]
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
  _dealt bigint[];
  _late bigint[];
begin
  if not exists (select from pgqueue.queue_policies p where p.queue = gate_shares.queue and p.fair) then
    return ids;
  end if;
  _dealt := array(select p.job_id from pgqueue.permits p where p.job_id = any (ids) and p.kind = 'fair');
  with late as (
    insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
    select 'fair', queue, a.gates ->> 'fair', j.priority, j.id
    from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
    where j.id = any (ids) and j.id <> all (_dealt) and a.gates ? 'fair'
    on conflict do nothing
    returning job_id
  )
  select array_agg(l.job_id) into _late from late l;
  update pgqueue.queued_jobs j set run_at = 'infinity' where j.id = any (_late);
  return array(select i from unnest(ids) i where i <> all (coalesce(_late, '{}')));
end $$;
CREATE FUNCTION pgqueue.grant_roles() RETURNS TABLE(role text, state text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  _kind text;
  _statement text;
begin
  foreach _kind in array array['producer', 'worker', 'viewer', 'admin'] loop
    role := pgqueue.role_name(_kind);
    state := 'present';
    if not exists (select from pg_roles r where r.rolname = role) then
      begin
        execute format('create role %I nologin', role);
        state := 'created';
      exception
        when insufficient_privilege then state := 'missing';
        when duplicate_object or unique_violation then null;  -- another database's migration was quicker
      end;
    end if;
    return next;
    continue when state = 'missing';
    for _statement in select r.statement from pgqueue.role_rights(_kind) r where not r.granted loop
      execute _statement;
    end loop;
  end loop;
end $$;
CREATE FUNCTION pgqueue.guard(id bigint, token bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
  perform from pgqueue.queued_jobs j where j.id = guard.id and j.token = guard.token for update;
  if not found then
    raise exception using errcode = 'PQ005', message = format('this attempt has lost its lease on job %s: roll back', id);
  end if;
end $$;
CREATE FUNCTION pgqueue.hand_on(queue text, group_key text, at timestamp with time zone, wait boolean) RETURNS bigint
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _id bigint;
begin
  loop
    select w.job_id into _id from pgqueue.lane_waits w
    where w.kind = 'group' and w.name = hand_on.queue and w.key = hand_on.group_key order by w.priority, w.job_id limit 1;
    if not found then
      return null;
    end if;
    if wait then
      perform from pgqueue.queued_jobs j where j.id = _id and j.worker_id is null for update;
    else
      perform from pgqueue.queued_jobs j where j.id = _id and j.worker_id is null for update skip locked;
      if not found and exists (select from pgqueue.queued_jobs j where j.id = _id) then
        return null;
      end if;
    end if;
    if found then
      delete from pgqueue.lane_waits w where w.job_id = _id and w.kind = 'group' and w.name = hand_on.queue and w.key = hand_on.group_key;
      continue when not found;
      update pgqueue.queued_jobs j set run_at = at where j.id = _id;
      insert into pgqueue.permits (job_id, kind, name, key, granted_at) values (_id, 'group', hand_on.queue, hand_on.group_key, at) on conflict do nothing;
      perform pgqueue.wake(hand_on.queue);
      return _id;
    end if;
    delete from pgqueue.lane_waits w where w.job_id = _id and w.kind = 'group' and w.name = hand_on.queue and w.key = hand_on.group_key;
  end loop;
end $$;
CREATE FUNCTION pgqueue.hand_on_idle() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _lane record;
  _called bigint := 0;
begin
  for _lane in
    with recursive lines as (
      (select w.kind, w.name, w.key from pgqueue.lane_waits w where w.kind > 'fair' order by w.kind, w.name, w.key limit 1)
      union all
      select n.kind, n.name, n.key from lines l,
      lateral (select w.kind, w.name, w.key from pgqueue.lane_waits w where (w.kind, w.name, w.key) > (l.kind, l.name, l.key)
               order by w.kind, w.name, w.key limit 1) n
    )
    select l.kind, l.name, l.key, r.concurrency from lines l left join pgqueue.limit_rules r on l.kind = 'limit' and r.name = l.name
    where l.kind = 'limit' or not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = l.name and p.key = l.key)
  loop
    perform from pgqueue.lanes l where l.kind = _lane.kind and l.name = _lane.name and l.key = _lane.key for update skip locked;
    continue when not found;
    if _lane.kind = 'group' then
      if not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = _lane.name and p.key = _lane.key) then
        _called := _called + (pgqueue.hand_on(_lane.name, _lane.key, _at, false) is not null)::integer;
      end if;
    elsif _lane.concurrency is not null then
      _called := _called + (select pgqueue.call_waiting(_lane.name, _lane.key, _lane.concurrency - l.held, _at) from pgqueue.lanes l
                            where l.kind = 'limit' and l.name = _lane.name and l.key = _lane.key);
    end if;
  end loop;
  return _called;
end $$;
CREATE FUNCTION pgqueue.history_depths() RETURNS TABLE(queue text, succeeded bigint, cancelled bigint, estimated boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  _most constant integer := 10000;
  _drawn_pages constant integer := 300;
  _pages bigint;
  _scale double precision;
begin
  if (select count(*) <= _most from (select from pgqueue.finished_jobs f limit _most + 1) x) then
    return query
    select f.queue, count(*) filter (where f.succeeded), count(*) filter (where not f.succeeded), false from pgqueue.finished_jobs f group by f.queue;
    return;
  end if;
  select sum(pg_relation_size(i.inhrelid)) / current_setting('block_size')::integer into _pages
  from pg_inherits i where i.inhparent = to_regclass(format('%I.%I', pgqueue.schema_name(), 'finished_jobs'));
  _scale := greatest(1, _pages::double precision / _drawn_pages);
  return query
  with drawn as (
    select f.queue, count(*) filter (where f.succeeded) as succeeded, count(*) filter (where not f.succeeded) as cancelled
    from pgqueue.finished_jobs f tablesample system (100 / _scale) repeatable (20261122) group by f.queue
  ), counters as (
    select s.queue, sum(s.succeeded) as succeeded, sum(s.cancelled) as cancelled from pgqueue.statistics_sums s group by s.queue
  )
  select coalesce(d.queue, c.queue), coalesce((d.succeeded * _scale)::bigint, least(c.succeeded::bigint, (_scale * 40)::bigint), 0),
         coalesce((d.cancelled * _scale)::bigint, least(c.cancelled::bigint, (_scale * 40)::bigint), 0), true
  from drawn d full join counters c on c.queue = d.queue;
end $$;
CREATE FUNCTION pgqueue.hits(condition text, outcome text, verdict boolean) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((((condition = 'failed'::text) OR verdict) AND (outcome = ANY (ARRAY['cancelled'::text, 'dead'::text]))))::integer;
CREATE FUNCTION pgqueue.hold_key(job_id bigint, queue text, key text, until timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _holder bigint;
  _until timestamptz;
begin
  loop
    insert into pgqueue.job_keys (job_id, queue, key, until)
    values (hold_key.job_id, hold_key.queue, hold_key.key, hold_key.until)
    on conflict do nothing;
    if found then
      return null;
    end if;
    select k.job_id, k.until into _holder, _until
    from pgqueue.job_keys k where k.queue = hold_key.queue and k.key = hold_key.key;
    continue when not found;
    if _until is null or _until > clock_timestamp()
       or exists (select from pgqueue.queued_jobs j where j.id = _holder) then
      return _holder;
    end if;
    delete from pgqueue.job_keys k  -- the period is over and its job is finished
    where k.queue = hold_key.queue and k.key = hold_key.key and k.job_id = _holder;
  end loop;
end $$;
CREATE FUNCTION pgqueue.hold_keys(jobs jsonb, ids bigint[], at timestamp with time zone) RETURNS bigint[]
    LANGUAGE plpgsql
    AS $$
declare
  _ids bigint[] := ids;
  _new record;
  _holder bigint;
begin
  for _new in
    select g.place, coalesce(g.job ->> 'queue', 'default') as queue, g.job ->> 'key' as key, at + (g.job ->> 'key_period')::interval as until
    from jsonb_array_elements(jobs) with ordinality as g (job, place)
    where g.job ->> 'key' is not null
    order by coalesce(g.job ->> 'queue', 'default') collate "C", (g.job ->> 'key') collate "C", g.place
  loop
    _holder := pgqueue.hold_key(_ids[_new.place], _new.queue, _new.key, _new.until);
    if _holder is not null then
      _ids[_new.place] := -_holder;
    end if;
  end loop;
  return _ids;
end $$;
CREATE TABLE pgqueue.flow_nodes (
    id bigint NOT NULL,
    rank bigint NOT NULL,
    flow_id bigint,
    place integer,
    pending integer DEFAULT 0 NOT NULL,
    breached integer DEFAULT 0 NOT NULL,
    missed integer DEFAULT 0 NOT NULL,
    hits integer DEFAULT 0 NOT NULL,
    is_job boolean DEFAULT true NOT NULL,
    gather boolean DEFAULT false NOT NULL,
    verdict boolean DEFAULT false NOT NULL,
    asks_failure boolean DEFAULT false NOT NULL,
    blocked boolean DEFAULT false NOT NULL,
    patient boolean DEFAULT false NOT NULL,
    ended_at timestamp with time zone,
    due timestamp with time zone,
    on_failure text DEFAULT 'cancel'::text NOT NULL,
    outcome text,
    role text DEFAULT 'member'::text NOT NULL,
    name text,
    queue text,
    task text,
    result jsonb,
    CONSTRAINT flow_nodes_on_failure_check CHECK ((on_failure = ANY (ARRAY['cancel'::text, 'dead'::text, 'wait'::text]))),
    CONSTRAINT flow_nodes_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'cancelled'::text, 'dead'::text, 'skipped'::text])))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='2000');
CREATE FUNCTION pgqueue.is_node(id bigint) RETURNS boolean
    LANGUAGE sql STABLE
    SET enable_seqscan TO 'off'
    RETURN (EXISTS (SELECT FROM pgqueue.flow_nodes n WHERE (n.id = is_node.id)));
CREATE FUNCTION pgqueue.is_undone(id bigint) RETURNS boolean
    LANGUAGE sql STABLE
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
  select exists (
    select from pgqueue.flow_nodes e
    join pgqueue.flow_links l on l.parent_id = e.id
    cross join lateral (select n.role, n.outcome from pgqueue.flow_nodes n where n.id = l.child_id offset 0) u
    where e.id = is_undone.id and not e.is_job and e.outcome in ('dead', 'cancelled') and u.role = 'undo' and u.outcome is distinct from 'skipped')
$$;
CREATE FUNCTION pgqueue.iso_time(moment timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_char((moment AT TIME ZONE 'UTC'::text), CASE WHEN (date_trunc('second'::text, moment, 'UTC'::text) = moment) THEN 'YYYY-MM-DD"T"HH24:MI:SS"Z"'::text ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'::text END);
CREATE FUNCTION pgqueue.job_gates(group_key text, group_retry text, limits jsonb, fair_key text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN NULLIF(jsonb_strip_nulls(jsonb_build_object('group', group_key, 'pass', CASE WHEN (group_retry = 'pass'::text) THEN true ELSE NULL::boolean END, 'fair', fair_key, 'limits', (SELECT jsonb_object_agg(o.key, CASE jsonb_typeof(o.value) WHEN 'object'::text THEN ('{"key": "", "weight": 1}'::jsonb || jsonb_strip_nulls(o.value)) ELSE jsonb_build_object('key', COALESCE((o.value #>> '{}'::text[]), ''::text), 'weight', 1) END) AS jsonb_object_agg FROM jsonb_each(CASE jsonb_typeof(job_gates.limits) WHEN 'object'::text THEN job_gates.limits WHEN 'array'::text THEN (SELECT jsonb_object_agg(n.value, '') AS jsonb_object_agg FROM jsonb_array_elements_text(job_gates.limits) n(value)) WHEN 'string'::text THEN jsonb_build_object((job_gates.limits #>> '{}'::text[]), '') ELSE NULL::jsonb END) o(key, value)))), '{}'::jsonb);
CREATE FUNCTION pgqueue.jobs_ahead(queue text, priority smallint, run_at timestamp with time zone, id bigint, at timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
declare
  _aging interval;
begin
  select p.aging into _aging from pgqueue.queue_policies p where p.queue = jobs_ahead.queue;
  return (select count(*) from (
    select from (
      select m.priority,
             case when m.priority = jobs_ahead.priority then jobs_ahead.run_at
                  when _aging is null then case when m.priority < jobs_ahead.priority then 'infinity' else '-infinity' end::timestamptz
                  else jobs_ahead.run_at + (jobs_ahead.priority - m.priority) * _aging end as run_at
      from unnest(pgqueue.priorities(queue)) as m (priority)) m,
    lateral (select from pgqueue.queued_jobs q
             where q.queue = jobs_ahead.queue and q.priority = m.priority and not q.suspect and q.worker_id is null
               and q.run_at <= jobs_ahead.at and (q.run_at, q.id) < (m.run_at, jobs_ahead.id) limit 10000) a
    limit 10000) a);
end $$;
CREATE FUNCTION pgqueue.judge(pending integer, breached integer, missed integer, hits integer, asks_failure boolean, verdict boolean, on_failure text, patient boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (missed > 0) THEN 'skipped'::text WHEN (breached > 0) THEN CASE WHEN (patient OR (on_failure = 'wait'::text)) THEN NULL::text WHEN (on_failure = 'dead'::text) THEN 'dead'::text ELSE 'cancelled'::text END WHEN (pending > 0) THEN NULL::text WHEN (asks_failure AND (hits = 0)) THEN 'skipped'::text WHEN (verdict AND (hits > 0)) THEN 'dead'::text ELSE 'succeeded'::text END;
CREATE FUNCTION pgqueue.keep_logs(logs jsonb, at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
declare
  _day constant date := (at at time zone 'UTC')::date;
begin
  if to_regclass(format('%I.%I', pgqueue.schema_name(), 'attempt_lines' || to_char(_day, '_YYYYMMDD'))) is null then
    perform pgqueue.make_partitions(_day, 2);
  end if;
  with given as materialized (
    select distinct on (g.id, g.token) g.id, g.token, g.attempt, g.worker_id, g.lines
    from jsonb_to_recordset(logs) as g (id bigint, token bigint, attempt integer, worker_id bigint, lines jsonb)
    order by g.id, g.token
  )
  insert into pgqueue.attempt_lines (job_id, logged_at, attempt, lines)
  select j.id, at, j.attempt, g.lines
  from given g join pgqueue.queued_jobs j on j.id = g.id and j.token = g.token
  union all
  select f.id, at, f.attempt, g.lines
  from given g join pgqueue.finished_jobs f on f.id = g.id and f.attempt = g.attempt and f.worker_id = g.worker_id
  where f.succeeded and f.finished_at > at - interval '1 day'
    and not exists (select from pgqueue.attempt_lines l where l.job_id = f.id and l.attempt = f.attempt);
end $$;
CREATE TABLE pgqueue.queued_jobs (
    id bigint NOT NULL,
    run_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    args_day date NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    failures smallint DEFAULT 0 NOT NULL,
    losses smallint DEFAULT 0 NOT NULL,
    suspect boolean DEFAULT false NOT NULL,
    alone boolean DEFAULT false NOT NULL,
    gated boolean DEFAULT false NOT NULL,
    linked boolean DEFAULT false NOT NULL,
    worker_id bigint,
    token bigint,
    started_at timestamp with time zone,
    expires_at timestamp with time zone,
    max_attempts smallint,
    timeout interval,
    queue text NOT NULL,
    task text NOT NULL,
    key text,
    CONSTRAINT queued_jobs_check CHECK (((worker_id IS NULL) = (token IS NULL))),
    CONSTRAINT queued_jobs_max_attempts_check CHECK ((max_attempts > 0)),
    CONSTRAINT queued_jobs_priority_check CHECK (((priority >= '-100'::integer) AND (priority <= 100))),
    CONSTRAINT queued_jobs_timeout_check CHECK ((timeout > '00:00:00'::interval))
)
WITH (fillfactor='42', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='2000', autovacuum_vacuum_cost_delay='0', autovacuum_analyze_scale_factor='0.2');
CREATE FUNCTION pgqueue.key_holds(job_id bigint, until timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN ((until IS NULL) OR (until > clock_timestamp()) OR (EXISTS (SELECT FROM pgqueue.queued_jobs j WHERE (j.id = key_holds.job_id))));
CREATE FUNCTION pgqueue.known_schedule(name text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if not exists (select from pgqueue.job_schedules s where s.name = known_schedule.name) then
    raise exception using errcode = 'PQ004', message = format('there is no schedule %L', left(known_schedule.name, 200));
  end if;
end $$;
CREATE FUNCTION pgqueue.lease_states(ids bigint[], tokens bigint[]) RETURNS TABLE(id bigint, state text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
begin
  return query
  with free as materialized (
    select j.id from pgqueue.queued_jobs j, unnest(ids, tokens) as g (id, token)
    where j.id = g.id and j.token = g.token
    for update of j skip locked
  )
  select g.id, case when exists (select from free f where f.id = g.id) then 'held' else 'open' end
  from unnest(ids, tokens) as g (id, token) join pgqueue.queued_jobs j on j.id = g.id and j.token = g.token;
end $$;
CREATE FUNCTION pgqueue.leave(worker_id bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
  _outcomes jsonb;
begin
  perform from pgqueue.worker_processes w where w.id = leave.worker_id for update;
  if not found then
    return 0;
  end if;
  select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'released'))
  into _outcomes
  from (select q.id, q.token from pgqueue.queued_jobs q where q.worker_id = leave.worker_id order by q.id for update skip locked) j;
  if _outcomes is not null then
    perform pgqueue.ensure_day(clock_timestamp());
    perform pgqueue.settle(_outcomes, clock_timestamp());
    perform pgqueue.wake(q.queue) from (select distinct unnest(w.queues) as queue from pgqueue.worker_processes w where w.id = leave.worker_id) q;
  end if;
  if exists (select from pgqueue.queued_jobs q where q.worker_id = leave.worker_id) then
    update pgqueue.worker_processes w set lost_at = clock_timestamp() where w.id = leave.worker_id;  -- a handler's transaction holds one: rescue will see
  else
    delete from pgqueue.worker_processes w where w.id = leave.worker_id;
  end if;
  return coalesce(jsonb_array_length(_outcomes), 0);
end $$;
CREATE FUNCTION pgqueue.let_go(ids bigint[], at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_nestloop TO 'on'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
declare
  _queues text[];
begin
  perform from pgqueue.queued_jobs j where j.id = any (ids) order by j.id for no key update;
  with gone as (
    update pgqueue.queued_jobs j set run_at = greatest((select n.due from pgqueue.flow_nodes n where n.id = j.id), at)
    where j.id = any (ids) and j.worker_id is null
    returning j.queue, j.run_at
  )
  select array_agg(distinct g.queue order by g.queue) into _queues from gone g where g.run_at < at + interval '10 s';
  perform pgqueue.wake(q) from unnest(_queues) q;
end $$;
CREATE FUNCTION pgqueue.limit_rule_error(name text, rate double precision, per interval, burst integer, concurrency integer) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (((octet_length(name) >= 1) AND (octet_length(name) <= 200)) IS NOT TRUE) THEN format('limit: the name must have 1 to 200 bytes, got %s'::text, COALESCE(octet_length(name), 0)) WHEN (num_nonnulls(rate, concurrency) = 0) THEN format('limit %L: give a rate or a concurrency, or both'::text, name) WHEN (NOT ((rate > (0)::double precision) AND (rate < 'Infinity'::double precision))) THEN format('limit %L: rate must be positive, got %s'::text, name, rate) WHEN ((per IS NULL) OR (per <= '00:00:00'::interval) OR (per > '366 days'::interval)) THEN format('limit %L: per must be positive and at most 366 days, got %s'::text, name, per) WHEN ((burst IS NOT NULL) AND (rate IS NULL)) THEN format('limit %L: burst belongs to a rate'::text, name) WHEN (burst < 1) THEN format('limit %L: burst must be at least 1, got %s'::text, name, burst) WHEN (rate > (('1000000'::numeric)::double precision * (EXTRACT(epoch FROM per))::double precision)) THEN format('limit %L: rate must be at most 1000000 a second, which is as good as none; got %s per %s'::text, name, rate, per) WHEN (((COALESCE(burst, 1))::double precision * (EXTRACT(epoch FROM per))::double precision) > ((rate * (3650)::double precision) * (86400)::double precision)) THEN format('limit %L: a rate of %s per %s takes more than 3650 days to grant %s; raise it'::text, name, rate, per, COALESCE(burst, 1)) WHEN (concurrency < 1) THEN format('limit %L: concurrency must be at least 1, got %s'::text, name, concurrency) ELSE NULL::text END;
CREATE FUNCTION pgqueue.limits_error(limits jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
declare
  _name text;
  _value jsonb;
begin
  if jsonb_typeof(limits) = 'string' then
    limits := jsonb_build_array(limits);
  end if;
  if jsonb_typeof(limits) = 'array' then
    if exists (select from jsonb_array_elements(limits) n where jsonb_typeof(n) <> 'string') then
      return format('must be names, or an object {name: key}, got %s', left(limits::text, 200));
    end if;
    limits := (select coalesce(jsonb_object_agg(n, ''), '{}') from jsonb_array_elements_text(limits) n);
  elsif jsonb_typeof(limits) <> 'object' then
    return format('must be names, or an object {name: key}, got %s', left(limits::text, 200));
  end if;
  for _name, _value in select * from jsonb_each(limits) loop
    if octet_length(_name) not between 1 and 200 then
      return format('a name must have 1 to 200 bytes, got %s', octet_length(_name));
    elsif jsonb_typeof(_value) = 'object' then
      if _value - array['key', 'weight'] <> '{}' then
        return format('%L: unknown name in %s; the names are key, weight', _name, left(_value::text, 200));
      elsif jsonb_typeof(_value -> 'key') not in ('string', 'null') then
        return format('%L: key must be a string, got %s', _name, left((_value -> 'key')::text, 200));
      elsif _value ? 'weight' and (jsonb_typeof(_value -> 'weight') <> 'number' or (_value ->> 'weight')::numeric not between 1 and 1000000
            or (_value ->> 'weight')::numeric % 1 <> 0) then
        return format('%L: weight must be a whole number from 1 to 1000000, got %s', _name, left((_value -> 'weight')::text, 200));
      end if;
      _value := _value -> 'key';
    elsif jsonb_typeof(_value) not in ('string', 'null') then
      return format('%L: the key must be a string, got %s', _name, left(_value::text, 200));
    end if;
    if octet_length(_value #>> '{}') > 1000 then
      return format('%L: a key may have 1000 bytes, got %s; use a hash of it', _name, octet_length(_value #>> '{}'));
    end if;
  end loop;
  return null;
end $$;
CREATE FUNCTION pgqueue.line_up(ids bigint[], at timestamp with time zone) RETURNS void
    LANGUAGE sql
    SET enable_seqscan TO 'off'
    SET enable_nestloop TO 'on'
    AS $$
  insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
  select 'group', j.queue, a.gates ->> 'group', 0, j.id
  from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
  where j.id = any (ids) and j.run_at <= at and a.gates ? 'group'
  on conflict do nothing;
  with lined as (
    insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
    select 'fair', j.queue, a.gates ->> 'fair', j.priority, j.id
    from pgqueue.queued_jobs j
    join pgqueue.queue_policies p on p.queue = j.queue and p.fair
    join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
    where j.id = any (ids) and j.run_at <= at and a.gates ? 'fair'
    on conflict do nothing
    returning job_id
  )
  update pgqueue.queued_jobs j set run_at = 'infinity' from lined l where j.id = l.job_id
$$;
CREATE FUNCTION pgqueue.lock_reach(ids bigint[], mays boolean[], breached integer[], missed integer[], hits integer[]) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_nestloop TO 'on'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  _had bigint[];
  _reach bigint[] := '{}';
begin
  loop
    _had := _reach;
    with recursive reach as (
      select n.id, t.may as ends, n.bad or t.breached + t.missed + t.hits > 0 as bad
      from unnest(ids, mays, breached, missed, hits) as t (id, may, breached, missed, hits)
      cross join lateral (
        select x.id, x.asks_failure or x.breached + x.missed + x.hits > 0
               or x.gather and exists (select from pgqueue.flow_deltas d where d.child_id = x.id and d.breached + d.missed + d.hits > 0) as bad
        from pgqueue.flow_nodes x where x.id = t.id offset 0) n
      union
      select c.id, r.bad or not c.is_job or c.asks_failure, r.bad or c.bad
      from reach r
      join pgqueue.flow_links l on l.parent_id = r.id
      cross join lateral (
        select x.id, x.is_job, x.asks_failure, x.asks_failure or x.breached + x.missed + x.hits > 0
               or x.gather and exists (select from pgqueue.flow_deltas d where d.child_id = x.id and d.breached + d.missed + d.hits > 0) as bad
        from pgqueue.flow_nodes x where x.id = l.child_id and x.blocked offset 0) c
      where r.ends
    )
    select array_agg(distinct r.id order by r.id) into _reach from reach r;
    exit when not exists (select unnest(_reach) except select unnest(_had));
    perform from pgqueue.flow_nodes n where n.id = any (_reach) and not n.gather order by n.rank, n.id for no key update;
  end loop;
end $$;
CREATE FUNCTION pgqueue.make_lane(kind text, name text, key text) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
  if not exists (select from pgqueue.lanes l where l.kind = make_lane.kind and l.name = make_lane.name and l.key = make_lane.key)
     and pg_try_advisory_xact_lock(hashtextextended('pgqueue' || chr(31) || make_lane.kind || chr(31) || make_lane.name || chr(31) || make_lane.key, 20261122)) then
    insert into pgqueue.lanes (kind, name, key) values (make_lane.kind, make_lane.name, make_lane.key) on conflict do nothing;
  end if;
end $$;
CREATE FUNCTION pgqueue.make_partitions(first_day date, days integer DEFAULT 14) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  _schema constant text := pgqueue.schema_name();
  _parent text;
  _day date;
  _name text;
  _made integer := 0;
begin
  if days not between 0 and 400 or first_day not between '2000-01-01' and '9000-01-01' then
    raise exception using errcode = 'PQ004', message = format('make_partitions: days must be from 0 to 400 and begin in the years 2000 to 9000, got %s from %s', days, first_day);
  end if;
  perform pg_advisory_xact_lock(hashtextextended('pgqueue' || chr(31) || 'partitions', 20261122));
  foreach _parent in array array['attempt_lines', 'finished_jobs', 'job_args', 'job_attempts'] loop
    for _offset in 0 .. days - 1 loop
      _day := first_day + _offset;
      _name := _parent || to_char(_day, '_YYYYMMDD');
      continue when to_regclass(format('%I.%I', _schema, _name)) is not null;
      execute format('create table %I.%I (like %I.%I including defaults including constraints)',
                     _schema, _name, _schema, _parent);
      if _parent = 'job_args' then
        execute format('alter table %I.%I attach partition %I.%I for values from (%L) to (%L)',
                       _schema, _parent, _schema, _name, _day, _day + 1);
      else
        execute format('alter table %I.%I attach partition %I.%I for values from (%L) to (%L)',
                       _schema, _parent, _schema, _name, _day || ' 00:00:00+00', (_day + 1) || ' 00:00:00+00');
      end if;
      _made := _made + 1;
    end loop;
  end loop;
  return _made;
end $$;
CREATE FUNCTION pgqueue.meet_holder(holder bigint, task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, key_policy text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, day date, place text DEFAULT ''::text, gates jsonb DEFAULT NULL::jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
begin
  if key_policy = 'raise' then
    raise exception using errcode = 'PQ002',
      message = place || format('cannot enqueue task %L: key %L of queue %L is held by job %s', task, key, queue, holder),
      hint = holder::text;
  elsif key_policy = 'replace' then
    if pgqueue.replace_job(holder, task, args, coalesce(priority, 0), run_at, max_attempts, timeout, expires_at, meta, day, gates)
       and run_at < clock_timestamp() + interval '10 s' then
      perform pgqueue.wake(queue);
    end if;
  end if;
  return holder;
end $$;
CREATE FUNCTION pgqueue.meet_holders(jobs jsonb, ids bigint[], at timestamp with time zone, day date) RETURNS SETOF bigint
    LANGUAGE plpgsql
    AS $$
declare
  _ids bigint[] := ids;
  _place integer;
  _job jsonb;
begin
  for _place in select g.place from unnest(ids) with ordinality as g (id, place) where g.id < 0 order by -g.id, g.place loop
    _job := jobs -> (_place - 1);
    _ids[_place] := pgqueue.meet_holder(
        -ids[_place], _job ->> 'task', coalesce(nullif(_job -> 'args', 'null'), '{}'), coalesce(_job ->> 'queue', 'default'),
        (_job ->> 'priority')::integer, coalesce((_job ->> 'run_at')::timestamptz, at + (_job ->> 'delay')::interval, at),
        _job ->> 'key', coalesce(_job ->> 'key_policy', 'skip'), (_job ->> 'max_attempts')::integer, (_job ->> 'timeout')::interval,
        (_job ->> 'expires_at')::timestamptz, nullif(_job -> 'meta', 'null'), day, format('jobs[%s]: ', _place - 1),
        pgqueue.job_gates(_job ->> 'group_key', _job ->> 'group_retry', nullif(_job -> 'limits', 'null'), _job ->> 'fair_key'));
  end loop;
  return query select unnest(_ids);
end $$;
CREATE FUNCTION pgqueue.misses(condition text, outcome text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((((condition = 'if_succeeded'::text) AND (outcome <> 'succeeded'::text)) OR ((condition = 'succeeded'::text) AND (outcome = 'skipped'::text))))::integer;
CREATE FUNCTION pgqueue.named_queues(queues text[]) RETURNS TABLE(queue text, paused boolean, dead bigint, estimated boolean)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
  _most constant integer := 10000;
  _drawn_pages constant integer := 500;
  _pages constant bigint := pg_relation_size(to_regclass(format('%I.%I', pgqueue.schema_name(), 'dead_jobs'))) / current_setting('block_size')::integer;
begin
  return query
  with met as materialized (
    select d.queue from pgqueue.dead_jobs d limit _most + 1
  ), exactness as materialized (
    select count(*) <= _most as is_exact from met
  ), dead as (
    select m.queue, count(*) as dead from met m where (select e.is_exact from exactness e) group by m.queue
    union all
    select d.queue, (count(*) * greatest(1, _pages::double precision / _drawn_pages))::bigint
    from pgqueue.dead_jobs d tablesample system (least(100, 100.0 * _drawn_pages / greatest(_pages, 1))) repeatable (20261122)
    where not (select e.is_exact from exactness e) group by d.queue
  ), names as (
    select unnest(queues) as queue union select d.queue from dead d union select p.queue from pgqueue.paused_queues p
    union select unnest(w.queues) from pgqueue.worker_processes w where w.lost_at is null
  )
  select n.queue, p.queue is not null, coalesce(d.dead, 0), not (select e.is_exact from exactness e)
  from names n left join dead d on d.queue = n.queue left join pgqueue.paused_queues p on p.queue = n.queue;
end $$;
CREATE FUNCTION pgqueue.new_job_error(job jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
declare
  _first constant timestamptz := '0001-01-02 00:00:00+00';  -- what every driver can read, in any time zone
  _last constant timestamptz := '9999-12-30 00:00:00+00';
  _task constant text := job ->> 'task';
  _args constant jsonb := coalesce(nullif(job -> 'args', 'null'), '{}');
  _meta constant jsonb := nullif(job -> 'meta', 'null');
  _queue constant text := job ->> 'queue';
  _key constant text := job ->> 'key';
  _limit integer;
  _bad text;
begin
  if jsonb_typeof(job) <> 'object' then
    return format('PQ004 each job must be an object, got %s', jsonb_typeof(job));
  end if;
  _bad := case
    when job - pgqueue.new_job_names() <> '{}' then
      format('unknown name %s; the names are %s', (select string_agg(k, ', ') from jsonb_object_keys(job - pgqueue.new_job_names()) k), array_to_string(pgqueue.new_job_names(), ', '))
    when coalesce(_task, '') = '' then 'task: must not be empty'
    when octet_length(_task) > 500 then format('task: at most 500 bytes, got %s', octet_length(_task))
    when _queue = '' then 'queue: must not be empty; leave it out for "default"'
    when octet_length(_queue) > 200 then format('queue: at most 200 bytes, got %s', octet_length(_queue))
    when (job ->> 'priority')::integer not between -100 and 100 then
      format('priority: must be from -100 to 100 (lower runs first), got %s', job ->> 'priority')
    when _key = '' then 'key: must not be empty; leave it out for a job without a key'
    when octet_length(_key) > 1000 then format('key: at most 1000 bytes, got %s; use a hash of it', octet_length(_key))
    when octet_length(job ->> 'group_key') not between 1 and 1000 then
      format('group_key: must have 1 to 1000 bytes, got %s', octet_length(job ->> 'group_key'))
    when coalesce(job ->> 'group_retry', 'hold') not in ('hold', 'pass') then
      format('group_retry: must be hold (a retry keeps its group waiting) or pass, got %L', job ->> 'group_retry')
    when job ->> 'group_retry' is not null and job ->> 'group_key' is null then 'group_retry: given without a group_key'
    when octet_length(job ->> 'fair_key') not between 1 and 1000 then
      format('fair_key: must have 1 to 1000 bytes, got %s', octet_length(job ->> 'fair_key'))
    when coalesce(job ->> 'key_policy', 'skip') not in ('skip', 'replace', 'raise') then
      format('key_policy: must be skip, replace or raise, got %L', job ->> 'key_policy')
    when _key is null and job ->> 'key_period' is not null then 'key_period: given without a key'
    when (job ->> 'key_period')::interval not between interval '1 us' and interval '100 years' then
      format('key_period: must be positive and at most 100 years, got %s', job ->> 'key_period')
    when (job ->> 'max_attempts')::integer not between 1 and 32767 then
      format('max_attempts: must be from 1 to 32767, got %s', job ->> 'max_attempts')
    when (job ->> 'timeout')::interval not between interval '1 us' and interval '100 years' then
      format('timeout: must be positive and at most 100 years, got %s', job ->> 'timeout')
    when job ->> 'run_at' is not null and job ->> 'delay' is not null then 'give run_at or delay, not both'
    when (job ->> 'delay')::interval not between interval '-100 years' and interval '1000 years' then
      format('delay: must be from -100 to 1000 years, got %s', job ->> 'delay')
    when (job ->> 'run_at')::timestamptz not between _first and _last then
      format('run_at: must be in the years 1 to 9999, got %s', job ->> 'run_at')
    when (job ->> 'expires_at')::timestamptz not between _first and _last then
      format('expires_at: must be in the years 1 to 9999, got %s; leave it out for a job that never expires', job ->> 'expires_at')
    when jsonb_typeof(_args) <> 'object' then format('args: must be a JSON object, got %s', jsonb_typeof(_args))
    when jsonb_typeof(_meta) <> 'object' then format('meta: must be a JSON object, got %s', jsonb_typeof(_meta))
    when nullif(job -> 'limits', 'null') is not null then 'limits: ' || pgqueue.limits_error(job -> 'limits')
    end;
  -- The exact size costs a rendering, so it is only taken of what is large (jsonb is at most a little larger than its text).
  if _bad is null and (pg_column_size(_args) > 65536 or pg_column_size(_meta) > 65536) then
    select s.max_args_bytes into _limit from pgqueue.settings s;
    if octet_length(_args::text) > _limit or octet_length(_meta::text) > _limit then
      _bad := format('arguments and meta may have %s bytes each, got %s and %s; store the data elsewhere and pass a reference, or raise max_args_bytes in the settings table',
                     _limit, octet_length(_args::text), coalesce(octet_length(_meta::text), 0));
    end if;
  end if;
  return format('PQ004 cannot enqueue task %L: ', left(_task, 100)) || _bad;
end $$;
CREATE FUNCTION pgqueue.new_job_names() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY['task'::text, 'args'::text, 'queue'::text, 'priority'::text, 'run_at'::text, 'key'::text, 'group_key'::text, 'max_attempts'::text, 'timeout'::text, 'expires_at'::text, 'meta'::text, 'key_policy'::text, 'key_period'::text, 'delay'::text, 'limits'::text, 'fair_key'::text, 'group_retry'::text];
CREATE FUNCTION pgqueue.note_action(actor text, role text, action text, target text, detail jsonb DEFAULT '{}'::jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  _id bigint;
begin
  if coalesce(note_action.actor, '') = '' or coalesce(note_action.action, '') = '' then
    raise exception using errcode = 'PQ004', message = 'note_action: actor and action must have a name';
  end if;
  if jsonb_typeof(note_action.detail) is distinct from 'object' or octet_length(note_action.detail::text) > 4096 then
    raise exception using errcode = 'PQ004', message = 'note_action: detail must be an object of at most 4096 bytes';
  end if;
  insert into pgqueue.audit_log (at, actor, role, action, target, detail, db_user)
  values (clock_timestamp(), left(note_action.actor, 256), left(note_action.role, 64), left(note_action.action, 64),
          left(note_action.target, 512), note_action.detail, session_user)
  returning id into _id;
  delete from pgqueue.audit_log l where l.id in (
    select o.id from pgqueue.audit_log o where o.at < clock_timestamp() - interval '400 days' order by o.at limit 20 for update skip locked);
  return _id;
end $$;
CREATE FUNCTION pgqueue.note_failover(system_identifier bigint, timeline integer, old_system bigint, old_timeline integer, lsns pg_lsn[], times timestamp with time zone[]) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
  _begins pg_lsn := pgqueue.timeline_begin();
  _seen_lsn pg_lsn;
  _seen_at timestamptz;
  _kept_at timestamptz;
  _first boolean;
begin
  insert into pgqueue.failovers (system_identifier, timeline, old_system, old_timeline, noticed_at)
  values (note_failover.system_identifier, note_failover.timeline, note_failover.old_system, note_failover.old_timeline, clock_timestamp())
  on conflict do nothing;
  _first := found;
  select least(f.begins_lsn, _begins), f.seen_lsn, f.seen_at into _begins, _seen_lsn, _seen_at
  from pgqueue.failovers f
  where f.system_identifier = note_failover.system_identifier and f.timeline = note_failover.timeline
  for update;
  select s.lsn, s.at into _seen_lsn, _seen_at
  from (select _seen_lsn, _seen_at union all select u.lsn, u.at from unnest(lsns, times) as u (lsn, at)) s (lsn, at)
  order by s.lsn desc nulls last limit 1;
  select max(u.at) into _kept_at from unnest(lsns, times) as u (lsn, at) where u.lsn <= _begins;
  update pgqueue.failovers f
  set workers = f.workers + 1, begins_lsn = _begins, seen_lsn = _seen_lsn, seen_at = _seen_at, kept_at = greatest(f.kept_at, _kept_at)
  where f.system_identifier = note_failover.system_identifier and f.timeline = note_failover.timeline;
  if _first then
    begin
      perform setval('pgqueue.job_ids', (select s.last_value + 1000000 from pgqueue.job_ids s));
    exception when insufficient_privilege then
      raise log 'pgqueue: not allowed to move the ids on after a failover: some may be issued again';
    end;
  end if;
  return _first;
end $$;
CREATE FUNCTION pgqueue.note_incident(worker_id bigint, host text, pid integer, kind text, jobs bigint[] DEFAULT '{}'::bigint[], detail text DEFAULT ''::text, stack text DEFAULT NULL::text, ago interval DEFAULT '00:00:00'::interval) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
begin
  update pgqueue.worker_processes w
  set stuck = case when note_incident.kind <> 'ended' then note_incident.kind end,
      stuck_since = case when note_incident.kind <> 'ended' then least(w.stuck_since, clock_timestamp() - ago) end,
      lost_at = case when note_incident.kind = 'ended' then coalesce(w.lost_at, clock_timestamp()) else w.lost_at end
  where w.id = note_incident.worker_id;
  if (select count(*) from pgqueue.incident_log i where i.worker_id = note_incident.worker_id) >= 20 then
    return false;
  end if;
  insert into pgqueue.incident_log (worker_id, host, pid, kind, jobs, detail, stack)
  values (note_incident.worker_id, note_incident.host, note_incident.pid, note_incident.kind, coalesce(note_incident.jobs[1:100], '{}'),
          left(note_incident.detail, 1000), left(note_incident.stack, 16000));
  return true;
end $$;
CREATE FUNCTION pgqueue.oldest_due(queue text, tasks text[], max_jobs integer, priorities smallint[], at timestamp with time zone, aging interval) RETURNS TABLE(tid tid, id bigint, gated boolean)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
  _tids tid[];
begin
  _tids := array(
    select k.tid from unnest(priorities) as m (priority),
    lateral (select q.ctid as tid, q.run_at, q.id from pgqueue.queued_jobs q
             where q.queue = oldest_due.queue and q.priority = m.priority and not q.suspect and q.worker_id is null
               and q.run_at <= at and q.task = any (tasks)
             order by q.run_at, q.id limit 2 * max_jobs) k
    order by m.priority - extract(epoch from at - k.run_at) / extract(epoch from aging), k.run_at, k.id limit 2 * max_jobs);
  return query
  select q.ctid, q.id, q.gated from unnest(_tids) with ordinality as t (tid, place) join pgqueue.queued_jobs q on q.ctid = t.tid
  where q.worker_id is null order by t.place limit max_jobs for update of q skip locked;
end $$;
CREATE FUNCTION pgqueue.park(ids bigint[], kind text, name text, key text) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
  insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
  select park.kind, park.name, park.key, case when park.kind = 'group' then 0 else j.priority end, j.id
  from pgqueue.queued_jobs j where j.id = any (ids)
  on conflict do nothing;
  update pgqueue.queued_jobs j set run_at = 'infinity' where j.id = any (ids);
end $$;
CREATE FUNCTION pgqueue.pause(queue text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if coalesce(pause.queue, '') = '' then
    raise exception using errcode = 'PQ004', message = 'pause: the queue must have a name';
  end if;
  insert into pgqueue.paused_queues (queue, paused_at) values (pause.queue, clock_timestamp()) on conflict do nothing;
  return found;
end $$;
CREATE FUNCTION pgqueue.pause_schedule(name text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  update pgqueue.job_schedules s set paused_at = clock_timestamp(), next_at = null, retry_at = null
  where s.name = pause_schedule.name and s.paused_at is null;
  if not found then
    perform pgqueue.known_schedule(pause_schedule.name);
    return false;
  end if;
  return true;
end $$;
CREATE FUNCTION pgqueue.priorities(queue text) RETURNS smallint[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
  with recursive seen as (
    select (select min(q.priority) from pgqueue.queued_jobs q where q.queue = priorities.queue and not q.suspect) as priority
    union all
    select (select min(q.priority) from pgqueue.queued_jobs q
            where q.queue = priorities.queue and not q.suspect and q.priority > s.priority)
    from seen s where s.priority is not null
  )
  select coalesce(array_agg(s.priority order by s.priority), '{}') from seen s where s.priority is not null
$$;
CREATE FUNCTION pgqueue.recall_skipped(ids bigint[], at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
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
CREATE FUNCTION pgqueue.reconcile(worker_id bigint, ids bigint[], tokens bigint[], created timestamp with time zone[], ended_ids bigint[], ended_at timestamp with time zone[], spared bigint[] DEFAULT '{}'::bigint[], system_identifier bigint DEFAULT NULL::bigint, timeline integer DEFAULT NULL::integer) RETURNS TABLE(id bigint, finding text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
  _outcomes jsonb;
  _ids bigint[];
  _findings text[];
begin
  perform from pgqueue.worker_processes w where w.id = reconcile.worker_id for update;
  select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'released'))
  into _outcomes
  from (select q.id, q.token from pgqueue.queued_jobs q
        where q.worker_id = reconcile.worker_id and q.token <> all (spared)
          and not exists (select from unnest(ids, tokens) as h (id, token) where h.id = q.id and h.token = q.token)
        order by q.id for update skip locked) j;
  if _outcomes is not null then
    perform pgqueue.ensure_day(clock_timestamp());
    perform pgqueue.settle(_outcomes, clock_timestamp());
    perform pgqueue.wake(q.queue) from (select distinct unnest(w.queues) as queue from pgqueue.worker_processes w where w.id = reconcile.worker_id) q;
  end if;
  select array_agg(f.id order by f.id), array_agg(f.finding order by f.id) into _ids, _findings
  from (
    select (o ->> 'id')::bigint as id, 'released' as finding from jsonb_array_elements(_outcomes) o
    union all
    select h.id, case when j.id is not null then 'undone' else 'gone' end
    from unnest(ids, tokens, created) as h (id, token, created)
    left join pgqueue.queued_jobs j on j.id = h.id and (h.created is null or j.created_at = h.created)
    where case when j.id is not null then h.created is not null and j.token is distinct from h.token
               else not exists (select from pgqueue.finished_jobs f where f.id = h.id and (h.created is null or f.created_at = h.created and f.finished_at >= h.created))
                and not exists (select from pgqueue.dead_jobs d where d.id = h.id and (h.created is null or d.created_at = h.created)) end
    union all
    select e.id, case when j.id is not null then 'again' else 'gone' end
    from unnest(ended_ids, ended_at) as e (id, at)
    left join pgqueue.queued_jobs j on j.id = e.id and j.created_at <= e.at
    where e.id <> all (coalesce(array(select (o ->> 'id')::bigint from jsonb_array_elements(_outcomes) o), '{}'))
      and not exists (select from pgqueue.finished_jobs f where f.id = e.id and f.created_at <= e.at and f.finished_at >= e.at - interval '1 minute')
      and not exists (select from pgqueue.dead_jobs d where d.id = e.id and d.created_at <= e.at)
  ) f;
  if timeline is not null and _ids is not null then
    insert into pgqueue.failover_jobs (system_identifier, timeline, job_id, worker_id, finding)
    select reconcile.system_identifier, reconcile.timeline, f.id, reconcile.worker_id, f.finding from unnest(_ids, _findings) as f (id, finding)
    on conflict do nothing;
  end if;
  return query select f.id, f.finding from unnest(_ids, _findings) as f (id, finding);
end $$;
CREATE FUNCTION pgqueue.recover(worker_id bigint, token bigint) RETURNS TABLE(held boolean, epoch integer, id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint, timeout interval, priority smallint, run_at timestamp with time zone, created_at timestamp with time zone, expired boolean, key text, group_key text, queue text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
begin
  perform from pgqueue.worker_processes w where w.id = recover.worker_id and w.lost_at is null for update;
  held := found;
  if held then
    update pgqueue.worker_processes w set epoch = w.epoch + 1 where w.id = recover.worker_id returning w.epoch into epoch;
  end if;
  return next;
  if held and recover.token is not null then
    return query
    select true, recover.epoch, j.id, j.task, a.args::text, a.meta::text, j.attempt, j.failures, j.losses, j.max_attempts, j.timeout, j.priority, j.run_at,
           j.created_at, j.expires_at <= clock_timestamp(), j.key, a.gates ->> 'group', j.queue
    from pgqueue.queued_jobs j left join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
    where j.worker_id = recover.worker_id and j.token = recover.token;
  end if;
end $$;
CREATE FUNCTION pgqueue.redrive(queue text DEFAULT NULL::text, task text DEFAULT NULL::text, "limit" integer DEFAULT NULL::integer, ids bigint[] DEFAULT NULL::bigint[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _ids bigint[];
  _job record;
  _holder bigint;
begin
  if redrive."limit" < 0 then
    raise exception using errcode = 'PQ004', message = format('redrive: limit must not be negative, got %s', redrive."limit");
  end if;
  select coalesce(array_agg(c.id), '{}') into _ids
  from (select d.id from pgqueue.dead_jobs d
        where (redrive.queue is null or d.queue = redrive.queue) and (redrive.task is null or d.task = redrive.task)
          and (redrive.ids is null or d.id = any (redrive.ids))
          and not exists (select from pgqueue.job_keys k where k.queue = d.queue and k.key = d.key and pgqueue.key_holds(k.job_id, k.until))
        order by d.id
        limit redrive."limit"
        for update of d skip locked) c;
  for _job in
    select d.id, d.queue, d.key from pgqueue.dead_jobs d where d.id = any (_ids) and d.key is not null
    order by d.queue collate "C", d.key collate "C", d.id
  loop
    _holder := pgqueue.hold_key(_job.id, _job.queue, _job.key, null);
    if _holder is not null then
      _ids := array_remove(_ids, _job.id);
    end if;
  end loop;
  begin
    perform pgqueue.requeue_dead(_ids, clock_timestamp());
  exception when others then
    raise warning 'redrive: % (%); going on job by job', sqlerrm, sqlstate;
    _ids := pgqueue.requeue_dead_singly(_ids);
  end;
  for _job in
    select d.id, d.queue, d.key, k.job_id as holder
    from pgqueue.dead_jobs d join pgqueue.job_keys k on k.queue = d.queue and k.key = d.key
    where (redrive.queue is null or d.queue = redrive.queue) and (redrive.task is null or d.task = redrive.task)
      and (redrive.ids is null or d.id = any (redrive.ids)) and pgqueue.key_holds(k.job_id, k.until)
    order by d.id
    limit 1000
  loop
    raise warning 'job % stays dead: its key "%" of queue "%" is held by job %', _job.id, _job.key, _job.queue, _job.holder;
  end loop;
  return cardinality(_ids);
end $$;
CREATE FUNCTION pgqueue.register_worker(id bigint, host text, pid integer, queues text[], tasks text[], concurrency integer, lease interval, version text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  _oldest text;
  _entered boolean;
begin
  insert into pgqueue.worker_processes (id, started_at, heartbeat_at, lease, pid, concurrency, host, queues, tasks, version)
  values (register_worker.id, clock_timestamp(), clock_timestamp(), register_worker.lease, register_worker.pid, register_worker.concurrency,
          register_worker.host, register_worker.queues, register_worker.tasks, register_worker.version)
  on conflict do nothing;
  _entered := found;
  select c.oldest_client into _oldest from pgqueue.compatibility c;
  if pgqueue.version_parts(register_worker.version) < pgqueue.version_parts(_oldest) then
    raise exception using errcode = 'PQ006', message = format('workers of pgqueue %s cannot work on this schema, which needs %s or later: install that',
                                                              coalesce(register_worker.version, '0.1.0'), _oldest);
  end if;
  return _entered;
end $$;
CREATE FUNCTION pgqueue.release(ids bigint[], at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _lane record;
  _back bigint;
  _first bigint;
  _again bigint[];
begin
  for _lane in
    select l.kind, l.name, l.key, l.held from pgqueue.lanes l
    join (select distinct p.kind, p.name, p.key from pgqueue.permits p where p.job_id = any (ids)) p on l.kind = p.kind and l.name = p.name and l.key = p.key
    order by l.kind, l.name, l.key
    for update of l
  loop
    if _lane.kind = 'limit' then
      with gone as (
        delete from pgqueue.permits p where p.kind = 'limit' and p.name = _lane.name and p.key = _lane.key and p.job_id = any (ids)
        returning p.weight
      )
      select coalesce(sum(g.weight), 0) into _back from gone g;
      update pgqueue.lanes l set held = greatest(l.held - _back, 0)
      where l.kind = 'limit' and l.name = _lane.name and l.key = _lane.key returning l.held into _back;
      perform pgqueue.call_waiting(_lane.name, _lane.key, coalesce(r.concurrency - _back, 1000000), at)  -- no permits any more: all may go
      from pgqueue.limit_rules r where r.name = _lane.name and coalesce(r.concurrency > _back, true);
    elsif _lane.kind = 'group' then
      delete from pgqueue.permits p
      where p.kind = 'group' and p.name = _lane.name and p.key = _lane.key and p.job_id = any (ids)
        and not exists (select from pgqueue.queued_jobs j left join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
                        where j.id = p.job_id and not coalesce((a.gates -> 'pass')::boolean, false));
      select min(p.job_id) into _first from pgqueue.permits p where p.kind = 'group' and p.name = _lane.name and p.key = _lane.key;
      if _first is null then
        perform pgqueue.hand_on(_lane.name, _lane.key, at, true);
      else
        with back as (
          delete from pgqueue.permits p
          where p.kind = 'group' and p.name = _lane.name and p.key = _lane.key and p.job_id = any (ids) and p.job_id > _first
          returning p.job_id
        )
        select array_agg(b.job_id) into _again from back b;
        perform pgqueue.park(_again, 'group', _lane.name, _lane.key) where _again is not null;
      end if;
    end if;
  end loop;
end $$;
CREATE FUNCTION pgqueue.release_line(kind text, name text, at timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _ids bigint[];
begin
  perform from pgqueue.lanes l where l.kind = release_line.kind and l.name = release_line.name order by l.key for update;
  update pgqueue.lanes l set slot = null where l.kind = release_line.kind and l.name = release_line.name and l.slot is not null;
  _ids := array(
    select j.id from pgqueue.queued_jobs j
    where j.id in (select w.job_id from pgqueue.lane_waits w where w.kind = release_line.kind and w.name = release_line.name)
    order by j.id for update);
  update pgqueue.queued_jobs j set run_at = at where j.id = any (_ids) and j.worker_id is null and j.run_at > at;
  delete from pgqueue.lane_waits w where w.kind = release_line.kind and w.name = release_line.name and w.job_id = any (_ids);
  perform pgqueue.wake(q.queue) from (select distinct j.queue from pgqueue.queued_jobs j where j.id = any (_ids)) q;
  return cardinality(_ids);
end $$;
CREATE FUNCTION pgqueue.remove(id bigint) RETURNS text
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
declare
  _state text;
  _job record;
begin
  if exists (select from pgqueue.flow_nodes p join pgqueue.flow_links l on l.parent_id = p.id
             where p.id = remove.id and pgqueue.breaches(l.condition, p.outcome) > 0
               and (select c.blocked from pgqueue.flow_nodes c where c.id = l.child_id)) then
    raise exception using errcode = 'PQ003', message = format('job %s cannot be removed: another job waits until it is retried; cancel that one first', id);
  end if;
  loop
    _state := pgqueue.stored_state(remove.id);
    if _state is null then
      perform pgqueue.unknown_job(remove.id);
    elsif _state = 'dead' then
      delete from pgqueue.dead_jobs d where d.id = remove.id returning d.queue, d.key into _job;
      exit when found;
    elsif _state in ('succeeded', 'cancelled') then
      delete from pgqueue.finished_jobs f where f.id = remove.id returning f.queue, f.key into _job;
      exit when found;
    else
      raise exception using errcode = 'PQ003', message = format('job %s is %s: cancel it first, or wait until it ends', id, _state);
    end if;
  end loop;
  delete from pgqueue.job_args a where a.id = remove.id;
  delete from pgqueue.job_attempts t where t.job_id = remove.id;
  delete from pgqueue.attempt_lines l where l.job_id = remove.id;
  delete from pgqueue.job_steps s where s.job_id = remove.id;
  delete from pgqueue.job_keys k where k.queue = _job.queue and k.key = _job.key and k.job_id = remove.id;
  delete from pgqueue.cancel_requests c where c.job_id = remove.id;
  return _state;
end $$;
CREATE FUNCTION pgqueue.reopen_nodes(ids bigint[], at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_nestloop TO 'off'
    SET enable_hashjoin TO 'on'
    SET enable_mergejoin TO 'off'
    AS $$
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
CREATE FUNCTION pgqueue.replace_job(id bigint, task text, args jsonb, priority integer, run_at timestamp with time zone, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, day date, gates jsonb) RETURNS boolean
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _queue text;
  _in_line boolean;
  _parked boolean;
  _left text;
begin
  perform from pgqueue.flow_nodes n where n.id = replace_job.id and n.blocked for no key update;
  select j.queue, j.run_at = 'infinity' into _queue, _parked
  from pgqueue.queued_jobs j where j.id = replace_job.id and j.worker_id is null for update;
  if not found then
    return false;
  end if;
  delete from pgqueue.lane_waits w where w.job_id = replace_job.id;
  _in_line := found;
  update pgqueue.queued_jobs j
  set task = replace_job.task, priority = replace_job.priority,
      run_at = case when _parked and not _in_line then j.run_at else replace_job.run_at end,
      max_attempts = replace_job.max_attempts, timeout = replace_job.timeout, expires_at = replace_job.expires_at,
      args_day = replace_job.day, gated = replace_job.gates is not null
  where j.id = replace_job.id and j.worker_id is null;
  insert into pgqueue.job_args as a (id, day, args, meta, gates)
  values (replace_job.id, replace_job.day, replace_job.args, replace_job.meta, replace_job.gates)
  on conflict (id, day) do update set args = excluded.args, meta = excluded.meta, gates = excluded.gates;
  if _parked and not _in_line then
    update pgqueue.flow_nodes n set due = replace_job.run_at, task = replace_job.task where n.id = replace_job.id and n.blocked;
    return true;
  end if;
  delete from pgqueue.permits p where p.job_id = replace_job.id and p.kind = 'fair';
  delete from pgqueue.permits p
  where p.job_id = replace_job.id and p.kind = 'group' and (p.key is distinct from gates ->> 'group' or replace_job.run_at > _at)
  returning p.key into _left;
  if gates ?| array['group', 'fair'] then
    perform pgqueue.line_up(array[id], _at);
    delete from pgqueue.lane_waits w  -- it has its turn already
    where w.job_id = replace_job.id and w.kind = 'group'
      and exists (select from pgqueue.permits p where p.job_id = w.job_id and p.kind = 'group');
  end if;
  if _left is not null then
    perform from pgqueue.lanes l where l.kind = 'group' and l.name = _queue and l.key = _left for update skip locked;
    if found and not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = _queue and p.key = _left) then
      perform pgqueue.hand_on(_queue, _left, _at, false);
    end if;
  end if;
  return true;
end $$;
CREATE FUNCTION pgqueue.report_progress(reports jsonb) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
  return query
  with given as materialized (
    select distinct on (g.id, g.token) g.id, g.token, case when g.fraction <> 'NaN' then least(greatest(g.fraction, 0), 1) end as fraction, g.note
    from rows from (jsonb_to_recordset(reports) as (id bigint, token bigint, fraction double precision, note text))
      with ordinality as g (id, token, fraction, note, place)
    order by g.id, g.token, g.place desc
  ), stored as (
    insert into pgqueue.job_progress as p (job_id, token, updated_at, fraction, note)
    select g.id, g.token, clock_timestamp(), g.fraction, g.note
    from given g join pgqueue.queued_jobs j on j.id = g.id and j.token = g.token
    order by g.id
    on conflict (job_id) do update set token = excluded.token, updated_at = excluded.updated_at, fraction = excluded.fraction, note = excluded.note
    returning p.job_id
  )
  select g.id from given g where not exists (select from stored s where s.job_id = g.id);
end $$;
CREATE FUNCTION pgqueue.requeue_cancelled(ids bigint[], at timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _ids bigint[];
begin
  with gone as (
    delete from pgqueue.finished_jobs f where f.id = any (ids) and not f.succeeded
    returning f.id, f.finished_at, f.started_at, f.worker_id, f.created_at, f.args_day, f.attempt, f.priority, f.suspect, f.max_attempts, f.timeout,
              f.queue, f.task, f.key, f.error
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select g.id, at, g.started_at, g.finished_at, g.worker_id, g.attempt, 'cancelled', g.error from gone g where g.worker_id is not null
  ), queued as (
    insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, attempt, priority, suspect, max_attempts, timeout, queue, task, key, gated, linked)
    select g.id, at, g.created_at, g.args_day, g.attempt, g.priority, g.suspect, g.max_attempts, g.timeout, g.queue, g.task, g.key,
           exists (select from pgqueue.job_args a where a.id = g.id and a.day = g.args_day and a.gates is not null), pgqueue.is_node(g.id)
    from gone g
    returning id
  )
  select array_agg(q.id order by q.id) into _ids from queued q;
  if _ids is null then
    return 0;
  end if;
  perform pgqueue.reopen_nodes(_ids, at);
  perform pgqueue.recall_skipped(_ids, at);
  perform pgqueue.line_up(_ids, at);
  delete from pgqueue.cancel_requests c where c.job_id = any (_ids);
  perform pgqueue.wake(q.queue) from (select distinct j.queue from pgqueue.queued_jobs j where j.id = any (_ids)) q;
  return cardinality(_ids);
end $$;
CREATE FUNCTION pgqueue.requeue_dead(ids bigint[], at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
begin
  perform pgqueue.ensure_day(at);
  with gone as (
    delete from pgqueue.dead_jobs d where d.id = any (ids)
    returning d.id, d.created_at, d.args_day, d.attempt, d.priority, d.suspect, d.max_attempts, d.timeout, d.queue, d.task, d.key, d.attempts
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select g.id, at, e.started_at, e.finished_at, e.worker_id, e.attempt, e.outcome, e.error
    from gone g, jsonb_to_recordset(g.attempts) as e (started_at timestamptz, finished_at timestamptz, worker_id bigint, attempt integer,
                                                      outcome text, error jsonb)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, attempt, priority, suspect, max_attempts, timeout, queue, task, key, gated, linked)
  select g.id, at, g.created_at, g.args_day, g.attempt, g.priority, g.suspect, g.max_attempts, g.timeout, g.queue, g.task, g.key,
         exists (select from pgqueue.job_args a where a.id = g.id and a.day = g.args_day and a.gates is not null), pgqueue.is_node(g.id)
  from gone g;
  perform pgqueue.reopen_nodes(ids, at);
  perform pgqueue.recall_skipped(ids, at);
  perform pgqueue.line_up(ids, at);
  delete from pgqueue.cancel_requests c where c.job_id = any (ids);
  perform pgqueue.wake(q.queue) from (select distinct j.queue from pgqueue.queued_jobs j where j.id = any (ids)) q;
end $$;
CREATE FUNCTION pgqueue.requeue_dead_singly(ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql
    AS $$
declare
  _id bigint;
  _moved bigint[] := '{}';
begin
  foreach _id in array ids loop
    begin
      perform pgqueue.requeue_dead(array[_id], clock_timestamp());
      _moved := _moved || _id;
    exception when others then
      raise warning 'job % stays dead: % (%)', _id, sqlerrm, sqlstate;
      delete from pgqueue.job_keys k using pgqueue.dead_jobs d where d.id = _id and k.queue = d.queue and k.key = d.key and k.job_id = _id;
    end;
  end loop;
  return _moved;
end $$;
CREATE FUNCTION pgqueue.rescue(max_jobs integer DEFAULT NULL::integer) RETURNS TABLE(worker_id bigint, host text, pid integer, jobs bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
  _worker record;
  _outcomes jsonb;
  _one jsonb;
  _room integer := max_jobs;
begin
  for _worker in
    select w.id, w.host, w.pid, w.listener_pid, w.listener_at, w.lost_at, w.heartbeat_at
    from pgqueue.worker_processes w
    where not w.rescued and (w.lost_at is not null or w.heartbeat_at + w.lease < clock_timestamp())
    order by w.id
    limit 100
    for update skip locked
  loop
    update pgqueue.worker_processes w
    set lost_at = coalesce(w.lost_at, clock_timestamp()), listener_pid = null,
        stuck = case when w.lost_at is null then coalesce(w.stuck, 'silent') else w.stuck end,
        stuck_since = case when w.lost_at is null then coalesce(w.stuck_since, w.heartbeat_at) else w.stuck_since end
    where w.id = _worker.id;
    perform pgqueue.end_listener(_worker.listener_pid, _worker.listener_at);
    select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'lost', 'error', jsonb_build_object(
             'type', 'WorkerLost', 'message', format('worker %s (%s, pid %s) stopped beating %s', _worker.id, _worker.host, _worker.pid,
               case when j.alone then 'while it ran this job alone' else 'while it held this job, perhaps among others' end))))
    into _outcomes
    from (select q.id, q.token, q.alone from pgqueue.queued_jobs q where q.worker_id = _worker.id order by q.id
          limit _room for update skip locked) j;
    if _worker.lost_at is null then
      insert into pgqueue.incident_log (worker_id, host, pid, kind, jobs, detail)
      values (_worker.id, _worker.host, _worker.pid, 'silent',
              coalesce((select array_agg((o.one ->> 'id')::bigint order by o.place) from jsonb_array_elements(_outcomes) with ordinality as o (one, place)
                        where o.place <= 100), '{}'),
              format('its last heartbeat was at %s; %s jobs were handed on', pgqueue.told_time(_worker.heartbeat_at), coalesce(jsonb_array_length(_outcomes), 0)));
    end if;
    begin
      perform pgqueue.ensure_day(clock_timestamp());
      perform pgqueue.settle(_outcomes, clock_timestamp()) where _outcomes is not null;
    exception when others then
      raise warning 'rescue of worker %: % (%); going on job by job', _worker.id, sqlerrm, sqlstate;
      for _one in select o from jsonb_array_elements(_outcomes) o loop
        begin
          perform pgqueue.settle(jsonb_build_array(_one), clock_timestamp());
        exception when others then
          raise warning 'rescue of job %: % (%)', _one ->> 'id', sqlerrm, sqlstate;
        end;
      end loop;
    end;
    update pgqueue.worker_processes w set rescued = not exists (select from pgqueue.queued_jobs q where q.worker_id = _worker.id) where w.id = _worker.id;
    perform pgqueue.wake('') where _outcomes is not null;
    perform pgqueue.wake(q.queue) from (select distinct unnest(w.queues) as queue from pgqueue.worker_processes w where w.id = _worker.id) q;
    worker_id := _worker.id; host := _worker.host; pid := _worker.pid; jobs := coalesce(jsonb_array_length(_outcomes), 0);
    return next;
    _room := _room - jobs;
    exit when _room <= 0;
  end loop;
end $$;
CREATE FUNCTION pgqueue.resume(queue text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  delete from pgqueue.paused_queues p where p.queue = resume.queue;
  if found then
    perform pgqueue.wake(resume.queue);
    return true;
  end if;
  return false;
end $$;
CREATE FUNCTION pgqueue.resume_schedule(name text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  update pgqueue.job_schedules s set paused_at = null, since = clock_timestamp(), next_at = null, retry_at = null
  where s.name = resume_schedule.name and s.paused_at is not null;
  if not found then
    perform pgqueue.known_schedule(resume_schedule.name);
    return false;
  end if;
  return true;
end $$;
CREATE FUNCTION pgqueue.retry(id bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _state text;
  _job record;
  _holder bigint;
begin
  loop
    select j.queue, j.run_at into _job from pgqueue.queued_jobs j where j.id = retry.id and j.worker_id is null for update;
    if found then
      if _job.run_at = 'infinity' then
        raise exception using errcode = 'PQ003', message = format('job %s is blocked: it waits for another job or for its turn; why(id) tells', id);
      end if;
      update pgqueue.queued_jobs j set run_at = least(j.run_at, _at), failures = 0, losses = 0 where j.id = retry.id;
      delete from pgqueue.cancel_requests c where c.job_id = retry.id;
      perform pgqueue.wake(_job.queue);
      return id;
    end if;
    _state := pgqueue.stored_state(retry.id);
    if _state is null then
      perform pgqueue.unknown_job(retry.id);
    elsif _state = 'running' then
      raise exception using errcode = 'PQ003', message = format('job %s is running: cancel it first, or wait until it ends', id);
    elsif _state = 'succeeded' then
      raise exception using errcode = 'PQ003', message = format('job %s is succeeded: only dead, cancelled and scheduled jobs can be retried', id);
    elsif _state = 'dead' then
      select d.queue, d.key, d.args_day into _job from pgqueue.dead_jobs d where d.id = retry.id for update;
      exit when found;
    elsif _state = 'cancelled' then
      select f.queue, f.key, f.args_day into _job from pgqueue.finished_jobs f where f.id = retry.id and not f.succeeded for update;
      exit when found;
    end if;
  end loop;
  if not exists (select from pgqueue.job_args a where a.id = retry.id and a.day = _job.args_day) then
    raise exception using errcode = 'PQ003', message = format('job %s cannot be retried: retention has dropped its arguments; enqueue it anew', id);
  end if;
  if _job.key is not null then
    _holder := pgqueue.hold_key(retry.id, _job.queue, _job.key, null);
    if _holder <> id then
      raise exception using errcode = 'PQ002', hint = _holder::text,
        message = format('cannot retry job %s: its key %L of queue %L is held by job %s', id, _job.key, _job.queue, _holder);
    end if;
  end if;
  if _state = 'dead' then
    perform pgqueue.requeue_dead(array[retry.id], _at);
  else
    perform pgqueue.requeue_cancelled(array[retry.id], _at);
  end if;
  return id;
end $$;
CREATE FUNCTION pgqueue.retry_flow(flow_id bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
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
CREATE FUNCTION pgqueue.role_name(kind text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((CASE WHEN ((octet_length('pgqueue'::text) <= 54) AND ('pgqueue'::text <> 'pg'::text)) THEN 'pgqueue'::text ELSE ('pgq_'::text || md5('pgqueue'::text)) END || '_'::text) || kind);
CREATE FUNCTION pgqueue.role_rights(kind text) RETURNS TABLE(statement text, granted boolean)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  with us as (
    select n.oid, n.nspname, pgqueue.role_name(kind) as role,
           (select r.oid from pg_roles r where r.rolname = pgqueue.role_name(kind)) as role_oid
    from pg_namespace n where n.nspname = pgqueue.schema_name()
  ), relations as (
    select c.oid, format('%I.%I', us.nspname, c.relname) as name, c.relkind,
           case when c.relkind = 'S' then array['usage', 'SELECT']
                when c.relkind = 'v' or c.relname in ('alembic_version', 'audit_log') then array['SELECT']
                when kind = 'worker' and c.relname in ('settings', 'compatibility', 'queue_policies', 'queue_quotas', 'fair_weights', 'paused_queues') then array['SELECT']
                else array['SELECT', 'insert', 'update', 'delete'] end as rights
    from us join pg_class c on c.relnamespace = us.oid
    where c.relkind in ('r', 'p', 'v', 'S') and c.relname !~ '^(attempt_lines|finished_jobs|job_attempts|job_args)_[0-9]{8}$|^quota_(tickets|counted)_[0-9]+$'
      and (kind = 'admin' or kind = 'worker' and c.relname <> 'audit_log' or kind = 'viewer' and (c.relkind = 'v' or c.relname = 'alembic_version'))
  ), functions as (
    select p.oid, format('%I.%I(%s)', us.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as name
    from us join pg_proc p on p.pronamespace = us.oid
    where p.prokind = 'f' and p.proname not in ('grant_roles', 'role_rights', 'enforce_quota') and case kind
      when 'producer' then p.proname in ('enqueue', 'enqueue_many', 'enqueue_flow')
      when 'viewer' then p.proname in ('backlog', 'default_burst', 'bucket_bounds', 'depths', 'history_depths')  -- autoscalers and views call them
      when 'worker' then p.proname not in ('note_action', 'pause', 'resume', 'redrive', 'remove', 'set_limit', 'drop_limit', 'set_queue', 'set_quota', 'set_share',
        'schedule', 'unschedule', 'pause_schedule', 'resume_schedule', 'run_schedule')
      else kind = 'admin' end
  )
  select format('grant usage on schema %I to %I', us.nspname, us.role), coalesce(has_schema_privilege(us.role_oid, us.oid, 'usage'), false)
  from us where kind in ('producer', 'worker', 'viewer', 'admin')
  union all
  select format('grant %s on %s%s to %I', array_to_string(r.rights, ', '), case when r.relkind = 'S' then 'sequence ' else '' end, r.name, us.role),
         coalesce((select bool_and(case when r.relkind = 'S' then has_sequence_privilege(us.role_oid, r.oid, p) else has_table_privilege(us.role_oid, r.oid, p) end)
                   from unnest(r.rights) p), false)
  from us, relations r
  union all
  select format('grant execute on function %s to %I', f.name, us.role), coalesce(has_function_privilege(us.role_oid, f.oid, 'execute'), false)
  from us, functions f
$_$;
CREATE FUNCTION pgqueue.run_schedule(name text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  _schedule pgqueue.job_schedules;
  _job bigint;
begin
  select s.* into _schedule from pgqueue.job_schedules s where s.name = run_schedule.name for update;
  if not found then
    perform pgqueue.known_schedule(run_schedule.name);
  end if;
  _job := pgqueue.enqueue(_schedule.task, _schedule.args, queue => _schedule.queue, priority => _schedule.priority::integer,
                          meta => coalesce(_schedule.meta, '{}') || jsonb_build_object('schedule', run_schedule.name), limits => _schedule.limits);
  update pgqueue.job_schedules s set run_job_id = _job where s.name = run_schedule.name;
  return _job;
end $$;
CREATE FUNCTION pgqueue.sample_depths(minute timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
  _last timestamptz;
  _oldest constant timestamptz := sample_depths.minute - interval '7 days';
  _noted bigint;
begin
  select s.sampled_minute into strict _last from pgqueue.statistics_state s;
  if sample_depths.minute <= _last then
    return 0;
  end if;
  with now as materialized (
    select d.queue, d.scheduled, d.blocked, d.ready, d.running, d.dead, date_part('epoch', d.oldest_due_age) as oldest_due_seconds, d.estimated
    from pgqueue.depths() d where d.scheduled + d.blocked + d.ready + d.running + d.dead > 0
  )
  insert into pgqueue.depth_minutes (minute, queue, scheduled, blocked, ready, running, dead, oldest_due_seconds, estimated)
  select sample_depths.minute, n.queue, n.scheduled, n.blocked, n.ready, n.running, n.dead, n.oldest_due_seconds, n.estimated from now n
  union all
  select sample_depths.minute, p.queue, 0, 0, 0, 0, 0, null, false
  from pgqueue.depth_minutes p
  where p.minute = _last and p.scheduled + p.blocked + p.ready + p.running + p.dead > 0 and not exists (select from now n where n.queue = p.queue);
  get diagnostics _noted = row_count;
  insert into pgqueue.overall_minutes as m (minute, lag_seconds)
  select d.minute, max(coalesce(d.oldest_due_seconds, 0)) from pgqueue.depth_minutes d where d.minute = sample_depths.minute group by d.minute
  on conflict (minute) do update set lag_seconds = excluded.lag_seconds;
  delete from pgqueue.overall_minutes m where m.minute < _oldest;
  update pgqueue.statistics_state s set sampled_minute = sample_depths.minute;
  delete from pgqueue.depth_minutes d using (select x.minute, x.queue from pgqueue.depth_minutes x where x.minute < _oldest order by x.minute limit 20000) o
  where d.minute = o.minute and d.queue = o.queue;
  delete from pgqueue.statistics_minutes m
  using (select x.minute, x.queue, x.task from pgqueue.statistics_minutes x where x.minute < _oldest order by x.minute limit 20000) o
  where m.minute = o.minute and m.queue = o.queue and m.task = o.task;
  if date_trunc('hour', _last, 'UTC') < date_trunc('hour', sample_depths.minute, 'UTC') then
    delete from pgqueue.statistics_sums s
    using (select x.queue from pgqueue.statistics_sums x
           where not exists (select from pgqueue.worker_processes w where w.lost_at is null and x.queue = any (w.queues))
           group by x.queue having max(x.counted_at) < sample_depths.minute - interval '30 days' limit 5000) o
    where s.queue = o.queue;
  end if;
  return _noted;
end $$;
CREATE FUNCTION pgqueue.save_limit(name text, rate double precision, per interval, burst integer, concurrency integer, declared jsonb) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_variable
declare
  _at constant timestamptz := clock_timestamp();
  _error constant text := pgqueue.limit_rule_error(name, rate, per, burst, concurrency);
  _old pgqueue.limit_rules;
begin
  if _error is not null then
    raise exception using errcode = 'PQ004', message = _error;
  end if;
  loop
    insert into pgqueue.limit_rules (name, rate, per, burst, concurrency, declared, changed_at)
    values (name, rate, per, burst, concurrency, declared, _at) on conflict do nothing;
    if found then
      perform pgqueue.release_line('limit', name, _at);
      return 'created';
    end if;
    select r.* into _old from pgqueue.limit_rules r where r.name = save_limit.name for update;
    exit when found;  -- else it was dropped in between
  end loop;
  if _old.declared = declared then
    return 'unchanged';  -- an operator's edit since then stays
  end if;
  if (_old.rate, _old.per, _old.burst, _old.concurrency) is not distinct from (rate, per, burst, concurrency) then
    update pgqueue.limit_rules r set declared = save_limit.declared where r.name = save_limit.name and save_limit.declared is not null;
    return 'unchanged';
  end if;
  update pgqueue.limit_rules r
  set rate = save_limit.rate, per = save_limit.per, burst = save_limit.burst, concurrency = save_limit.concurrency,
      declared = coalesce(save_limit.declared, r.declared), changed_at = _at
  where r.name = save_limit.name;
  perform pgqueue.release_line('limit', name, _at);
  return 'changed';
end $$;
CREATE FUNCTION pgqueue.save_schedule(definition jsonb, from_code boolean) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _error constant text := pgqueue.schedule_error(definition);
  _new pgqueue.job_schedules;
  _old pgqueue.job_schedules;
  _other_times boolean;
begin
  if _error is not null then
    raise exception using errcode = 'PQ004', message = _error;
  end if;
  _new.name := definition ->> 'name';
  _new.task := definition ->> 'task';
  _new.args := coalesce(nullif(definition -> 'args', 'null'), '{}');
  _new.meta := nullif(definition -> 'meta', 'null');
  _new.queue := coalesce(definition ->> 'queue', 'default');
  _new.priority := coalesce((definition ->> 'priority')::smallint, 0);
  _new.limits := nullif(definition -> 'limits', 'null');
  _new.cron := definition ->> 'cron';
  _new.every := make_interval(secs => extract(epoch from (definition ->> 'every')::interval)::double precision);
  _new.timezone := definition ->> 'timezone';
  _new.jitter := (definition ->> 'jitter')::interval;
  _new.missed := coalesce(definition ->> 'missed', 'once');
  _new.missed_limit := coalesce((definition ->> 'missed_limit')::integer, 100);
  _new.overlap := coalesce(definition ->> 'overlap', 'allow');
  _new.declared := case when from_code then definition end;
  _new.since := _now;
  loop
    insert into pgqueue.job_schedules select _new.* on conflict do nothing;
    if found then
      return 'created';
    end if;
    select s.* into _old from pgqueue.job_schedules s where s.name = _new.name for update;
    exit when found;  -- else it was removed in between
  end loop;
  if from_code and _old.declared = definition then
    return 'unchanged';
  end if;
  if (_old.task, _old.args, _old.meta, _old.queue, _old.priority, _old.limits, _old.cron, _old.every, _old.timezone, _old.jitter, _old.missed, _old.missed_limit, _old.overlap)
     is not distinct from
     (_new.task, _new.args, _new.meta, _new.queue, _new.priority, _new.limits, _new.cron, _new.every, _new.timezone, _new.jitter, _new.missed, _new.missed_limit, _new.overlap) then
    update pgqueue.job_schedules s set declared = coalesce(_new.declared, s.declared) where s.name = _new.name and from_code;
    return 'unchanged';
  end if;
  _other_times := (_old.cron, _old.every, _old.timezone) is distinct from (_new.cron, _new.every, _new.timezone);
  update pgqueue.job_schedules s
  set task = _new.task, args = _new.args, meta = _new.meta, queue = _new.queue, priority = _new.priority, limits = _new.limits, cron = _new.cron, every = _new.every,
      timezone = _new.timezone, jitter = _new.jitter, missed = _new.missed, missed_limit = _new.missed_limit, overlap = _new.overlap,
      declared = coalesce(_new.declared, s.declared), retry_at = null, error = null,
      since = case when _other_times then _now else s.since end, next_at = case when not _other_times then s.next_at end
  where s.name = _new.name;
  return 'changed';
end $$;
CREATE FUNCTION pgqueue.schedule(name text, task text, cron text DEFAULT NULL::text, every interval DEFAULT NULL::interval, args jsonb DEFAULT '{}'::jsonb, timezone text DEFAULT 'UTC'::text, queue text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, missed text DEFAULT 'once'::text, missed_limit integer DEFAULT NULL::integer, overlap text DEFAULT 'allow'::text, jitter interval DEFAULT NULL::interval, meta jsonb DEFAULT NULL::jsonb, limits jsonb DEFAULT NULL::jsonb) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_variable
begin
  return pgqueue.save_schedule(jsonb_build_object('name', name, 'task', task, 'cron', cron, 'every', every, 'args', args, 'timezone', timezone,
    'queue', queue, 'priority', priority, 'missed', coalesce(missed, 'once'), 'missed_limit', missed_limit, 'overlap', coalesce(overlap, 'allow'),
    'jitter', jitter, 'meta', meta, 'limits', limits), false);
end $$;
CREATE FUNCTION pgqueue.schedule_error(definition jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  _name constant text := definition ->> 'name';
  _every interval;
  _jitter interval;
  _job text;
  _bad text;
begin
  begin
    _every := (definition ->> 'every')::interval;
    _jitter := (definition ->> 'jitter')::interval;
    perform now() at time zone (definition ->> 'timezone');
  exception when data_exception then
    return format('schedule %L: %s', left(_name, 200), sqlerrm);
  end;
  _bad := case
    when coalesce(_name, '') = '' then 'name: must not be empty'
    when octet_length(_name) > 200 then format('name: at most 200 bytes, got %s', octet_length(_name))
    when num_nonnulls(definition ->> 'cron', _every) <> 1 then 'give cron or every, one of them'
    when definition ->> 'cron' = '' or octet_length(definition ->> 'cron') > 500 then 'cron: must have from 1 to 500 bytes'
    when extract(year from _every) <> 0 or extract(month from _every) <> 0 then
      'every: months differ in length; use cron, as in 0 0 1 * *'
    when _every not between interval '1 s' and interval '3650 days' then format('every: must be from 1 second to 3650 days, got %s', _every)
    when definition ->> 'timezone' is null then 'timezone: must be a name such as Europe/Berlin'
    when _every is not null and definition ->> 'timezone' <> 'UTC' then 'timezone: belongs to cron; every counts in even distances'
    when extract(year from _jitter) <> 0 or extract(month from _jitter) <> 0 or _jitter not between interval '1 ms' and interval '30 days' then
      format('jitter: must be from 1 millisecond to 30 days, got %s', _jitter)
    when definition ->> 'missed' not in ('skip', 'once', 'all') then format('missed: must be skip, once or all, got %L', definition ->> 'missed')
    when (definition ->> 'missed_limit')::bigint not between 1 and 10000 then
      format('missed_limit: must be from 1 to 10000, got %s', definition ->> 'missed_limit')
    when definition ->> 'overlap' not in ('allow', 'skip') then format('overlap: must be allow or skip, got %L', definition ->> 'overlap')
    when definition -> 'meta' ?| array['schedule', 'tick'] then 'meta: schedule and tick are set by the schedule itself'
    end;
  if _bad is null then
    _job := pgqueue.new_job_error(jsonb_strip_nulls(jsonb_build_object('task', coalesce(definition ->> 'task', ''), 'queue', definition ->> 'queue',
      'priority', (definition ->> 'priority')::integer)) || jsonb_build_object('args', definition -> 'args', 'meta', definition -> 'meta')
      || jsonb_strip_nulls(jsonb_build_object('limits', definition -> 'limits')));
    _bad := replace(_job, format('PQ004 cannot enqueue task %L: ', left(coalesce(definition ->> 'task', ''), 100)), '');
  end if;
  return format('schedule %L: ', left(_name, 200)) || _bad;
end $$;
CREATE FUNCTION pgqueue.schedule_failed(name text, since timestamp with time zone, expected_next_at timestamp with time zone, error text, retry_after interval) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  update pgqueue.job_schedules s set error = left(schedule_failed.error, 1000), retry_at = clock_timestamp() + schedule_failed.retry_after
  where s.name = schedule_failed.name and s.since = schedule_failed.since and s.next_at is not distinct from schedule_failed.expected_next_at
    and s.paused_at is null;
  return found;
end $$;
CREATE FUNCTION pgqueue.schema_name() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'pgqueue'::text;
CREATE FUNCTION pgqueue.server_state(OUT system_identifier bigint, OUT timeline integer, OUT started_at timestamp with time zone, OUT lsn pg_lsn) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  started_at := pg_postmaster_start_time();
  system_identifier := (select c.system_identifier from pg_control_system() c);
  lsn := pg_current_wal_insert_lsn();
  timeline := ('x' || left(pg_walfile_name(lsn), 8))::bit(32)::integer;
exception when insufficient_privilege or feature_not_supported or undefined_function or object_not_in_prerequisite_state then
  lsn := null; timeline := null;
end $$;
CREATE FUNCTION pgqueue.set_limit(name text, rate double precision DEFAULT NULL::double precision, per interval DEFAULT '00:00:01'::interval, burst integer DEFAULT NULL::integer, concurrency integer DEFAULT NULL::integer) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_variable
begin
  return pgqueue.save_limit(name, rate, per, burst, concurrency, null);
end $$;
CREATE FUNCTION pgqueue.set_queue(queue text, fair boolean DEFAULT NULL::boolean, aging interval DEFAULT NULL::interval, max_depth bigint DEFAULT NULL::bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_variable
declare
  _old pgqueue.queue_policies;
  _limited boolean := false;
begin
  if octet_length(queue) between 1 and 200 is not true then
    raise exception using errcode = 'PQ004', message = format('set_queue: the queue must have a name of 1 to 200 bytes, got %s', coalesce(octet_length(queue), 0));
  elsif aging < '0' then
    raise exception using errcode = 'PQ004', message = format('set_queue: aging must be positive, or 0 to turn it off, got %s', aging);
  elsif max_depth not between 0 and 1000000000 then
    raise exception using errcode = 'PQ004', message = format('set_queue: max_depth must be from 1 to 1000000000, or 0 for a queue without bound, got %s', max_depth);
  end if;
  insert into pgqueue.queue_policies (queue) values (queue) on conflict do nothing;
  select p.* into _old from pgqueue.queue_policies p where p.queue = set_queue.queue for update;
  if max_depth is not null then
    _limited := pgqueue.set_quota(queue, max_depth);
  end if;
  if (_old.fair, _old.aging) is not distinct from (coalesce(fair, _old.fair), nullif(coalesce(aging, _old.aging), '0')) then
    return _limited;
  end if;
  update pgqueue.queue_policies p
  set fair = coalesce(set_queue.fair, p.fair), aging = nullif(coalesce(set_queue.aging, p.aging), '0') where p.queue = set_queue.queue;
  if _old.fair and not fair then
    perform pgqueue.release_line('fair', queue, clock_timestamp());
  end if;
  perform pgqueue.wake(queue);
  return true;
end $$;
CREATE FUNCTION pgqueue.set_quota(queue text, max_depth bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $_$
#variable_conflict use_variable
declare
  _number integer;
  _old bigint;
  _queues text;
begin
  lock table pgqueue.queue_quotas in share row exclusive mode;
  select q.max_depth, q.number into _old, _number from pgqueue.queue_quotas q where q.queue = set_quota.queue;
  if nullif(max_depth, 0) is not distinct from _old then
    return false;
  elsif _old is not null and max_depth > 0 then
    update pgqueue.queue_quotas q set max_depth = set_quota.max_depth where q.queue = set_quota.queue;
    return true;
  end if;
  for _try in 1 .. 60 loop
    begin
      lock table pgqueue.queued_jobs in share row exclusive mode;
      exit;
    exception when lock_not_available then
      if _try = 60 then
        raise exception using errcode = '55P03',
          message = format('the quota of queue %L was not changed: transactions with jobs are open all the time; try again when fewer are', queue);
      end if;
      perform pg_sleep(0.1 + random() * 0.1);
    end;
  end loop;
  if max_depth > 0 then
    insert into pgqueue.queue_quotas as q (queue, max_depth) values (queue, max_depth) returning q.number into _number;
    execute format('create sequence %1$I.%2$I owned by %1$I.queue_quotas.max_depth', pgqueue.schema_name(), 'quota_tickets_' || _number);
    execute format('create sequence %1$I.%2$I owned by %1$I.queue_quotas.max_depth', pgqueue.schema_name(), 'quota_counted_' || _number);
    perform setval(format('%I.%I', pgqueue.schema_name(), 'quota_tickets_' || _number), max_depth);  -- what is there is counted at the first insert
  else
    delete from pgqueue.queue_quotas q where q.queue = set_quota.queue;
    execute format('drop sequence %1$I.%2$I, %1$I.%3$I', pgqueue.schema_name(), 'quota_tickets_' || _number, 'quota_counted_' || _number);
  end if;
  select string_agg(quote_literal(q.queue), ', ' order by q.queue) into _queues from pgqueue.queue_quotas q;
  if _queues is null then
    execute format('drop trigger enforce_quota on %I.queued_jobs', pgqueue.schema_name());
  else
    execute format('create or replace trigger enforce_quota before insert on %1$I.queued_jobs for each row when (new.attempt = 0 and new.queue in (%2$s)) execute function %1$I.enforce_quota()',
                   pgqueue.schema_name(), _queues);
  end if;
  return true;
end $_$;
CREATE FUNCTION pgqueue.set_share(queue text, key text, weight integer) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_variable
begin
  if octet_length(queue) between 1 and 200 is not true or octet_length(key) between 1 and 1000 is not true then
    raise exception using errcode = 'PQ004', message = 'set_share: give a queue and a key';
  elsif weight not between 1 and 1000 then
    raise exception using errcode = 'PQ004', message = format('set_share: weight must be from 1 to 1000, got %s', weight);
  end if;
  if coalesce(weight, 1) = 1 then
    delete from pgqueue.fair_weights w where w.queue = set_share.queue and w.key = set_share.key;
    return found;
  end if;
  insert into pgqueue.fair_weights as w (queue, key, weight) values (queue, key, weight)
  on conflict on constraint fair_weights_pkey do update set weight = excluded.weight where w.weight <> excluded.weight;
  return found;
end $$;
CREATE FUNCTION pgqueue.settle(outcomes jsonb, at timestamp with time zone) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
declare
  _stale bigint[];
  _nodes jsonb;
  _gated bigint[];
begin
  with given as materialized (
    select distinct on (g.id, g.token) g.id, g.token, g.outcome, g.result, g.error,
           case when g.delay is not null then least(greatest(g.delay, 0), 1e11) end as delay, coalesce(g.alone, false) as alone
    from rows from (jsonb_to_recordset(outcomes) as (id bigint, token bigint, outcome text, delay double precision, result jsonb, error jsonb, alone boolean))
      with ordinality as g (id, token, outcome, delay, result, error, alone, place)
    order by g.id, g.token, g.place
  ), held as materialized (
    select j.id, j.run_at, j.created_at, j.args_day, j.attempt, j.priority, j.failures, j.losses, j.suspect, j.worker_id, j.started_at,
           j.max_attempts, j.timeout, j.queue, j.task, j.key, j.gated, j.linked, g.delay, g.result, g.error, g.outcome = 'lost' and (j.alone or g.alone) as lost_alone,
           case
             when g.outcome in ('failed', 'dead', 'snoozed', 'released', 'lost')
                  and exists (select from pgqueue.cancel_requests c where c.job_id = j.id) then 'cancelled'
             when g.outcome = 'lost' and (j.alone or g.alone) and j.losses + 1 >= (select s.max_losses from pgqueue.settings s) then 'dead'
             when g.outcome in ('succeeded', 'failed', 'dead', 'cancelled', 'expired', 'snoozed', 'released', 'lost') then g.outcome
             else pgqueue.unknown_outcome(g.outcome)
           end as outcome
    from pgqueue.queued_jobs j join given g on g.id = j.id and g.token = j.token
    where j.id = any (array(select x.id from given x))
    order by j.id
    for update of j
  ), again as (
    update pgqueue.queued_jobs j
    set worker_id = null, token = null, started_at = null, alone = false,
        run_at = case when h.delay is null then j.run_at else at + make_interval(secs => h.delay) end,
        failures = least(j.failures + (h.outcome = 'failed')::integer, 32767),
        losses = least(j.losses + h.lost_alone::integer, 32767),
        suspect = j.suspect or h.outcome = 'lost'
    from held h
    where j.id = any (array(select x.id from held x where x.outcome in ('failed', 'snoozed', 'released', 'lost'))) and h.id = j.id
    returning j.id
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select h.id, at, h.started_at, at, h.worker_id, h.attempt, h.outcome, h.error
    from held h join again a on a.id = h.id
  ), gone as (
    delete from pgqueue.queued_jobs j
    where j.id = any (array(select x.id from held x where x.outcome in ('succeeded', 'cancelled', 'expired', 'dead')))
    returning j.id
  ), finished as (
    insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, started_at, worker_id, args_day, attempt, priority, failures, losses,
                                       max_attempts, succeeded, suspect, queue, task, key, timeout, result, error)
    select h.id, at, h.run_at, h.created_at, case when h.outcome <> 'expired' then h.started_at end,
           case when h.outcome <> 'expired' then h.worker_id end, h.args_day, h.attempt, h.priority, h.failures, h.losses, h.max_attempts,
           h.outcome = 'succeeded', h.suspect, h.queue, h.task, h.key, h.timeout, h.result,
           case
             when h.outcome = 'expired' then '{"type": "Cancelled", "message": "expired"}'
             when h.outcome = 'cancelled' then coalesce(h.error, '{"type": "Cancelled", "message": "cancelled on request"}')
           end
    from held h join gone g on g.id = h.id
    where h.outcome <> 'dead'
  ), evidence as (
    delete from pgqueue.job_attempts a using held h
    where a.job_id = h.id and h.outcome = 'dead'
    returning a.job_id, a.attempt, pgqueue.attempt_evidence(a.attempt, a.worker_id, a.started_at, a.finished_at, a.outcome, a.error) as attempt_row
  ), died as (
    insert into pgqueue.dead_jobs (id, died_at, run_at, created_at, started_at, worker_id, args_day, attempt, priority, failures, losses,
                                   max_attempts, suspect, queue, task, key, timeout, error, attempts)
    select h.id, at, h.run_at, h.created_at, h.started_at, h.worker_id, h.args_day, h.attempt, h.priority,
           least(h.failures + (not h.lost_alone)::integer, 32767), least(h.losses + h.lost_alone::integer, 32767), h.max_attempts, h.suspect or h.lost_alone,
           h.queue, h.task, h.key, h.timeout,
           coalesce(h.error, '{"type": "Dead", "message": "no error was given"}'),
           coalesce((select jsonb_agg(e.attempt_row order by e.attempt)
                     from (select x.attempt_row, x.attempt from evidence x where x.job_id = h.id order by x.attempt desc limit 99) e), '[]')
           || pgqueue.attempt_evidence(h.attempt, h.worker_id, h.started_at, at, 'dead', h.error)
    from held h join gone g on g.id = h.id
    where h.outcome = 'dead'
  ), freed as (
    delete from pgqueue.job_keys k using held h
    where h.key is not null and k.queue = h.queue and k.key = h.key and k.job_id = h.id
      and (h.outcome = 'dead' or h.outcome in ('succeeded', 'cancelled', 'expired') and (k.until is null or k.until <= at))
  ), reported as (
    delete from pgqueue.job_progress p where p.job_id = any (array(select g.id from gone g order by g.id))
  ), asked as (
    delete from pgqueue.cancel_requests c where c.job_id = any (array(select g.id from gone g order by g.id))
  )
  select array(select g.id from given g where not exists (select from held h where h.id = g.id)),
         (select jsonb_agg(jsonb_build_object('id', h.id, 'outcome', case h.outcome when 'expired' then 'cancelled' else h.outcome end,
                                              'result', h.result, 'error', h.error) order by h.id)
          from held h join gone g on g.id = h.id where h.linked),
         (select array_agg(h.id order by h.id) from held h where h.gated)
  into _stale, _nodes, _gated;
  if _nodes is not null then
    perform pgqueue.settle_nodes(_nodes, at);
  end if;
  if _gated is not null then
    perform pgqueue.release(_gated, at);
  end if;
  if _nodes is not null or _gated is not null then
    perform set_config('pgq.freed', at::text, true);  -- the step looks for what this has set free
  end if;
  return query select unnest(_stale);
end $$;
CREATE FUNCTION pgqueue.settle_nodes(ended jsonb, at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_nestloop TO 'off'
    SET enable_hashjoin TO 'on'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  _ids bigint[] := array(select (e ->> 'id')::bigint from jsonb_array_elements(ended) e);
  _undos bigint[];
begin
  perform from pgqueue.flow_nodes n where n.id = any (_ids) order by n.rank, n.id for no key update;
  with gone as (
    update pgqueue.flow_nodes n set outcome = e.outcome, result = e.result, ended_at = at, blocked = false
    from jsonb_to_recordset(ended) as e (id bigint, outcome text, result jsonb)
    where n.id = any (_ids) and n.id = e.id and n.outcome is null
    returning n.id, n.role, n.outcome
  )
  select array_agg(g.id), array_agg(g.id) filter (where g.role = 'undo' and g.outcome = 'dead') into _ids, _undos from gone g;
  if _ids is not null then
    perform pgqueue.advance_nodes(_ids, '{}', at);
  end if;
  if _undos is not null then
    perform pgqueue.tell_undone(u) from unnest(_undos) u;
  end if;
end $$;
CREATE FUNCTION pgqueue.settle_succeeded(ids bigint[], tokens bigint[], at timestamp with time zone) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
declare
  _gone bigint[];
begin
  with gone as (
    delete from pgqueue.queued_jobs j using unnest(ids, tokens) as g (id, token)
    where j.id = g.id and j.token = g.token and not j.gated and not j.linked
    returning j.id, j.run_at, j.created_at, j.started_at, j.worker_id, j.args_day, j.attempt, j.priority, j.failures, j.losses, j.max_attempts,
              j.suspect, j.queue, j.task, j.key, j.timeout
  ), finished as (
    insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, started_at, worker_id, args_day, attempt, priority, failures, losses,
                                       max_attempts, succeeded, suspect, queue, task, key, timeout)
    select g.id, at, g.run_at, g.created_at, g.started_at, g.worker_id, g.args_day, g.attempt, g.priority, g.failures, g.losses,
           g.max_attempts, true, g.suspect, g.queue, g.task, g.key, g.timeout
    from gone g
  ), freed as (
    delete from pgqueue.job_keys k using gone g
    where g.key is not null and k.queue = g.queue and k.key = g.key and k.job_id = g.id and (k.until is null or k.until <= at)
  )
  select array_agg(g.id) into _gone from gone g;
  if cardinality(ids) is distinct from cardinality(_gone) then
    return query select s from pgqueue.settle((
      select jsonb_agg(jsonb_build_object('id', g.id, 'token', g.token, 'outcome', 'succeeded'))
      from unnest(ids, tokens) as g (id, token) where g.id <> all (coalesce(_gone, '{}'))), at) s;
  end if;
end $$;
CREATE FUNCTION pgqueue.skips(id bigint) RETURNS boolean
    LANGUAGE sql STABLE
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
  select coalesce(sum(pgqueue.misses(l.condition, p.outcome)), 0) > 0
         or n.asks_failure and count(*) filter (where p.outcome is null) = 0 and coalesce(sum(pgqueue.hits(l.condition, p.outcome, n.verdict)), 0) = 0
  from pgqueue.flow_nodes n join pgqueue.flow_links l on l.child_id = n.id join pgqueue.flow_nodes p on p.id = l.parent_id
  where n.id = skips.id
  group by n.id, n.asks_failure, n.verdict
$$;
CREATE FUNCTION pgqueue.step(worker_id bigint, epoch integer, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[] DEFAULT NULL::smallint[], marks_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], marks_id bigint[] DEFAULT NULL::bigint[], done_ids bigint[] DEFAULT '{}'::bigint[], done_tokens bigint[] DEFAULT '{}'::bigint[], outcomes jsonb DEFAULT NULL::jsonb, series integer DEFAULT 1) RETURNS TABLE(kind text, id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint, timeout interval, priority smallint, run_at timestamp with time zone, created_at timestamp with time zone, expired boolean, key text, group_key text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _priorities smallint[] := priorities;
  _marks_at timestamptz[] := marks_at;
  _marks_id bigint[] := marks_id;
  _found bigint;
  _fair boolean;
  _freed boolean := false;
  _aging interval;
begin
  if done_ids <> '{}' or outcomes is not null then
    perform pgqueue.ensure_day(_at);
  end if;
  if done_ids <> '{}' then
    return query select 'stale', s.id, null::text, null::text, null::text, null::integer, null::smallint, null::smallint, null::smallint, null::interval,
                        null::smallint, null::timestamptz, null::timestamptz, null::boolean, null::text, null::text
                 from pgqueue.settle_succeeded(done_ids, done_tokens, _at) s (id);
  end if;
  if outcomes is not null then
    return query select 'stale', s.id, null::text, null::text, null::text, null::integer, null::smallint, null::smallint, null::smallint, null::interval,
                        null::smallint, null::timestamptz, null::timestamptz, null::boolean, null::text, null::text
                 from pgqueue.settle(outcomes, _at) s (id);
  end if;
  if done_ids <> '{}' or outcomes is not null then
    perform pgqueue.wake('');
    _freed := current_setting('pgq.freed', true) = _at::text;
  end if;
  kind := 'clock'; run_at := _at; created_at := _at - interval '250 ms'; id := 0;
  if max_jobs <= 0 then
    return next;
    if _freed then
      kind := 'more';
      return next;
    end if;
    return;
  end if;
  perform from pgqueue.worker_processes w
  where w.id = step.worker_id and w.epoch = step.epoch and w.lost_at is null
  for key share;
  if not found then
    return next;
    kind := 'lost';
    return next;
    return;
  end if;
  id := exists (select from pgqueue.queued_jobs q where q.queue = step.queue and q.suspect and q.worker_id is null and q.run_at <= _at)::integer;
  if _priorities is null then
    _priorities := pgqueue.priorities(queue);
    _marks_at := array_fill('-infinity'::timestamptz, array[cardinality(_priorities)]);
    _marks_id := array_fill(0::bigint, array[cardinality(_priorities)]);
    args := _priorities::text;
  end if;
  return next;
  if exists (select from pgqueue.paused_queues p where p.queue = step.queue) then
    return;
  end if;
  select p.fair, p.aging into _fair, _aging from pgqueue.queue_policies p where p.queue = step.queue;
  if _fair then
    perform pgqueue.deal(queue, max_jobs, _at);
  end if;
  return query select c.* from pgqueue.claim(worker_id, token, queue, tasks, max_jobs, _priorities, _marks_at, _marks_id, _at, _aging, series) c;
  get diagnostics _found = row_count;
  if _freed then
    kind := 'more'; id := null; args := null; created_at := null;
    return next;
  end if;
  if _found = 0 and done_ids = '{}' and outcomes is null then
    perform set_config('synchronous_commit', 'off', true);  -- only the worker's row was locked: nothing to wait for the disk for
  end if;
  if _found < max_jobs then
    select min(n.run_at) into run_at
    from unnest(_priorities) as m (priority),
    lateral (select q.run_at from pgqueue.queued_jobs q
             where q.queue = step.queue and q.priority = m.priority and not q.suspect and q.run_at > _at and q.run_at < 'infinity'
             order by q.run_at limit 1) n;
    if run_at is not null then
      kind := 'next'; id := null; args := null; created_at := null;
      return next;
    end if;
  end if;
end $$;
CREATE FUNCTION pgqueue.step_logging(logs jsonb, worker_id bigint, epoch integer, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[], marks_at timestamp with time zone[], marks_id bigint[], done_ids bigint[], done_tokens bigint[], outcomes jsonb, series integer) RETURNS TABLE(kind text, id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint, timeout interval, priority smallint, run_at timestamp with time zone, created_at timestamp with time zone, expired boolean, key text, group_key text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  perform pgqueue.keep_logs(logs, clock_timestamp());
  return query select s.kind, s.id, s.task, s.args, s.meta, s.attempt, s.failures, s.losses, s.max_attempts, s.timeout, s.priority, s.run_at,
                      s.created_at, s.expired, s.key, s.group_key
               from pgqueue.step(worker_id, epoch, token, queue, tasks, max_jobs, priorities, marks_at, marks_id, done_ids, done_tokens,
                                 outcomes, series) s;
end $$;
CREATE FUNCTION pgqueue.store_step(id bigint, token bigint, name text, result jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _attempt integer;
  _limit integer;
  _stored jsonb;
begin
  if coalesce(octet_length(name), 0) not between 1 and 200 then
    raise exception using errcode = 'PQ004', message = format('the name of a step must have 1 to 200 bytes, got %s', coalesce(octet_length(name), 0));
  end if;
  select j.attempt into _attempt from pgqueue.queued_jobs j where j.id = store_step.id and j.token = store_step.token for update;
  if not found then
    raise exception using errcode = 'PQ005', message = format('this attempt has lost its lease on job %s: step %L was not stored', id, name);
  end if;
  select s.max_args_bytes into _limit from pgqueue.settings s;
  if octet_length(result::text) > _limit then
    raise exception using errcode = 'PQ004',
      message = format('the result may have %s bytes, got %s; store the data elsewhere and return a reference, or raise max_args_bytes in the settings table',
                       _limit, octet_length(result::text));
  end if;
  insert into pgqueue.job_steps (job_id, stored_at, attempt, name, result)
  values (store_step.id, clock_timestamp(), _attempt, store_step.name, coalesce(store_step.result, 'null'))
  on conflict (job_id, name) do nothing;
  select s.result into _stored from pgqueue.job_steps s where s.job_id = store_step.id and s.name = store_step.name;
  return _stored;
end $$;
CREATE FUNCTION pgqueue.stored_state(id bigint) RETURNS text
    LANGUAGE sql STABLE
    SET enable_seqscan TO 'off'
    AS $$
  select case when j.worker_id is not null then 'running' when j.run_at = 'infinity' then 'blocked' when j.run_at > clock_timestamp() then 'scheduled' else 'ready' end
  from pgqueue.queued_jobs j where j.id = stored_state.id
  union all
  select 'dead' from pgqueue.dead_jobs d where d.id = stored_state.id
  union all
  select case when f.succeeded then 'succeeded' else 'cancelled' end from pgqueue.finished_jobs f where f.id = stored_state.id
  limit 1
$$;
CREATE FUNCTION pgqueue.stored_steps(id bigint, token bigint, name text DEFAULT NULL::text) RETURNS TABLE(step text, result jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
  if not exists (select from pgqueue.queued_jobs j where j.id = stored_steps.id and j.token = stored_steps.token) then
    raise exception using errcode = 'PQ005', message = format('this attempt has lost its lease on job %s: stop', id);
  end if;
  return query
  select s.name, s.result from pgqueue.job_steps s
  where s.job_id = stored_steps.id and (stored_steps.name is null or s.name = stored_steps.name);
end $$;
CREATE FUNCTION pgqueue.sum_buckets(a bigint[], b bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY(SELECT (x.n + x.m) FROM UNNEST(sum_buckets.a, sum_buckets.b) WITH ORDINALITY x(n, m, place) ORDER BY x.place);
CREATE FUNCTION pgqueue.summarize_history(day date) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '20ms'
    AS $$
#variable_conflict use_variable
declare
  _range_pages constant bigint := 32;  -- pages_per_range of the indexes
  _state record;
  _table regclass;
  _index regclass;
  _done bigint;
  _ranges bigint;
  _made bigint := 0;
begin
  select case when s.summarized_day = day then s.finished_ranges else 0 end as finished,
         case when s.summarized_day = day then s.attempts_ranges else 0 end as attempts
  into strict _state from pgqueue.statistics_state s;
  foreach _table in array array[to_regclass(format('%I.%I', pgqueue.schema_name(), 'finished_jobs' || to_char(day, '_YYYYMMDD'))),
                                to_regclass(format('%I.%I', pgqueue.schema_name(), 'job_attempts' || to_char(day, '_YYYYMMDD')))] loop
    continue when _table is null;
    _done := case when _table::text like '%finished_jobs%' then _state.finished else _state.attempts end;
    _ranges := least(pg_relation_size(_table) / current_setting('block_size')::bigint / _range_pages - 1, _done + 500);
    continue when _ranges <= _done;
    select i.indexrelid::regclass into _index
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
    where i.indrelid = _table and a.amname = 'brin';
    begin
      perform brin_summarize_range(_index, r * _range_pages) from generate_series(_done, _ranges - 1) r;
      _made := _made + _ranges - _done;
      if _table::text like '%finished_jobs%' then
        _state.finished := _ranges;
      else
        _state.attempts := _ranges;
      end if;
    exception when lock_not_available or deadlock_detected then
      null;  -- vacuum has it, and makes them itself
    end;
  end loop;
  update pgqueue.statistics_state s set summarized_day = day, finished_ranges = _state.finished, attempts_ranges = _state.attempts
  where (s.summarized_day, s.finished_ranges, s.attempts_ranges) is distinct from (day, _state.finished, _state.attempts);
  return _made;
end $$;
CREATE FUNCTION pgqueue.sweep_cancel_requests() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _request record;
  _ended bigint := 0;
  _reached boolean := false;
begin
  for _request in select c.job_id from pgqueue.cancel_requests c order by c.job_id for update skip locked loop
    begin
      continue when _reached and pgqueue.is_node(_request.job_id);
      if pgqueue.try_waiting(_request.job_id) then
        _reached := _reached or pgqueue.is_node(_request.job_id);
        perform pgqueue.cancel_waiting(_request.job_id, clock_timestamp());
      else
        perform pgqueue.cancel_dead(_request.job_id, clock_timestamp());
      end if;
      if pgqueue.stored_state(_request.job_id) in ('succeeded', 'cancelled') is not false then
        delete from pgqueue.cancel_requests c where c.job_id = _request.job_id;
        _ended := _ended + 1;
      end if;
    exception when others then
      raise warning 'cancel request of job %: % (%)', _request.job_id, sqlerrm, sqlstate;
    end;
  end loop;
  delete from pgqueue.job_progress p
  where p.job_id = any (array(select o.job_id from pgqueue.job_progress o
                              where not exists (select from pgqueue.queued_jobs j where j.id = o.job_id)
                              order by o.job_id for update skip locked));
  return _ended;
end $$;
CREATE FUNCTION pgqueue.sweep_flows() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
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
CREATE FUNCTION pgqueue.sweep_lanes() RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  with idle as (
    select l.kind, l.name, l.key from pgqueue.lanes l
    where l.held = 0 and coalesce(greatest(l.tat, l.slot) < clock_timestamp(), true)
      and not exists (select from pgqueue.permits p where p.kind = l.kind and p.name = l.name and p.key = l.key)
      and not exists (select from pgqueue.lane_waits w where w.kind = l.kind and w.name = l.name and w.key = l.key)
    limit 10000
    for update skip locked
  ), gone as (
    delete from pgqueue.lanes l using idle i where l.kind = i.kind and l.name = i.name and l.key = i.key returning 1
  )
  select count(*) from gone
$$;
CREATE FUNCTION pgqueue.sweep_lines() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _line record;
  _released bigint := 0;
begin
  for _line in
    with recursive lines as (
      (select w.kind, w.name from pgqueue.lane_waits w where w.kind <> 'group' order by w.kind, w.name limit 1)
      union all
      select n.kind, n.name from lines l cross join lateral (
        select w.kind, w.name from pgqueue.lane_waits w where w.kind <> 'group' and (w.kind, w.name) > (l.kind, l.name)
        order by w.kind, w.name limit 1) n
    )
    select l.kind, l.name from lines l
    where l.kind = 'fair' and not exists (select from pgqueue.queue_policies p where p.queue = l.name and p.fair)
       or l.kind = 'limit' and not exists (select from pgqueue.limit_rules r where r.name = l.name)
    order by l.kind, l.name
  loop
    _released := _released + pgqueue.release_line(_line.kind, _line.name, clock_timestamp());
  end loop;
  return _released;
end $$;
CREATE FUNCTION pgqueue.sweep_steps(after bigint, max_jobs integer) RETURNS TABLE(dropped bigint, last bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashagg TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
  _since constant timestamptz := clock_timestamp() - interval '1 hour';
  _jobs constant bigint[] := array(select distinct s.job_id from pgqueue.job_steps s where s.job_id > after order by s.job_id limit max_jobs);
begin
  with over as materialized (
    select i.id from unnest(_jobs) as i (id)
    where not exists (select from pgqueue.queued_jobs j where j.id = i.id)
      and not exists (select from pgqueue.dead_jobs d where d.id = i.id)
      and not exists (select from pgqueue.finished_jobs f where f.id = i.id and (not f.succeeded or f.finished_at > _since))
  ), locked as materialized (
    select s.job_id, s.name from pgqueue.job_steps s
    where s.job_id = any (array(select o.id from over o))
    order by s.job_id, s.name
    for update skip locked
  ), gone as (
    delete from pgqueue.job_steps s using locked l where s.job_id = l.job_id and s.name = l.name returning s.job_id
  )
  select count(*) into dropped from gone;
  last := case when cardinality(_jobs) = max_jobs then _jobs[max_jobs] end;
  return next;
end $$;
CREATE FUNCTION pgqueue.take_series(heads bigint[], queue text, tasks text[], series integer, at timestamp with time zone) RETURNS bigint[]
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
declare
  _key text;
  _all bigint[] := '{}';
  _next bigint[];
begin
  for _key in
    select l.key from pgqueue.lanes l
    where l.kind = 'group' and l.name = take_series.queue
      and l.key = any (array(select p.key from pgqueue.permits p where p.kind = 'group' and p.job_id = any (heads)))
    order by l.key
    for update skip locked
  loop
    select array_agg(f.job_id) into _next
    from (select w.job_id, bool_and(j.id is not null) over (order by w.job_id) as unbroken
          from (select x.job_id from pgqueue.lane_waits x
                where x.kind = 'group' and x.name = take_series.queue and x.key = _key order by x.job_id limit series - 1) w
          left join lateral (
            select q.id from pgqueue.queued_jobs q join pgqueue.job_args a on a.id = q.id and a.day = q.args_day
            where q.id = w.job_id and q.worker_id is null and not q.suspect and q.task = any (tasks) and not a.gates ?| array['limits', 'fair']
            for update of q skip locked) j on true) f
    where f.unbroken;
    continue when _next is null;
    _next := array(  -- looked at again now that their rows are had: one may have been replaced meanwhile
      select i from unnest(_next) i join pgqueue.queued_jobs q on q.id = i join pgqueue.job_args a on a.id = q.id and a.day = q.args_day
      where q.task = any (tasks) and not a.gates ?| array['limits', 'fair']);
    with gone as (
      delete from pgqueue.lane_waits w
      where w.kind = 'group' and w.name = take_series.queue and w.key = _key and w.priority = 0 and w.job_id = any (_next)
      returning w.job_id
    )
    select array_agg(g.job_id) into _next from gone g;
    continue when _next is null;
    insert into pgqueue.permits (job_id, kind, name, key, granted_at) select i, 'group', queue, _key, at from unnest(_next) i;
    _all := _all || _next;
  end loop;
  return _all;
end $$;
CREATE FUNCTION pgqueue.tell_undone(id bigint) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
  _left jsonb;
begin
  with recursive behind as (
    select tell_undone.id
    union
    select l.child_id from behind b join pgqueue.flow_links l on l.parent_id = b.id
    where (select c.role = 'undo' from pgqueue.flow_nodes c where c.id = l.child_id)
  )
  select jsonb_agg(jsonb_build_object('id', u.id, 'task', u.task, 'name', u.name) order by u.id = tell_undone.id desc, u.place desc) into _left
  from behind b cross join lateral (select n.id, n.task, n.name, n.place, n.outcome from pgqueue.flow_nodes n where n.id = b.id offset 0) u
  where u.outcome is null or u.id = tell_undone.id;
  update pgqueue.dead_jobs d
  set error = d.error || jsonb_build_object('undone', _left, 'message', concat(d.error ->> 'message', '; left undone: ',
    (select string_agg(format('%s (job %s)', coalesce(l ->> 'name', l ->> 'task'), l ->> 'id'), ', ') from jsonb_array_elements(_left) l)))
  where d.id = tell_undone.id;
end $$;
CREATE FUNCTION pgqueue.tick(name text, since timestamp with time zone, expected_next_at timestamp with time zone, ticks timestamp with time zone[], next_at timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _ahead constant boolean := coalesce(current_setting('pgq.fast_forward', true), '') = 'on';
  _schedule pgqueue.job_schedules;
  _tick timestamptz;
  _before timestamptz := '-infinity';
  _offset interval;
  _job bigint;
  _count integer := 0;
begin
  select s.* into _schedule from pgqueue.job_schedules s
  where s.name = tick.name and s.since = tick.since and s.next_at is not distinct from tick.expected_next_at and s.paused_at is null
  for update skip locked;
  if not found then
    return null;
  end if;
  foreach _tick in array tick.ticks loop
    if _tick <= _before or _tick >= tick.next_at or (_tick > _now and not _ahead) then
      raise exception using errcode = 'PQ004', message = format('schedule %L: the tick %s is out of order, or in the future', tick.name, _tick);
    end if;
    _before := _tick;
    continue when exists (select from pgqueue.schedule_ticks t where t.schedule = tick.name and t.tick_at = _tick);
    _job := null;
    if _schedule.overlap = 'allow'
       or not exists (select from pgqueue.queued_jobs q where q.id in (_schedule.last_job_id, _schedule.run_job_id)) then
      -- Always the same for a tick: a 32-bit hash of name and time, as a part of the jitter.
      _offset := _schedule.jitter * ((hashtextextended((tick.name || extract(epoch from _tick)) collate "C", 0) & 4294967295) / 4294967296.0);
      _job := pgqueue.enqueue(_schedule.task, _schedule.args, queue => _schedule.queue, priority => _schedule.priority::integer,
        run_at => case when _tick + _offset > _now and not _ahead then _tick + _offset end,
        meta => coalesce(_schedule.meta, '{}') || jsonb_build_object('schedule', tick.name, 'tick', pgqueue.iso_time(_tick)),
        limits => _schedule.limits);
      _schedule.last_job_id := _job;
      _count := _count + 1;
    end if;
    insert into pgqueue.schedule_ticks (schedule, tick_at, job_id) values (tick.name, _tick, _job);
    _schedule.last_at := greatest(_schedule.last_at, _tick);
  end loop;
  update pgqueue.job_schedules s
  set next_at = tick.next_at, last_at = _schedule.last_at, last_job_id = _schedule.last_job_id, retry_at = null, error = null
  where s.name = tick.name;
  return _count;
end $$;
CREATE FUNCTION pgqueue.timeline_begin() RETURNS pg_lsn
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  _name text;
  _found pg_lsn;
begin
  _name := left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
  begin
    select (regexp_match(l, '^\s*\d+\s+([0-9A-F]+/[0-9A-F]+)'))[1]::pg_lsn into _found
    from regexp_split_to_table(pg_read_file('pg_wal/' || _name || '.history', true), '\n') with ordinality as h (l, place)
    where l ~ '^\s*\d+\s+[0-9A-F]+/' order by place desc limit 1;
  exception when insufficient_privilege or feature_not_supported or undefined_function or undefined_file then
    _found := null;
  end;
  return coalesce(_found,
    (select r.min_recovery_end_lsn from pg_control_recovery() r
     where r.min_recovery_end_timeline = ('x' || _name)::bit(32)::integer and r.min_recovery_end_lsn > '0/0'),
    pg_current_wal_insert_lsn());
exception when insufficient_privilege or feature_not_supported or undefined_function or object_not_in_prerequisite_state then
  return null;
end $$;
CREATE FUNCTION pgqueue.told_count(count bigint, one text, many text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (count = 0) THEN (('no '::text || many) || ' are'::text) WHEN (count = 1) THEN (('1 '::text || one) || ' is'::text) WHEN (count >= 10000) THEN (('10000 '::text || many) || ' or more are'::text) ELSE (((count || ' '::text) || many) || ' are'::text) END;
CREATE FUNCTION pgqueue.told_job(id bigint, at timestamp with time zone) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
declare
  _job record;
begin
  select j.worker_id, j.started_at, j.run_at, j.failures into _job from pgqueue.queued_jobs j where j.id = told_job.id;
  return case
    when not found then 'has just ended'
    when _job.worker_id is not null then format('runs on worker %s since %s (%s)', _job.worker_id, pgqueue.told_time(_job.started_at), pgqueue.told_span(at - _job.started_at))
    when _job.run_at = 'infinity' then 'is held back itself'
    when _job.run_at > at then format('%s until %s (in %s)', case when _job.failures > 0 then format('waits for its retry after failure %s', _job.failures) else 'waits' end,
                                      pgqueue.told_time(_job.run_at), pgqueue.told_span(_job.run_at - at))
    else 'waits to be claimed'
  end;
end $$;
CREATE FUNCTION pgqueue.told_span(span interval) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
declare
  _exact constant numeric := greatest(extract(epoch from span), 0);
  _s constant bigint := round(_exact);
begin
  return case
    when _exact < 10 then trim_scale(round(_exact, 2)) || 's'
    when _s < 60 then _s || 's'
    when _s < 3600 then _s / 60 || 'm' || coalesce(nullif(_s % 60, 0) || 's', '')
    when _s < 86400 then _s / 3600 || 'h' || coalesce(nullif(_s % 3600 / 60, 0) || 'm', '')
    else _s / 86400 || 'd' || coalesce(nullif(_s % 86400 / 3600, 0) || 'h', '')
  end;
end $$;
CREATE FUNCTION pgqueue.told_time(at timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    RETURN to_char((at AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'::text);
CREATE FUNCTION pgqueue.try_waiting(id bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
begin
  if pgqueue.is_node(id) then
    perform from pgqueue.flow_nodes n where n.id = try_waiting.id for no key update skip locked;
    if not found then
      return false;
    end if;
  end if;
  perform from pgqueue.queued_jobs j where j.id = try_waiting.id and j.worker_id is null for update skip locked;
  return found;
end $$;
CREATE FUNCTION pgqueue.unknown_flow(id bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  raise exception using errcode = 'PQ001',
    message = format('there is no flow %s: it never existed, its transaction was rolled back, or retention has dropped it', id);
end $$;
CREATE FUNCTION pgqueue.unknown_job(id bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  raise exception using errcode = 'PQ001',
    message = format('there is no job %s: it never existed, its transaction was rolled back, or retention has dropped it', id);
end $$;
CREATE FUNCTION pgqueue.unknown_outcome(outcome text) RETURNS text
    LANGUAGE plpgsql
    AS $$
begin
  raise exception using errcode = 'PQ004', message = format('settle: unknown outcome %L', left(outcome, 100)),
    hint = 'The outcomes are succeeded, failed, dead, cancelled, expired, snoozed, released and lost.';
end $$;
CREATE FUNCTION pgqueue.unschedule(name text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  delete from pgqueue.job_schedules s where s.name = unschedule.name;
  return found;
end $$;
CREATE FUNCTION pgqueue.version_parts(version text) RETURNS integer[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select (coalesce(string_to_array(substring(coalesce(version, '0.1.0') from '^[0-9]{1,9}(?:[.][0-9]{1,9})*'), '.')::integer[], '{}') || '{0,0,0}')[1:3]
$$;
CREATE FUNCTION pgqueue.wake_key(queue text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN hashtextextended((('pgqueue'::text || chr(31)) || COALESCE(('q'::text || queue), 'control'::text)), (20261122)::bigint);
CREATE FUNCTION pgqueue.wake_channel(queue text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ('pgq_'::text || to_hex(pgqueue.wake_key(queue)));
CREATE FUNCTION pgqueue.wake(queue text) RETURNS boolean
    LANGUAGE sql
    RETURN CASE WHEN pg_try_advisory_lock(pgqueue.wake_key(queue)) THEN (NOT pg_advisory_unlock(pgqueue.wake_key(queue))) WHEN (pg_notification_queue_usage() < (0.5)::double precision) THEN (pg_notify(pgqueue.wake_channel(queue), ''::text) IS NOT NULL) ELSE true END;
CREATE FUNCTION pgqueue.why(id bigint) RETURNS TABLE(gate text, detail text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _job record;
  _gates jsonb;
  _paused timestamptz;
  _held boolean := false;
  _more boolean;
begin
  select j.* into _job from pgqueue.queued_jobs j where j.id = why.id;
  if not found then
    return query select * from pgqueue.why_ended(id);
    if not found then
      return query select * from pgqueue.why_barrier(id, _at);
      perform pgqueue.unknown_job(id) where not found;
    end if;
    return;
  end if;
  return query select 'cancel_requested', format('somebody asked at %s to cancel it; %s', pgqueue.told_time(c.requested_at),
      case when _job.worker_id is not null then 'its worker stops the handler at its next heartbeat' else 'a living worker does so within seconds' end)
    from pgqueue.cancel_requests c where c.job_id = why.id;
  if _job.worker_id is not null then
    return query select * from pgqueue.why_running(_job.worker_id, _job.attempt, _job.started_at, _at);
    return;
  end if;
  if _job.expires_at <= _at then
    return query select 'expired', format('it expired at %s, %s ago: the worker that claims it cancels it without running it',
                                          pgqueue.told_time(_job.expires_at), pgqueue.told_span(_at - _job.expires_at));
  end if;
  if _job.gated then
    select a.gates into _gates from pgqueue.job_args a where a.id = why.id and a.day = _job.args_day;
  end if;
  if _job.linked then
    return query select * from pgqueue.why_dependency(id, _at);
    _held := found;
  end if;
  return query select * from pgqueue.why_group(id, _job.queue, _gates ->> 'group', _job.run_at, _at) where _gates ? 'group';
  _held := _held or found;
  return query select * from pgqueue.why_limits(id, _job.run_at, _job.priority, _gates -> 'limits', _at) where _gates ? 'limits';
  _more := found;
  _held := _held or _more;
  if _job.run_at > _at and _job.run_at < 'infinity' and not (_more and (  -- a limit has dated it, and has told so
       _job.run_at <= _at + interval '1 s' or exists (select from pgqueue.lane_waits w where w.job_id = why.id and w.kind = 'limit'))) then
    return query select * from pgqueue.why_due(id, _job.run_at, _job.failures, _job.created_at, _at);
    _held := true;
  end if;
  return query select * from pgqueue.why_share(id, _job.queue, _gates ->> 'fair', _job.priority) where _gates ? 'fair';
  _held := _held or found;
  if _job.run_at = 'infinity' and not _held then
    return query select 'parked', format('it is parked and stands in no line, which should not be: please report it; `pgq jobs cancel %s`, then `pgq jobs retry %s`, makes it due', id, id);
    _held := true;
  end if;
  select p.paused_at into _paused from pgqueue.paused_queues p where p.queue = _job.queue;
  if found then
    return query select 'paused', format('queue %L is paused since %s (%s): `pgq queues resume %s`', _job.queue, pgqueue.told_time(_paused), pgqueue.told_span(_at - _paused), _job.queue);
    _held := true;
  end if;
  if _job.suspect then
    return query select 'suspect', format('it has to run alone, because it was there when a worker died (%s), and has taken down %s workers so far while it ran alone, of %s that make it dead; '
                                          || 'a worker takes it when it has nothing else to do, or a process of its own does',
      coalesce((select 'attempt ' || t.attempt || ', ' || pgqueue.told_time(t.finished_at) from pgqueue.job_attempts t
                where t.job_id = why.id and t.logged_at >= _job.created_at and t.outcome = 'lost' order by t.attempt desc limit 1), 'before it was retried'),
      _job.losses, (select s.max_losses from pgqueue.settings s));
    _held := true;
  end if;
  return query select * from pgqueue.why_workers(_job.queue, _job.task, not _held, _at);
  _held := _held or found;
  if not _held then
    return query select 'ready', format('nothing holds it back: it waits for a claim, and %s before it in queue %L',
      pgqueue.told_count(pgqueue.jobs_ahead(_job.queue, _job.priority, _job.run_at, id, _at), 'job', 'jobs'), _job.queue);
  end if;
end $$;
CREATE FUNCTION pgqueue.why_barrier(id bigint, at timestamp with time zone) RETURNS TABLE(gate text, detail text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
begin
  return query select * from pgqueue.why_dependency(id, at);
  if not found then
    return query select 'finished', format('it is a barrier of flow %s, no job, and ended as %s%s', n.flow_id, coalesce(n.outcome, 'nothing yet'),
                                           coalesce(' at ' || pgqueue.told_time(n.ended_at), ''))
      from pgqueue.flow_nodes n where n.id = why_barrier.id and not n.is_job;
  end if;
end $$;
CREATE FUNCTION pgqueue.why_dependency(id bigint, at timestamp with time zone) RETURNS TABLE(gate text, detail text)
    LANGUAGE plpgsql STABLE
    AS $$
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
CREATE FUNCTION pgqueue.why_due(id bigint, run_at timestamp with time zone, failures integer, created_at timestamp with time zone, at timestamp with time zone) RETURNS TABLE(gate text, detail text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
declare
  _last record;
begin
  select t.outcome, t.error into _last from pgqueue.job_attempts t
  where t.job_id = why_due.id and t.logged_at >= why_due.created_at order by t.attempt desc limit 1;
  return query select 'due', format('%s %s, in %s; `pgq jobs retry %s` makes it due now',
    case _last.outcome
      when 'failed' then format('it waits for its retry after failure %s (%s), due at', failures, coalesce(_last.error ->> 'type', 'no error given'))
      when 'snoozed' then 'its handler has put it off until'
      else 'it is due at'
    end, pgqueue.told_time(run_at), pgqueue.told_span(run_at - at), id);
end $$;
CREATE FUNCTION pgqueue.why_ended(id bigint) RETURNS TABLE(gate text, detail text)
    LANGUAGE sql STABLE
    AS $$
  select 'finished', format('it is dead since %s, after attempt %s (%s): `pgq jobs show %s` has the evidence, `pgq jobs retry %s` runs it again',
                            pgqueue.told_time(d.died_at), d.attempt, coalesce(d.error ->> 'type', 'no error given'), d.id, d.id)
  from pgqueue.dead_jobs d where d.id = why_ended.id
  union all
  select 'finished', case when f.succeeded then format('it succeeded at %s, with attempt %s', pgqueue.told_time(f.finished_at), f.attempt)
                          else format('it was cancelled at %s (%s): `pgq jobs retry %s` runs it again', pgqueue.told_time(f.finished_at),
                                      coalesce(left(f.error ->> 'message', 200), 'on request'), f.id) end
  from pgqueue.finished_jobs f where f.id = why_ended.id
$$;
CREATE FUNCTION pgqueue.why_group(id bigint, queue text, group_key text, run_at timestamp with time zone, at timestamp with time zone) RETURNS TABLE(gate text, detail text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
declare
  _holder bigint;
  _ahead bigint;
begin
  if exists (select from pgqueue.permits p where p.job_id = why_group.id and p.kind = 'group') then
    return;
  end if;
  _holder := (select p.job_id from pgqueue.permits p where p.kind = 'group' and p.name = why_group.queue and p.key = why_group.group_key order by p.job_id limit 1);
  _ahead := (select count(*) from (
    select from pgqueue.lane_waits w
    where w.kind = 'group' and w.name = why_group.queue and w.key = why_group.group_key and w.priority = 0 and w.job_id < why_group.id limit 10000) a);
  if _holder is null and _ahead = 0 and (run_at < 'infinity' or not exists (select from pgqueue.lane_waits w where w.job_id = why_group.id and w.kind = 'group')) then
    return;
  end if;
  return query select 'group', format('group %L runs one job at a time, and %s; %s before it in the line%s', group_key,
    case when _holder is null then 'the next claim or housekeeping gives the turn to the first in its line'
         else format('its turn is with job %s, which %s', _holder, pgqueue.told_job(_holder, at)) end,
    pgqueue.told_count(_ahead, 'job', 'jobs'),
    case when _holder is not null then format('; see `pgq why %s`', _holder) else '' end);
end $$;
CREATE FUNCTION pgqueue.why_limits(id bigint, run_at timestamp with time zone, priority smallint, limits jsonb, at timestamp with time zone) RETURNS TABLE(gate text, detail text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
declare
  _need record;
  _name text;
  _ahead bigint;
  _burst integer;
  _cell interval;
  _empty boolean;
  _free timestamptz;
  _others constant boolean := (select count(*) > 1 from pgqueue.lane_waits w where w.job_id = why_limits.id);
begin
  gate := 'limit';
  for _need in
    select o.key as name, o.value ->> 'key' as key, (o.value ->> 'weight')::integer as weight, r.name is not null as known, r.rate, r.per, r.burst, r.concurrency,
           coalesce(l.held, 0) as held, l.tat, l.slot,
           exists (select from pgqueue.lane_waits w where w.job_id = why_limits.id and w.kind = 'limit' and w.name = o.key and w.key = o.value ->> 'key') as waits
    from jsonb_each(limits) o
    left join pgqueue.limit_rules r on r.name = o.key
    left join pgqueue.lanes l on l.kind = 'limit' and l.name = o.key and l.key = o.value ->> 'key'
    order by o.key collate "C"
  loop
    _name := format('limit %L', _need.name) || case when _need.key = '' then '' else format(' for key %L', _need.key) end
             || case when _need.weight = 1 then '' else format(' (weight %s)', _need.weight) end;
    if not _need.known then
      detail := format('%s is not defined, and holds all its jobs until somebody says what it is: `app.limit` in the code or set_limit in SQL; or correct the name where the job is enqueued', _name);
      return next;
    elsif _need.held + least(_need.weight, _need.concurrency) > _need.concurrency
          or _need.waits and run_at = 'infinity' and (_need.concurrency is not null or not _others) then
      _ahead := (select count(*) from (
        select from pgqueue.lane_waits w
        where w.kind = 'limit' and w.name = _need.name and w.key = _need.key and (w.priority, w.job_id) < (why_limits.priority, why_limits.id) limit 10000) a);
      detail := format('%s: %s permits are out%s; %s before it in the line; %s', _name, _need.held || coalesce(' of ' || _need.concurrency, ''),
        (select ', to ' || string_agg(case when h.place = 6 then 'others' else format('job %s', h.job_id) || coalesce(format(' (worker %s)', h.worker_id), '') end, ', ' order by h.place)
         from (select p.job_id, j.worker_id, row_number() over (order by p.job_id) as place
               from (select x.job_id from pgqueue.permits x where x.kind = 'limit' and x.name = _need.name and x.key = _need.key order by x.job_id limit 6) p
               left join pgqueue.queued_jobs j on j.id = p.job_id) h),
        pgqueue.told_count(_ahead, 'job', 'jobs'),
        case when _need.concurrency is null then 'the limit does not count them any more, and lets its line go when one comes back'
             when _need.held + least(_need.weight, _need.concurrency) > _need.concurrency then 'it is called when permits come back, or when set_limit gives it more'
             else 'permits are free, and housekeeping calls the first in the line within seconds' end);
      return next;
    elsif _need.rate is not null then
      _burst := coalesce(_need.burst, pgqueue.default_burst(_need.rate, _need.per));
      _cell := _need.per / _need.rate;
      _empty := greatest(_need.tat, at) + _cell * least(_need.weight, _burst) - _cell * _burst > at;
      if _need.waits and run_at > at and run_at < 'infinity' and (_empty or not _others) then
        _free := run_at;
      elsif _empty or not _need.waits and _need.slot > at then
        _free := greatest(_need.slot, greatest(_need.tat, at) - _cell * _burst) + _cell * _need.weight;
      else
        continue;
      end if;
      detail := format('%s: %s in %s, %s at once at the most, are granted, and that is used up; its grant comes at %s, in %s; set_limit gives it a higher rate', _name,
                       _need.rate, pgqueue.told_span(_need.per), _burst, pgqueue.told_time(_free), pgqueue.told_span(_free - at));
      return next;
    end if;
  end loop;
end $$;
CREATE FUNCTION pgqueue.why_running(worker_id bigint, attempt integer, started_at timestamp with time zone, at timestamp with time zone) RETURNS TABLE(gate text, detail text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
declare
  _worker record;
begin
  select w.host, w.pid, w.lost_at, w.heartbeat_at, w.heartbeat_at + w.lease as until into _worker
  from pgqueue.worker_processes w where w.id = why_running.worker_id;
  if not found then
    return query select 'lost_worker', format('attempt %s was begun at %s by worker %s, which is not in the table of workers any more: nothing hands the job on',
                                              attempt, pgqueue.told_time(started_at), worker_id);
  elsif _worker.lost_at is not null then
    return query select 'lost_worker', format('worker %s (%s, pid %s) was declared lost at %s while attempt %s ran; the job is handed on as soon as the transaction that has locked it ends',
                                              worker_id, _worker.host, _worker.pid, pgqueue.told_time(_worker.lost_at), attempt);
  elsif _worker.until < at then
    return query select 'lost_worker', format('worker %s (%s, pid %s), which runs attempt %s, is silent since %s, and its lease ended %s ago; any living worker declares it lost and hands the job on within seconds%s',
                                              worker_id, _worker.host, _worker.pid, attempt, pgqueue.told_time(_worker.heartbeat_at), pgqueue.told_span(at - _worker.until),
                                              case when not exists (select from pgqueue.worker_processes w where w.lost_at is null and w.heartbeat_at + w.lease >= at)
                                                   then ', but none is alive: start one with `pgq work`' else '' end);
  else
    return query select 'running', format('attempt %s runs on worker %s (%s, pid %s) since %s (%s), with a lease until %s, extended by each heartbeat',
                                          attempt, worker_id, _worker.host, _worker.pid, pgqueue.told_time(started_at), pgqueue.told_span(at - started_at),
                                          pgqueue.told_time(_worker.until));
  end if;
end $$;
CREATE FUNCTION pgqueue.why_share(id bigint, queue text, fair_key text, priority smallint) RETURNS TABLE(gate text, detail text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
declare
  _fair boolean;
  _ahead bigint;
  _dealt bigint;
begin
  if exists (select from pgqueue.permits p where p.job_id = why_share.id and p.kind = 'fair') then
    return;
  end if;
  _fair := exists (select from pgqueue.queue_policies p where p.queue = why_share.queue and p.fair);
  if not _fair and not exists (select from pgqueue.lane_waits w where w.job_id = why_share.id and w.kind = 'fair') then
    return;
  end if;
  _ahead := (select count(*) from (
    select from pgqueue.lane_waits w
    where w.kind = 'fair' and w.name = why_share.queue and w.key = why_share.fair_key and (w.priority, w.job_id) < (why_share.priority, why_share.id) limit 10000) a);
  _dealt := (select count(*) from (
    select from pgqueue.permits p where p.kind = 'fair' and p.name = why_share.queue and p.key = why_share.fair_key limit 10000) d);
  return query select 'fair_share', format('queue %L deals its jobs out in shares, by the weights of their keys: in the line of key %L (weight %s) %s before it, and %s dealt out and not claimed yet%s',
    queue, fair_key, coalesce((select f.weight from pgqueue.fair_weights f where f.queue = why_share.queue and f.key = why_share.fair_key), 1),
    pgqueue.told_count(_ahead, 'job', 'jobs'), pgqueue.told_count(_dealt, 'job of this key', 'jobs of this key'),
    case when _fair then '' else '; the queue does not share fairly any more, and housekeeping makes this job due within seconds' end);
end $$;
CREATE FUNCTION pgqueue.why_workers(queue text, task text, full_too boolean, at timestamp with time zone) RETURNS TABLE(gate text, detail text)
    LANGUAGE plpgsql STABLE
    AS $_$
#variable_conflict use_column
declare
  _alive record;
  _like text;
begin
  select count(*) as workers, count(*) filter (where serves) as serving, count(*) filter (where serves and knows) as able,
         bool_or(free) filter (where serves and knows) as free, sum(running) filter (where serves and knows) as running, sum(concurrency) filter (where serves and knows) as places
  into _alive
  from (select why_workers.queue = any (w.queues) as serves, why_workers.task = any (w.tasks) as knows, w.running < w.concurrency as free, w.running, w.concurrency
        from pgqueue.worker_processes w where w.lost_at is null and w.heartbeat_at + w.lease >= at) w;
  if _alive.serving = 0 then
    return query select 'no_worker', format('%s: start one with `pgq work APP -q %s`',
      case _alive.workers when 0 then 'no worker is alive' when 1 then format('the one living worker does not serve queue %L', queue)
                          else format('none of the %s living workers serves queue %L', _alive.workers, queue) end, queue);
  elsif _alive.able = 0 then
    select string_agg(quote_literal(n.task), ', ' order by n.task) into _like
    from (select distinct t.task from pgqueue.worker_processes w, unnest(w.tasks) as t (task)
          where w.lost_at is null and w.heartbeat_at + w.lease >= at and why_workers.queue = any (w.queues)
            and lower(substring(t.task from '[^.]*$')) = lower(substring(why_workers.task from '[^.]*$'))
          order by t.task limit 5) n;
    return query select 'unknown_task', format('%s registered task %L%s: deploy the code that has it, or correct the name where the job is enqueued',
      case _alive.serving when 1 then format('the one living worker of queue %L has not', queue) else format('none of the %s living workers of queue %L has', _alive.serving, queue) end,
      task, coalesce('; known there and alike: ' || _like, ''));
  elsif full_too and not _alive.free then
    return query select 'workers_full', format('all workers that could run it are full: %s of %s places taken in %s process%s, by their last heartbeats; more processes or a higher concurrency add places',
                                              _alive.running, _alive.places, _alive.able, case _alive.able when 1 then '' else 'es' end);
  end if;
end $_$;
CREATE TABLE pgqueue.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE pgqueue.attempt_lines (
    job_id bigint NOT NULL,
    logged_at timestamp with time zone NOT NULL,
    attempt integer NOT NULL,
    lines jsonb NOT NULL
)
PARTITION BY RANGE (logged_at);
CREATE TABLE pgqueue.job_args (
    id bigint NOT NULL,
    day date NOT NULL,
    args jsonb NOT NULL,
    meta jsonb,
    gates jsonb
)
PARTITION BY RANGE (day);
CREATE VIEW pgqueue.attempt_logs AS
 SELECT job_id,
    attempt,
    logged_at,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN lines
            ELSE NULL::jsonb
        END AS lines
   FROM pgqueue.attempt_lines l;
CREATE TABLE pgqueue.dead_jobs (
    id bigint NOT NULL,
    died_at timestamp with time zone NOT NULL,
    run_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    worker_id bigint,
    args_day date NOT NULL,
    attempt integer NOT NULL,
    priority smallint NOT NULL,
    failures smallint NOT NULL,
    losses smallint NOT NULL,
    max_attempts smallint,
    suspect boolean NOT NULL,
    queue text NOT NULL,
    task text NOT NULL,
    key text,
    timeout interval,
    error jsonb NOT NULL,
    attempts jsonb NOT NULL
);
CREATE TABLE pgqueue.finished_jobs (
    id bigint NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    run_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    worker_id bigint,
    args_day date NOT NULL,
    attempt integer NOT NULL,
    priority smallint NOT NULL,
    failures smallint NOT NULL,
    losses smallint NOT NULL,
    max_attempts smallint,
    succeeded boolean NOT NULL,
    suspect boolean NOT NULL,
    queue text NOT NULL,
    task text NOT NULL,
    key text,
    timeout interval,
    result jsonb,
    error jsonb
)
PARTITION BY RANGE (finished_at);
CREATE TABLE pgqueue.job_attempts (
    job_id bigint NOT NULL,
    logged_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    worker_id bigint NOT NULL,
    attempt integer NOT NULL,
    outcome text NOT NULL,
    error jsonb
)
PARTITION BY RANGE (logged_at);
CREATE VIEW pgqueue.attempts AS
 SELECT t.job_id,
    t.attempt,
    t.worker_id,
    t.started_at,
    t.finished_at,
    t.outcome,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN t.error
            ELSE NULL::jsonb
        END AS error
   FROM pgqueue.job_attempts t
UNION ALL
 SELECT f.id AS job_id,
    f.attempt,
    f.worker_id,
    f.started_at,
    f.finished_at,
        CASE
            WHEN f.succeeded THEN 'succeeded'::text
            ELSE 'cancelled'::text
        END AS outcome,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN f.error
            ELSE NULL::jsonb
        END AS error
   FROM pgqueue.finished_jobs f
  WHERE (f.worker_id IS NOT NULL)
UNION ALL
 SELECT d.id AS job_id,
    e.attempt,
    e.worker_id,
    e.started_at,
    e.finished_at,
    e.outcome,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN e.error
            ELSE NULL::jsonb
        END AS error
   FROM pgqueue.dead_jobs d,
    LATERAL jsonb_to_recordset(d.attempts) e(attempt integer, worker_id bigint, started_at timestamp with time zone, finished_at timestamp with time zone, outcome text, error jsonb);
CREATE TABLE pgqueue.audit_log (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    db_user text NOT NULL
);
CREATE VIEW pgqueue.audit AS
 SELECT id,
    at,
    actor,
    role,
    action,
    target,
    detail,
    db_user
   FROM pgqueue.audit_log l;
ALTER TABLE pgqueue.audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgqueue.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE pgqueue.cancel_requests (
    job_id bigint NOT NULL,
    requested_at timestamp with time zone NOT NULL
);
CREATE TABLE pgqueue.compatibility (
    only_row boolean DEFAULT true NOT NULL,
    oldest_client text NOT NULL,
    CONSTRAINT compatibility_only_row_check CHECK (only_row)
);
CREATE TABLE pgqueue.depth_minutes (
    minute timestamp with time zone NOT NULL,
    queue text NOT NULL,
    scheduled bigint NOT NULL,
    blocked bigint NOT NULL,
    ready bigint NOT NULL,
    running bigint NOT NULL,
    dead bigint NOT NULL,
    oldest_due_seconds double precision,
    estimated boolean NOT NULL
);
CREATE VIEW pgqueue.depth_history AS
 SELECT minute,
    queue,
    scheduled,
    blocked,
    ready,
    running,
    dead,
    oldest_due_seconds,
    estimated
   FROM pgqueue.depth_minutes d;
CREATE TABLE pgqueue.failover_jobs (
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    job_id bigint NOT NULL,
    worker_id bigint NOT NULL,
    finding text NOT NULL
);
CREATE TABLE pgqueue.failovers (
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    old_system bigint NOT NULL,
    old_timeline integer NOT NULL,
    noticed_at timestamp with time zone NOT NULL,
    begins_lsn pg_lsn,
    seen_lsn pg_lsn,
    seen_at timestamp with time zone,
    kept_at timestamp with time zone,
    workers integer DEFAULT 0 NOT NULL,
    dismissed_at timestamp with time zone
);
CREATE TABLE pgqueue.fair_weights (
    queue text NOT NULL,
    key text NOT NULL,
    weight integer DEFAULT 1 NOT NULL,
    CONSTRAINT fair_weights_weight_check CHECK (((weight >= 1) AND (weight <= 1000)))
);
CREATE TABLE pgqueue.flow_deltas (
    id bigint NOT NULL,
    child_id bigint NOT NULL,
    pending integer NOT NULL,
    breached integer NOT NULL,
    missed integer NOT NULL,
    hits integer NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='2000', autovacuum_vacuum_cost_delay='0');
ALTER TABLE pgqueue.flow_deltas ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgqueue.flow_deltas_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE pgqueue.flow_links (
    parent_id bigint NOT NULL,
    child_id bigint NOT NULL,
    place integer NOT NULL,
    condition text NOT NULL,
    CONSTRAINT flow_links_condition_check CHECK ((condition = ANY (ARRAY['succeeded'::text, 'ended'::text, 'failed'::text, 'not_failed'::text, 'if_succeeded'::text])))
);
CREATE VIEW pgqueue.flow_jobs AS
 SELECT flow_id,
    id,
    name,
    role,
    task,
    COALESCE(outcome,
        CASE
            WHEN blocked THEN 'blocked'::text
            ELSE NULL::text
        END, ( SELECT
                CASE
                    WHEN (j.worker_id IS NOT NULL) THEN 'running'::text
                    WHEN (j.run_at = 'infinity'::timestamp with time zone) THEN 'blocked'::text
                    WHEN (j.run_at > clock_timestamp()) THEN 'scheduled'::text
                    ELSE 'ready'::text
                END AS "case"
           FROM pgqueue.queued_jobs j
          WHERE (j.id = n.id))) AS state,
    ARRAY( SELECT l.parent_id
           FROM pgqueue.flow_links l
          WHERE (l.child_id = n.id)
          ORDER BY l.place, l.parent_id) AS after,
    ended_at,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN result
            ELSE NULL::jsonb
        END AS result
   FROM pgqueue.flow_nodes n
  WHERE (flow_id IS NOT NULL);
CREATE TABLE pgqueue.job_flows (
    id bigint NOT NULL,
    kind text NOT NULL,
    name text,
    created_at timestamp with time zone NOT NULL,
    cancelled_at timestamp with time zone,
    CONSTRAINT job_flows_kind_check CHECK ((kind = ANY (ARRAY['chain'::text, 'group'::text, 'dag'::text, 'batch'::text, 'saga'::text])))
);
CREATE VIEW pgqueue.flows AS
 SELECT f.id,
    f.kind,
    f.name,
    f.created_at,
        CASE
            WHEN (c.unfinished > 0) THEN
            CASE
                WHEN (((c.failed + c.cancelled) > 0) AND (c.unfinished = c.stuck)) THEN 'failed'::text
                ELSE 'running'::text
            END
            WHEN (f.cancelled_at IS NOT NULL) THEN 'cancelled'::text
            WHEN ((c.failed + c.cancelled) > 0) THEN 'failed'::text
            ELSE 'succeeded'::text
        END AS state,
    c.total,
    c.succeeded,
    c.failed,
    c.cancelled,
    c.running,
    (c.unfinished - c.running) AS waiting,
    c.skipped,
    f.cancelled_at,
        CASE
            WHEN (c.unfinished = 0) THEN c.ended_at
            ELSE NULL::timestamp with time zone
        END AS finished_at
   FROM pgqueue.job_flows f,
    LATERAL ( SELECT count(*) AS total,
            count(*) FILTER (WHERE (n.outcome = 'succeeded'::text)) AS succeeded,
            count(*) FILTER (WHERE (n.outcome = 'dead'::text)) AS failed,
            count(*) FILTER (WHERE (n.outcome = 'cancelled'::text)) AS cancelled,
            count(*) FILTER (WHERE (n.outcome = 'skipped'::text)) AS skipped,
            count(*) FILTER (WHERE (n.outcome IS NULL)) AS unfinished,
            count(*) FILTER (WHERE ((n.outcome IS NULL) AND n.blocked)) AS stuck,
            count(*) FILTER (WHERE ((n.outcome IS NULL) AND (NOT n.blocked) AND (EXISTS ( SELECT
                   FROM pgqueue.queued_jobs j
                  WHERE ((j.id = n.id) AND (j.worker_id IS NOT NULL)))))) AS running,
            max(n.ended_at) AS ended_at
           FROM pgqueue.flow_nodes n
          WHERE ((n.flow_id = f.id) AND n.is_job)) c;
CREATE TABLE pgqueue.incident_log (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    worker_id bigint NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    kind text NOT NULL,
    jobs bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    stack text
);
ALTER TABLE pgqueue.incident_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgqueue.incident_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE SEQUENCE pgqueue.job_ids
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE pgqueue.job_keys (
    job_id bigint NOT NULL,
    until timestamp with time zone,
    queue text NOT NULL,
    key text NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='2000', autovacuum_vacuum_cost_delay='0');
CREATE TABLE pgqueue.job_progress (
    job_id bigint NOT NULL,
    token bigint NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    fraction double precision,
    note text,
    CONSTRAINT job_progress_fraction_check CHECK (((fraction >= (0)::double precision) AND (fraction <= (1)::double precision)))
)
WITH (fillfactor='50');
CREATE TABLE pgqueue.job_schedules (
    name text NOT NULL,
    task text NOT NULL,
    args jsonb DEFAULT '{}'::jsonb NOT NULL,
    meta jsonb,
    queue text DEFAULT 'default'::text NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    limits jsonb,
    cron text,
    every interval,
    timezone text DEFAULT 'UTC'::text NOT NULL,
    jitter interval,
    missed text DEFAULT 'once'::text NOT NULL,
    missed_limit integer DEFAULT 100 NOT NULL,
    overlap text DEFAULT 'allow'::text NOT NULL,
    declared jsonb,
    since timestamp with time zone NOT NULL,
    paused_at timestamp with time zone,
    last_at timestamp with time zone,
    next_at timestamp with time zone,
    last_job_id bigint,
    run_job_id bigint,
    retry_at timestamp with time zone,
    error text,
    CONSTRAINT job_schedules_check CHECK ((num_nonnulls(cron, every) = 1)),
    CONSTRAINT job_schedules_every_check CHECK ((every >= '00:00:01'::interval)),
    CONSTRAINT job_schedules_jitter_check CHECK ((jitter > '00:00:00'::interval)),
    CONSTRAINT job_schedules_missed_check CHECK ((missed = ANY (ARRAY['skip'::text, 'once'::text, 'all'::text]))),
    CONSTRAINT job_schedules_missed_limit_check CHECK (((missed_limit >= 1) AND (missed_limit <= 10000))),
    CONSTRAINT job_schedules_name_check CHECK (((octet_length(name) >= 1) AND (octet_length(name) <= 200))),
    CONSTRAINT job_schedules_overlap_check CHECK ((overlap = ANY (ARRAY['allow'::text, 'skip'::text]))),
    CONSTRAINT job_schedules_priority_check CHECK (((priority >= '-100'::integer) AND (priority <= 100)))
);
CREATE TABLE pgqueue.job_steps (
    job_id bigint NOT NULL,
    stored_at timestamp with time zone NOT NULL,
    attempt integer NOT NULL,
    name text NOT NULL,
    result jsonb NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='2000');
CREATE VIEW pgqueue.jobs AS
 SELECT j.id,
    j.task,
    j.queue,
        CASE
            WHEN (j.worker_id IS NOT NULL) THEN 'running'::text
            WHEN (j.run_at = 'infinity'::timestamp with time zone) THEN 'blocked'::text
            WHEN (j.run_at > clock_timestamp()) THEN 'scheduled'::text
            ELSE 'ready'::text
        END AS state,
    j.priority,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN a.args
            ELSE NULL::jsonb
        END AS args,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN a.meta
            ELSE NULL::jsonb
        END AS meta,
    j.key,
    (a.gates ->> 'group'::text) AS group_key,
    j.attempt,
    j.max_attempts,
    NULLIF(j.run_at, 'infinity'::timestamp with time zone) AS run_at,
    j.created_at,
    j.started_at,
    NULL::timestamp with time zone AS finished_at,
    j.worker_id,
    p.fraction AS progress,
    NULL::jsonb AS result,
        CASE
            WHEN (((j.failures > 0) OR (j.losses > 0) OR j.suspect) AND ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege)) THEN ( SELECT t.error
               FROM pgqueue.job_attempts t
              WHERE ((t.job_id = j.id) AND (t.error IS NOT NULL))
              ORDER BY t.attempt DESC
             LIMIT 1)
            ELSE NULL::jsonb
        END AS error,
    p.note AS progress_note,
    j.failures,
    j.losses,
    j.expires_at,
    j.timeout,
    j.suspect
   FROM ((pgqueue.queued_jobs j
     LEFT JOIN pgqueue.job_args a ON (((a.id = j.id) AND (a.day = j.args_day))))
     LEFT JOIN pgqueue.job_progress p ON (((p.job_id = j.id) AND ((j.token IS NULL) OR (p.token = j.token)))))
UNION ALL
 SELECT f.id,
    f.task,
    f.queue,
        CASE
            WHEN f.succeeded THEN 'succeeded'::text
            ELSE 'cancelled'::text
        END AS state,
    f.priority,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN a.args
            ELSE NULL::jsonb
        END AS args,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN a.meta
            ELSE NULL::jsonb
        END AS meta,
    f.key,
    (a.gates ->> 'group'::text) AS group_key,
    f.attempt,
    f.max_attempts,
    f.run_at,
    f.created_at,
    f.started_at,
    f.finished_at,
    f.worker_id,
        CASE
            WHEN f.succeeded THEN 1
            ELSE NULL::integer
        END AS progress,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN f.result
            ELSE NULL::jsonb
        END AS result,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN f.error
            ELSE NULL::jsonb
        END AS error,
    NULL::text AS progress_note,
    f.failures,
    f.losses,
    NULL::timestamp with time zone AS expires_at,
    f.timeout,
    f.suspect
   FROM (pgqueue.finished_jobs f
     LEFT JOIN pgqueue.job_args a ON (((a.id = f.id) AND (a.day = f.args_day))))
UNION ALL
 SELECT d.id,
    d.task,
    d.queue,
    'dead'::text AS state,
    d.priority,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN a.args
            ELSE NULL::jsonb
        END AS args,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN a.meta
            ELSE NULL::jsonb
        END AS meta,
    d.key,
    (a.gates ->> 'group'::text) AS group_key,
    d.attempt,
    d.max_attempts,
    d.run_at,
    d.created_at,
    d.started_at,
    d.died_at AS finished_at,
    d.worker_id,
    NULL::double precision AS progress,
    NULL::jsonb AS result,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN d.error
            ELSE NULL::jsonb
        END AS error,
    NULL::text AS progress_note,
    d.failures,
    d.losses,
    NULL::timestamp with time zone AS expires_at,
    d.timeout,
    d.suspect
   FROM (pgqueue.dead_jobs d
     LEFT JOIN pgqueue.job_args a ON (((a.id = d.id) AND (a.day = d.args_day))));
CREATE TABLE pgqueue.lane_waits (
    kind text NOT NULL,
    name text NOT NULL,
    key text NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    job_id bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='2000', autovacuum_vacuum_cost_delay='0');
CREATE TABLE pgqueue.lanes (
    kind text NOT NULL,
    name text NOT NULL,
    key text NOT NULL,
    held bigint DEFAULT 0 NOT NULL,
    tat timestamp with time zone,
    slot timestamp with time zone,
    CONSTRAINT lanes_kind_check CHECK ((kind = ANY (ARRAY['fair'::text, 'group'::text, 'limit'::text])))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='2000', autovacuum_vacuum_cost_delay='0');
CREATE TABLE pgqueue.limit_rules (
    name text NOT NULL,
    rate double precision,
    per interval DEFAULT '00:00:01'::interval NOT NULL,
    burst integer,
    concurrency integer,
    declared jsonb,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT limit_rules_burst_check CHECK ((burst > 0)),
    CONSTRAINT limit_rules_check CHECK (((rate IS NOT NULL) OR (concurrency IS NOT NULL))),
    CONSTRAINT limit_rules_concurrency_check CHECK ((concurrency > 0)),
    CONSTRAINT limit_rules_name_check CHECK (((octet_length(name) >= 1) AND (octet_length(name) <= 200))),
    CONSTRAINT limit_rules_per_check CHECK ((per > '00:00:00'::interval)),
    CONSTRAINT limit_rules_rate_check CHECK (((rate > (0)::double precision) AND (rate < 'Infinity'::double precision)))
);
CREATE VIEW pgqueue.limits AS
 SELECT r.name,
    l.key,
    r.rate,
    r.per,
        CASE
            WHEN (r.rate IS NOT NULL) THEN COALESCE(r.burst, pgqueue.default_burst(r.rate, r.per))
            ELSE NULL::integer
        END AS burst,
    r.concurrency,
    COALESCE(l.held, (0)::bigint) AS held,
    ( SELECT count(*) AS count
           FROM pgqueue.lane_waits w
          WHERE ((w.kind = 'limit'::text) AND (w.name = l.name) AND (w.key = l.key))) AS waiting,
    (r.declared IS NOT NULL) AS in_code,
    r.changed_at
   FROM (pgqueue.limit_rules r
     LEFT JOIN pgqueue.lanes l ON (((l.kind = 'limit'::text) AND (l.name = r.name))));
CREATE TABLE pgqueue.overall_minutes (
    minute timestamp with time zone NOT NULL,
    succeeded bigint DEFAULT 0 NOT NULL,
    failed bigint DEFAULT 0 NOT NULL,
    lag_seconds double precision
)
WITH (fillfactor='60');
CREATE VIEW pgqueue.overall_history AS
 SELECT minute,
    succeeded,
    failed,
    lag_seconds
   FROM pgqueue.overall_minutes m;
CREATE VIEW pgqueue.partitions AS
 SELECT (p.relname)::text AS name,
    to_date("right"((c.relname)::text, 8), 'YYYYMMDD'::text) AS day,
    pg_stat_get_live_tuples(c.oid) AS rows_estimate,
    pg_stat_get_dead_tuples(c.oid) AS dead_rows,
    pg_total_relation_size((c.oid)::regclass) AS bytes
   FROM (((pg_class p
     JOIN pg_namespace n ON ((n.oid = p.relnamespace)))
     JOIN pg_inherits i ON ((i.inhparent = p.oid)))
     JOIN pg_class c ON ((c.oid = i.inhrelid)))
  WHERE ((n.nspname = 'pgqueue'::name) AND (p.relkind = 'p'::"char") AND (c.relname ~ '_[0-9]{8}$'::text));
CREATE TABLE pgqueue.paused_queues (
    queue text NOT NULL,
    paused_at timestamp with time zone NOT NULL
);
CREATE TABLE pgqueue.permits (
    job_id bigint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    key text NOT NULL,
    weight integer DEFAULT 1 NOT NULL,
    granted_at timestamp with time zone NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='2000', autovacuum_vacuum_cost_delay='0');
CREATE VIEW pgqueue.permit_holders AS
 SELECT p.kind,
    p.name,
    p.key,
    p.job_id,
    p.weight,
    j.task,
    j.worker_id,
    p.granted_at
   FROM (pgqueue.permits p
     LEFT JOIN pgqueue.queued_jobs j ON ((j.id = p.job_id)))
  WHERE (p.kind <> 'fair'::text);
CREATE TABLE pgqueue.queue_policies (
    queue text NOT NULL,
    fair boolean DEFAULT false NOT NULL,
    aging interval,
    CONSTRAINT queue_policies_aging_check CHECK ((aging > '00:00:00'::interval))
);
CREATE TABLE pgqueue.queue_quotas (
    queue text NOT NULL,
    number integer NOT NULL,
    max_depth bigint NOT NULL,
    CONSTRAINT queue_quotas_max_depth_check CHECK (((max_depth >= 1) AND (max_depth <= 1000000000)))
);
ALTER TABLE pgqueue.queue_quotas ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgqueue.queue_quotas_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE pgqueue.statistics_minutes (
    minute timestamp with time zone NOT NULL,
    queue text NOT NULL,
    task text NOT NULL,
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    dead bigint NOT NULL,
    cancelled bigint NOT NULL,
    lost bigint NOT NULL,
    snoozed bigint NOT NULL,
    released bigint NOT NULL,
    wait_seconds double precision NOT NULL,
    wait_buckets bigint[] NOT NULL,
    run_seconds double precision NOT NULL,
    run_buckets bigint[] NOT NULL
)
WITH (fillfactor='60', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='2000');
CREATE VIEW pgqueue.queues AS
 WITH rates AS (
         SELECT m.queue,
            sum(((m.succeeded)::numeric * w.weight)) AS done,
            sum(((((m.failed + m.lost) + m.dead))::numeric * w.weight)) AS failed
           FROM (pgqueue.statistics_minutes m
             CROSS JOIN LATERAL ( SELECT (LEAST((1)::double precision, (date_part('epoch'::text, ((m.minute + '00:06:00'::interval) - now())) / (60)::double precision)))::numeric AS weight) w)
          WHERE (m.minute > (now() - '00:06:00'::interval))
          GROUP BY m.queue
        )
 SELECT COALESCE(d.queue, h.queue) AS queue,
    COALESCE(d.paused, false) AS paused,
    COALESCE(d.scheduled, (0)::bigint) AS scheduled,
    COALESCE(d.blocked, (0)::bigint) AS blocked,
    COALESCE(d.ready, (0)::bigint) AS ready,
    COALESCE(d.running, (0)::bigint) AS running,
    COALESCE(h.succeeded, (0)::bigint) AS succeeded,
    COALESCE(h.cancelled, (0)::bigint) AS cancelled,
    COALESCE(d.dead, (0)::bigint) AS dead,
    d.oldest_due_age,
    round((COALESCE(r.done, (0)::numeric) / 5.0), 1) AS throughput,
    round((COALESCE(r.failed, (0)::numeric) / 5.0), 1) AS failures,
    COALESCE(d.estimated, false) AS estimated,
    COALESCE(h.estimated, false) AS history_estimated
   FROM ((pgqueue.depths() d(queue, paused, scheduled, blocked, ready, running, dead, oldest_due_age, estimated)
     FULL JOIN pgqueue.history_depths() h(queue, succeeded, cancelled, estimated) ON ((h.queue = d.queue)))
     LEFT JOIN rates r ON ((r.queue = COALESCE(d.queue, h.queue))));
CREATE TABLE pgqueue.schedule_ticks (
    schedule text NOT NULL,
    tick_at timestamp with time zone NOT NULL,
    job_id bigint
);
CREATE VIEW pgqueue.schedules AS
 SELECT name,
    task,
    cron,
    timezone,
    (paused_at IS NOT NULL) AS paused,
    last_at,
    next_at,
    every,
    jitter,
    missed,
    missed_limit,
    overlap,
    queue,
    priority,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN args
            ELSE NULL::jsonb
        END AS args,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN meta
            ELSE NULL::jsonb
        END AS meta,
    limits,
    last_job_id,
    (declared IS NOT NULL) AS in_code,
    error
   FROM pgqueue.job_schedules s;
CREATE TABLE pgqueue.settings (
    only_row boolean DEFAULT true NOT NULL,
    max_args_bytes integer DEFAULT 1048576 NOT NULL,
    max_losses smallint DEFAULT 2 NOT NULL,
    retention interval DEFAULT '14 days'::interval NOT NULL,
    CONSTRAINT settings_max_args_bytes_check CHECK ((max_args_bytes > 0)),
    CONSTRAINT settings_max_losses_check CHECK ((max_losses > 0)),
    CONSTRAINT settings_only_row_check CHECK (only_row),
    CONSTRAINT settings_retention_check CHECK ((retention >= '1 day'::interval))
);
COMMENT ON COLUMN pgqueue.settings.max_losses IS 'workers that a job may lose while it runs alone before it becomes a dead letter; it runs alone from its first loss on';
CREATE VIEW pgqueue.statistics AS
 SELECT minute,
    queue,
    task,
    succeeded,
    failed,
    dead,
    cancelled,
    lost,
    snoozed,
    released,
    wait_seconds,
    wait_buckets,
    run_seconds,
    run_buckets
   FROM pgqueue.statistics_minutes m;
CREATE TABLE pgqueue.statistics_state (
    only_row boolean DEFAULT true NOT NULL,
    folded_to timestamp with time zone NOT NULL,
    stretch_seconds double precision DEFAULT 10 NOT NULL,
    sampled_minute timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    summarized_day date DEFAULT '2000-01-01'::date NOT NULL,
    finished_ranges bigint DEFAULT 0 NOT NULL,
    attempts_ranges bigint DEFAULT 0 NOT NULL,
    CONSTRAINT statistics_state_only_row_check CHECK (only_row)
)
WITH (fillfactor='50');
CREATE TABLE pgqueue.statistics_sums (
    queue text NOT NULL,
    task text NOT NULL,
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    dead bigint NOT NULL,
    cancelled bigint NOT NULL,
    lost bigint NOT NULL,
    snoozed bigint NOT NULL,
    released bigint NOT NULL,
    wait_seconds double precision NOT NULL,
    wait_buckets bigint[] NOT NULL,
    run_seconds double precision NOT NULL,
    run_buckets bigint[] NOT NULL,
    counted_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='40', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='2000');
CREATE VIEW pgqueue.statistics_totals AS
 SELECT queue,
    task,
    succeeded,
    failed,
    dead,
    cancelled,
    lost,
    snoozed,
    released,
    wait_seconds,
    wait_buckets,
    run_seconds,
    run_buckets
   FROM pgqueue.statistics_sums s;
CREATE VIEW pgqueue.steps AS
 SELECT job_id,
    name,
    attempt,
    stored_at,
        CASE
            WHEN ( SELECT has_table_privilege(('pgqueue.job_args'::regclass)::oid, 'SELECT'::text) AS has_table_privilege) THEN result
            ELSE NULL::jsonb
        END AS result
   FROM pgqueue.job_steps s;
CREATE TABLE pgqueue.worker_processes (
    id bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    heartbeat_at timestamp with time zone NOT NULL,
    lost_at timestamp with time zone,
    lease interval NOT NULL,
    epoch integer DEFAULT 0 NOT NULL,
    pid integer NOT NULL,
    concurrency integer NOT NULL,
    running integer DEFAULT 0 NOT NULL,
    rescued boolean DEFAULT false NOT NULL,
    listener_pid integer,
    listener_at timestamp with time zone,
    host text NOT NULL,
    queues text[] NOT NULL,
    tasks text[] NOT NULL,
    version text,
    stuck text,
    stuck_since timestamp with time zone,
    CONSTRAINT worker_processes_lease_check CHECK ((lease > '00:00:00'::interval))
)
WITH (fillfactor='50');
CREATE VIEW pgqueue.workers AS
 SELECT id,
    host,
    pid,
    queues,
    tasks,
    concurrency,
    running,
    started_at,
    heartbeat_at,
    ((lost_at IS NULL) AND ((heartbeat_at + lease) >= now())) AS alive,
    version,
        CASE
            WHEN (lost_at < (now() - '00:15:00'::interval)) THEN NULL::text
            WHEN (stuck IS NOT NULL) THEN stuck
            WHEN ((lost_at IS NULL) AND ((heartbeat_at + ((0.8)::double precision * lease)) < now())) THEN 'silent'::text
            ELSE NULL::text
        END AS stuck,
        CASE
            WHEN (lost_at < (now() - '00:15:00'::interval)) THEN NULL::timestamp with time zone
            WHEN (stuck IS NOT NULL) THEN stuck_since
            WHEN ((lost_at IS NULL) AND ((heartbeat_at + ((0.8)::double precision * lease)) < now())) THEN heartbeat_at
            ELSE NULL::timestamp with time zone
        END AS stuck_since
   FROM pgqueue.worker_processes w;
CREATE VIEW pgqueue.unknown_tasks AS
 WITH RECURSIVE lines AS (
        ( SELECT j.queue,
            j.priority
           FROM pgqueue.queued_jobs j
          WHERE (NOT j.suspect)
          ORDER BY j.queue, j.priority
         LIMIT 1)
        UNION ALL
         SELECT n.queue,
            n.priority
           FROM lines l_1,
            LATERAL ( SELECT j.queue,
                    j.priority
                   FROM pgqueue.queued_jobs j
                  WHERE ((NOT j.suspect) AND (ROW(j.queue, j.priority) > ROW(l_1.queue, l_1.priority)))
                  ORDER BY j.queue, j.priority
                 LIMIT 1) n
        ), known AS (
         SELECT q.queue,
            t.task
           FROM pgqueue.workers w,
            LATERAL unnest(w.queues) q(queue),
            LATERAL unnest(w.tasks) t(task)
          WHERE w.alive
          GROUP BY q.queue, t.task
        )
 SELECT DISTINCT h.queue,
    h.task
   FROM lines l,
    LATERAL ( SELECT j.queue,
            j.task,
            j.worker_id
           FROM pgqueue.queued_jobs j
          WHERE ((NOT j.suspect) AND (j.queue = l.queue) AND (j.priority = l.priority) AND (j.run_at < (clock_timestamp() - '00:00:10'::interval)))
          ORDER BY j.run_at, j.id
         LIMIT 200) h
  WHERE ((h.worker_id IS NULL) AND (EXISTS ( SELECT
           FROM known k
          WHERE (k.queue = h.queue))) AND (NOT (EXISTS ( SELECT
           FROM known k
          WHERE ((k.queue = h.queue) AND (k.task = h.task))))));
CREATE VIEW pgqueue.worker_incidents AS
 SELECT id,
    at,
    worker_id,
    host,
    pid,
    kind,
    jobs,
    detail,
    stack
   FROM pgqueue.incident_log i;
ALTER TABLE ONLY pgqueue.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY pgqueue.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY pgqueue.cancel_requests
    ADD CONSTRAINT cancel_requests_pkey PRIMARY KEY (job_id);
ALTER TABLE ONLY pgqueue.compatibility
    ADD CONSTRAINT compatibility_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY pgqueue.dead_jobs
    ADD CONSTRAINT dead_jobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY pgqueue.depth_minutes
    ADD CONSTRAINT depth_minutes_pkey PRIMARY KEY (minute, queue);
ALTER TABLE ONLY pgqueue.failover_jobs
    ADD CONSTRAINT failover_jobs_pkey PRIMARY KEY (system_identifier, timeline, job_id, worker_id, finding);
ALTER TABLE ONLY pgqueue.failovers
    ADD CONSTRAINT failovers_pkey PRIMARY KEY (system_identifier, timeline);
ALTER TABLE ONLY pgqueue.fair_weights
    ADD CONSTRAINT fair_weights_pkey PRIMARY KEY (queue, key);
ALTER TABLE ONLY pgqueue.flow_deltas
    ADD CONSTRAINT flow_deltas_pkey PRIMARY KEY (id);
ALTER TABLE ONLY pgqueue.flow_links
    ADD CONSTRAINT flow_links_pkey PRIMARY KEY (parent_id, child_id);
ALTER TABLE ONLY pgqueue.flow_nodes
    ADD CONSTRAINT flow_nodes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY pgqueue.incident_log
    ADD CONSTRAINT incident_log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY pgqueue.job_args
    ADD CONSTRAINT job_args_pkey PRIMARY KEY (id, day);
ALTER TABLE ONLY pgqueue.job_flows
    ADD CONSTRAINT job_flows_pkey PRIMARY KEY (id);
ALTER TABLE ONLY pgqueue.job_keys
    ADD CONSTRAINT job_keys_pkey PRIMARY KEY (queue, key);
ALTER TABLE ONLY pgqueue.job_progress
    ADD CONSTRAINT job_progress_pkey PRIMARY KEY (job_id);
ALTER TABLE ONLY pgqueue.job_schedules
    ADD CONSTRAINT job_schedules_pkey PRIMARY KEY (name);
ALTER TABLE ONLY pgqueue.job_steps
    ADD CONSTRAINT job_steps_pkey PRIMARY KEY (job_id, name);
ALTER TABLE ONLY pgqueue.lane_waits
    ADD CONSTRAINT lane_waits_pkey PRIMARY KEY (kind, name, key, priority, job_id);
ALTER TABLE ONLY pgqueue.lanes
    ADD CONSTRAINT lanes_pkey PRIMARY KEY (kind, name, key);
ALTER TABLE ONLY pgqueue.limit_rules
    ADD CONSTRAINT limit_rules_pkey PRIMARY KEY (name);
ALTER TABLE ONLY pgqueue.overall_minutes
    ADD CONSTRAINT overall_minutes_pkey PRIMARY KEY (minute);
ALTER TABLE ONLY pgqueue.paused_queues
    ADD CONSTRAINT paused_queues_pkey PRIMARY KEY (queue);
ALTER TABLE ONLY pgqueue.permits
    ADD CONSTRAINT permits_pkey PRIMARY KEY (job_id, kind, name, key);
ALTER TABLE ONLY pgqueue.queue_policies
    ADD CONSTRAINT queue_policies_pkey PRIMARY KEY (queue);
ALTER TABLE ONLY pgqueue.queue_quotas
    ADD CONSTRAINT queue_quotas_pkey PRIMARY KEY (queue);
ALTER TABLE ONLY pgqueue.queued_jobs
    ADD CONSTRAINT queued_jobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY pgqueue.schedule_ticks
    ADD CONSTRAINT schedule_ticks_pkey PRIMARY KEY (schedule, tick_at);
ALTER TABLE ONLY pgqueue.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY pgqueue.statistics_minutes
    ADD CONSTRAINT statistics_minutes_pkey PRIMARY KEY (minute, queue, task);
ALTER TABLE ONLY pgqueue.statistics_state
    ADD CONSTRAINT statistics_state_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY pgqueue.statistics_sums
    ADD CONSTRAINT statistics_sums_pkey PRIMARY KEY (queue, task);
ALTER TABLE ONLY pgqueue.worker_processes
    ADD CONSTRAINT worker_processes_pkey PRIMARY KEY (id);
CREATE INDEX attempt_lines_job ON ONLY pgqueue.attempt_lines USING btree (job_id, attempt);
CREATE INDEX audit_log_at ON pgqueue.audit_log USING btree (at);
CREATE INDEX dead_jobs_queue ON pgqueue.dead_jobs USING btree (queue, id);
CREATE INDEX dead_jobs_time ON pgqueue.dead_jobs USING btree (died_at);
CREATE INDEX finished_jobs_id ON ONLY pgqueue.finished_jobs USING btree (id);
CREATE INDEX finished_jobs_key ON ONLY pgqueue.finished_jobs USING btree (queue, key) WHERE (key IS NOT NULL);
CREATE INDEX finished_jobs_time ON ONLY pgqueue.finished_jobs USING brin (finished_at) WITH (pages_per_range='32', autosummarize='on');
CREATE INDEX flow_deltas_child ON pgqueue.flow_deltas USING btree (child_id);
CREATE INDEX flow_links_child ON pgqueue.flow_links USING btree (child_id, place, parent_id);
CREATE INDEX flow_nodes_flow ON pgqueue.flow_nodes USING btree (flow_id, place);
CREATE INDEX incident_log_worker ON pgqueue.incident_log USING btree (worker_id, id);
CREATE INDEX job_attempts_job ON ONLY pgqueue.job_attempts USING btree (job_id, attempt);
CREATE INDEX job_attempts_time ON ONLY pgqueue.job_attempts USING brin (logged_at) WITH (pages_per_range='32', autosummarize='on');
CREATE INDEX job_keys_until ON pgqueue.job_keys USING btree (until) WHERE (until IS NOT NULL);
CREATE INDEX job_schedules_due ON pgqueue.job_schedules USING btree (COALESCE(retry_at, next_at, '-infinity'::timestamp with time zone)) WHERE (paused_at IS NULL);
CREATE INDEX lane_waits_job ON pgqueue.lane_waits USING btree (job_id);
CREATE INDEX permits_lane ON pgqueue.permits USING btree (kind, name, key, job_id);
CREATE INDEX queued_jobs_claim ON pgqueue.queued_jobs USING btree (queue, priority, run_at, id) WHERE (NOT suspect);
CREATE INDEX queued_jobs_suspect ON pgqueue.queued_jobs USING btree (queue, priority, run_at, id) WHERE suspect;
ALTER TABLE ONLY pgqueue.schedule_ticks
    ADD CONSTRAINT schedule_ticks_schedule_fkey FOREIGN KEY (schedule) REFERENCES pgqueue.job_schedules(name) ON DELETE CASCADE;
GRANT USAGE ON SCHEMA pgqueue TO pgqueue_producer;
GRANT USAGE ON SCHEMA pgqueue TO pgqueue_worker;
GRANT USAGE ON SCHEMA pgqueue TO pgqueue_viewer;
GRANT USAGE ON SCHEMA pgqueue TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.add_nodes(flow_id bigint, entries jsonb, rank bigint, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.add_nodes(flow_id bigint, entries jsonb, rank bigint, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.add_nodes(flow_id bigint, entries jsonb, rank bigint, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.add_to_flow(job_id bigint, token bigint, jobs jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.add_to_flow(job_id bigint, token bigint, jobs jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.add_to_flow(job_id bigint, token bigint, jobs jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.adopt_parents(ids bigint[], at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.adopt_parents(ids bigint[], at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.adopt_parents(ids bigint[], at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.advance_nodes(ended bigint[], ready bigint[], at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.advance_nodes(ended bigint[], ready bigint[], at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.advance_nodes(ended bigint[], ready bigint[], at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.attempt_evidence(attempt integer, worker_id bigint, started_at timestamp with time zone, finished_at timestamp with time zone, outcome text, error jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.attempt_evidence(attempt integer, worker_id bigint, started_at timestamp with time zone, finished_at timestamp with time zone, outcome text, error jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.attempt_evidence(attempt integer, worker_id bigint, started_at timestamp with time zone, finished_at timestamp with time zone, outcome text, error jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.backlog(queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.backlog(queue text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.backlog(queue text) TO pgqueue_viewer;
GRANT ALL ON FUNCTION pgqueue.backlog(queue text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.batch_ends(ids bigint[], blocked boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.batch_ends(ids bigint[], blocked boolean) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.batch_ends(ids bigint[], blocked boolean) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.beat(worker_id bigint, running integer, listener_pid integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.beat(worker_id bigint, running integer, listener_pid integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.beat(worker_id bigint, running integer, listener_pid integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.breaches(condition text, outcome text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.breaches(condition text, outcome text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.breaches(condition text, outcome text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.bucket_bounds() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.bucket_bounds() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.bucket_bounds() TO pgqueue_viewer;
GRANT ALL ON FUNCTION pgqueue.bucket_bounds() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.bucket_of(seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.bucket_of(seconds double precision) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.bucket_of(seconds double precision) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.call_waiting(name text, key text, free bigint, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.call_waiting(name text, key text, free bigint, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.call_waiting(name text, key text, free bigint, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.cancel(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.cancel(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.cancel(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.cancel_dead(id bigint, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.cancel_dead(id bigint, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.cancel_dead(id bigint, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.cancel_flow(flow_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.cancel_flow(flow_id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.cancel_flow(flow_id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.cancel_waiting(id bigint, at timestamp with time zone, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.cancel_waiting(id bigint, at timestamp with time zone, reason text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.cancel_waiting(id bigint, at timestamp with time zone, reason text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.carry_args(day date) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.carry_args(day date) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.carry_args(day date) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.check_new_jobs(jobs jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.check_new_jobs(jobs jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.check_new_jobs(jobs jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.claim(worker_id bigint, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[], marks_at timestamp with time zone[], marks_id bigint[], at timestamp with time zone, aging interval, series integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.claim(worker_id bigint, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[], marks_at timestamp with time zone[], marks_id bigint[], at timestamp with time zone, aging interval, series integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.claim(worker_id bigint, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[], marks_at timestamp with time zone[], marks_id bigint[], at timestamp with time zone, aging interval, series integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.claim_alone(worker_id bigint, epoch integer, token bigint, queue text, tasks text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.claim_alone(worker_id bigint, epoch integer, token bigint, queue text, tasks text[]) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.claim_alone(worker_id bigint, epoch integer, token bigint, queue text, tasks text[]) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.complete(id bigint, token bigint, result jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.complete(id bigint, token bigint, result jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.complete(id bigint, token bigint, result jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.deal(queue text, wanted integer, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.deal(queue text, wanted integer, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.deal(queue text, wanted integer, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.declare_limits(definitions jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.declare_limits(definitions jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.declare_limits(definitions jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.declare_schedules(definitions jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.declare_schedules(definitions jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.declare_schedules(definitions jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.default_burst(rate double precision, per interval) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.default_burst(rate double precision, per interval) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.default_burst(rate double precision, per interval) TO pgqueue_viewer;
GRANT ALL ON FUNCTION pgqueue.default_burst(rate double precision, per interval) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.depths() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.depths() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.depths() TO pgqueue_viewer;
GRANT ALL ON FUNCTION pgqueue.depths() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.drop_day(partition text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.drop_day(partition text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.drop_day(partition text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.drop_limit(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.drop_limit(name text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.end_blocked(ids bigint[], at timestamp with time zone, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.end_blocked(ids bigint[], at timestamp with time zone, reason text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.end_blocked(ids bigint[], at timestamp with time zone, reason text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.end_listener(pid integer, started_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.end_listener(pid integer, started_at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.end_listener(pid integer, started_at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.ended(ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.ended(ids bigint[]) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.ended(ids bigint[]) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.enforce_quota() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgqueue.enqueue(task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, group_key text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, key_policy text, key_period interval, delay interval, limits jsonb, fair_key text, group_retry text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.enqueue(task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, group_key text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, key_policy text, key_period interval, delay interval, limits jsonb, fair_key text, group_retry text) TO pgqueue_producer;
GRANT ALL ON FUNCTION pgqueue.enqueue(task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, group_key text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, key_policy text, key_period interval, delay interval, limits jsonb, fair_key text, group_retry text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.enqueue(task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, group_key text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, key_policy text, key_period interval, delay interval, limits jsonb, fair_key text, group_retry text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.enqueue_flow(flow jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.enqueue_flow(flow jsonb) TO pgqueue_producer;
GRANT ALL ON FUNCTION pgqueue.enqueue_flow(flow jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.enqueue_flow(flow jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.enqueue_many(jobs jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.enqueue_many(jobs jsonb) TO pgqueue_producer;
GRANT ALL ON FUNCTION pgqueue.enqueue_many(jobs jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.enqueue_many(jobs jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.enqueue_special(task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, group_key text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, key_policy text, key_period interval, delay interval, limits jsonb, fair_key text, group_retry text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.enqueue_special(task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, group_key text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, key_policy text, key_period interval, delay interval, limits jsonb, fair_key text, group_retry text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.enqueue_special(task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, group_key text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, key_policy text, key_period interval, delay interval, limits jsonb, fair_key text, group_retry text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.ensure_day(at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.ensure_day(at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.ensure_day(at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.expired_days() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.expired_days() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.expired_days() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.flow_entries_error(entries jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.flow_entries_error(entries jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.flow_entries_error(entries jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.flow_entry_names() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.flow_entry_names() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.flow_entry_names() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.flow_links_of(entries jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.flow_links_of(entries jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.flow_links_of(entries jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.flow_order(size integer, parents integer[], children integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.flow_order(size integer, parents integer[], children integer[]) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.flow_order(size integer, parents integer[], children integer[]) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.flow_parents(job_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.flow_parents(job_id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.flow_parents(job_id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.fold_nodes() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.fold_nodes() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.fold_nodes() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.fold_statistics(lag interval) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.fold_statistics(lag interval) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.fold_statistics(lag interval) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.fold_window(from_at timestamp with time zone, to_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.fold_window(from_at timestamp with time zone, to_at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.fold_window(from_at timestamp with time zone, to_at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.gate(ids bigint[], queue text, tasks text[], at timestamp with time zone, room integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.gate(ids bigint[], queue text, tasks text[], at timestamp with time zone, room integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.gate(ids bigint[], queue text, tasks text[], at timestamp with time zone, room integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.gate_groups(ids bigint[], queue text, at timestamp with time zone, room integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.gate_groups(ids bigint[], queue text, at timestamp with time zone, room integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.gate_groups(ids bigint[], queue text, at timestamp with time zone, room integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.gate_limits(ids bigint[], queue text, tasks text[], at timestamp with time zone, room integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.gate_limits(ids bigint[], queue text, tasks text[], at timestamp with time zone, room integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.gate_limits(ids bigint[], queue text, tasks text[], at timestamp with time zone, room integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.gate_shares(ids bigint[], queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.gate_shares(ids bigint[], queue text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.gate_shares(ids bigint[], queue text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.grant_roles() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgqueue.guard(id bigint, token bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.guard(id bigint, token bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.guard(id bigint, token bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.hand_on(queue text, group_key text, at timestamp with time zone, wait boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.hand_on(queue text, group_key text, at timestamp with time zone, wait boolean) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.hand_on(queue text, group_key text, at timestamp with time zone, wait boolean) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.hand_on_idle() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.hand_on_idle() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.hand_on_idle() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.history_depths() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.history_depths() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.history_depths() TO pgqueue_viewer;
GRANT ALL ON FUNCTION pgqueue.history_depths() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.hits(condition text, outcome text, verdict boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.hits(condition text, outcome text, verdict boolean) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.hits(condition text, outcome text, verdict boolean) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.hold_key(job_id bigint, queue text, key text, until timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.hold_key(job_id bigint, queue text, key text, until timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.hold_key(job_id bigint, queue text, key text, until timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.hold_keys(jobs jsonb, ids bigint[], at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.hold_keys(jobs jsonb, ids bigint[], at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.hold_keys(jobs jsonb, ids bigint[], at timestamp with time zone) TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.flow_nodes TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.flow_nodes TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.is_node(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.is_node(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.is_node(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.is_undone(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.is_undone(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.is_undone(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.iso_time(moment timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.iso_time(moment timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.iso_time(moment timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.job_gates(group_key text, group_retry text, limits jsonb, fair_key text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.job_gates(group_key text, group_retry text, limits jsonb, fair_key text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.job_gates(group_key text, group_retry text, limits jsonb, fair_key text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.jobs_ahead(queue text, priority smallint, run_at timestamp with time zone, id bigint, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.jobs_ahead(queue text, priority smallint, run_at timestamp with time zone, id bigint, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.jobs_ahead(queue text, priority smallint, run_at timestamp with time zone, id bigint, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.judge(pending integer, breached integer, missed integer, hits integer, asks_failure boolean, verdict boolean, on_failure text, patient boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.judge(pending integer, breached integer, missed integer, hits integer, asks_failure boolean, verdict boolean, on_failure text, patient boolean) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.judge(pending integer, breached integer, missed integer, hits integer, asks_failure boolean, verdict boolean, on_failure text, patient boolean) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.keep_logs(logs jsonb, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.keep_logs(logs jsonb, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.keep_logs(logs jsonb, at timestamp with time zone) TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.queued_jobs TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.queued_jobs TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.key_holds(job_id bigint, until timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.key_holds(job_id bigint, until timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.key_holds(job_id bigint, until timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.known_schedule(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.known_schedule(name text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.known_schedule(name text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.lease_states(ids bigint[], tokens bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.lease_states(ids bigint[], tokens bigint[]) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.lease_states(ids bigint[], tokens bigint[]) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.leave(worker_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.leave(worker_id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.leave(worker_id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.let_go(ids bigint[], at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.let_go(ids bigint[], at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.let_go(ids bigint[], at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.limit_rule_error(name text, rate double precision, per interval, burst integer, concurrency integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.limit_rule_error(name text, rate double precision, per interval, burst integer, concurrency integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.limit_rule_error(name text, rate double precision, per interval, burst integer, concurrency integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.limits_error(limits jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.limits_error(limits jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.limits_error(limits jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.line_up(ids bigint[], at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.line_up(ids bigint[], at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.line_up(ids bigint[], at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.lock_reach(ids bigint[], mays boolean[], breached integer[], missed integer[], hits integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.lock_reach(ids bigint[], mays boolean[], breached integer[], missed integer[], hits integer[]) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.lock_reach(ids bigint[], mays boolean[], breached integer[], missed integer[], hits integer[]) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.make_lane(kind text, name text, key text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.make_lane(kind text, name text, key text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.make_lane(kind text, name text, key text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.make_partitions(first_day date, days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.make_partitions(first_day date, days integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.make_partitions(first_day date, days integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.meet_holder(holder bigint, task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, key_policy text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, day date, place text, gates jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.meet_holder(holder bigint, task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, key_policy text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, day date, place text, gates jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.meet_holder(holder bigint, task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, key_policy text, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, day date, place text, gates jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.meet_holders(jobs jsonb, ids bigint[], at timestamp with time zone, day date) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.meet_holders(jobs jsonb, ids bigint[], at timestamp with time zone, day date) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.meet_holders(jobs jsonb, ids bigint[], at timestamp with time zone, day date) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.misses(condition text, outcome text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.misses(condition text, outcome text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.misses(condition text, outcome text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.named_queues(queues text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.named_queues(queues text[]) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.named_queues(queues text[]) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.new_job_error(job jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.new_job_error(job jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.new_job_error(job jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.new_job_names() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.new_job_names() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.new_job_names() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.note_action(actor text, role text, action text, target text, detail jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.note_action(actor text, role text, action text, target text, detail jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.note_failover(system_identifier bigint, timeline integer, old_system bigint, old_timeline integer, lsns pg_lsn[], times timestamp with time zone[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.note_failover(system_identifier bigint, timeline integer, old_system bigint, old_timeline integer, lsns pg_lsn[], times timestamp with time zone[]) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.note_failover(system_identifier bigint, timeline integer, old_system bigint, old_timeline integer, lsns pg_lsn[], times timestamp with time zone[]) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.note_incident(worker_id bigint, host text, pid integer, kind text, jobs bigint[], detail text, stack text, ago interval) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.note_incident(worker_id bigint, host text, pid integer, kind text, jobs bigint[], detail text, stack text, ago interval) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.note_incident(worker_id bigint, host text, pid integer, kind text, jobs bigint[], detail text, stack text, ago interval) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.oldest_due(queue text, tasks text[], max_jobs integer, priorities smallint[], at timestamp with time zone, aging interval) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.oldest_due(queue text, tasks text[], max_jobs integer, priorities smallint[], at timestamp with time zone, aging interval) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.oldest_due(queue text, tasks text[], max_jobs integer, priorities smallint[], at timestamp with time zone, aging interval) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.park(ids bigint[], kind text, name text, key text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.park(ids bigint[], kind text, name text, key text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.park(ids bigint[], kind text, name text, key text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.pause(queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.pause(queue text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.pause_schedule(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.pause_schedule(name text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.priorities(queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.priorities(queue text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.priorities(queue text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.recall_skipped(ids bigint[], at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.recall_skipped(ids bigint[], at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.recall_skipped(ids bigint[], at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.reconcile(worker_id bigint, ids bigint[], tokens bigint[], created timestamp with time zone[], ended_ids bigint[], ended_at timestamp with time zone[], spared bigint[], system_identifier bigint, timeline integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.reconcile(worker_id bigint, ids bigint[], tokens bigint[], created timestamp with time zone[], ended_ids bigint[], ended_at timestamp with time zone[], spared bigint[], system_identifier bigint, timeline integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.reconcile(worker_id bigint, ids bigint[], tokens bigint[], created timestamp with time zone[], ended_ids bigint[], ended_at timestamp with time zone[], spared bigint[], system_identifier bigint, timeline integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.recover(worker_id bigint, token bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.recover(worker_id bigint, token bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.recover(worker_id bigint, token bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.redrive(queue text, task text, "limit" integer, ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.redrive(queue text, task text, "limit" integer, ids bigint[]) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.register_worker(id bigint, host text, pid integer, queues text[], tasks text[], concurrency integer, lease interval, version text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.register_worker(id bigint, host text, pid integer, queues text[], tasks text[], concurrency integer, lease interval, version text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.register_worker(id bigint, host text, pid integer, queues text[], tasks text[], concurrency integer, lease interval, version text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.release(ids bigint[], at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.release(ids bigint[], at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.release(ids bigint[], at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.release_line(kind text, name text, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.release_line(kind text, name text, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.release_line(kind text, name text, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.remove(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.remove(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.reopen_nodes(ids bigint[], at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.reopen_nodes(ids bigint[], at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.reopen_nodes(ids bigint[], at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.replace_job(id bigint, task text, args jsonb, priority integer, run_at timestamp with time zone, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, day date, gates jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.replace_job(id bigint, task text, args jsonb, priority integer, run_at timestamp with time zone, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, day date, gates jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.replace_job(id bigint, task text, args jsonb, priority integer, run_at timestamp with time zone, max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, day date, gates jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.report_progress(reports jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.report_progress(reports jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.report_progress(reports jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.requeue_cancelled(ids bigint[], at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.requeue_cancelled(ids bigint[], at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.requeue_cancelled(ids bigint[], at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.requeue_dead(ids bigint[], at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.requeue_dead(ids bigint[], at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.requeue_dead(ids bigint[], at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.requeue_dead_singly(ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.requeue_dead_singly(ids bigint[]) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.requeue_dead_singly(ids bigint[]) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.rescue(max_jobs integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.rescue(max_jobs integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.rescue(max_jobs integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.resume(queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.resume(queue text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.resume_schedule(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.resume_schedule(name text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.retry(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.retry(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.retry(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.retry_flow(flow_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.retry_flow(flow_id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.retry_flow(flow_id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.role_name(kind text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.role_name(kind text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.role_name(kind text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.role_rights(kind text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgqueue.run_schedule(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.run_schedule(name text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.sample_depths(minute timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.sample_depths(minute timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.sample_depths(minute timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.save_limit(name text, rate double precision, per interval, burst integer, concurrency integer, declared jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.save_limit(name text, rate double precision, per interval, burst integer, concurrency integer, declared jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.save_limit(name text, rate double precision, per interval, burst integer, concurrency integer, declared jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.save_schedule(definition jsonb, from_code boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.save_schedule(definition jsonb, from_code boolean) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.save_schedule(definition jsonb, from_code boolean) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.schedule(name text, task text, cron text, every interval, args jsonb, timezone text, queue text, priority integer, missed text, missed_limit integer, overlap text, jitter interval, meta jsonb, limits jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.schedule(name text, task text, cron text, every interval, args jsonb, timezone text, queue text, priority integer, missed text, missed_limit integer, overlap text, jitter interval, meta jsonb, limits jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.schedule_error(definition jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.schedule_error(definition jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.schedule_error(definition jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.schedule_failed(name text, since timestamp with time zone, expected_next_at timestamp with time zone, error text, retry_after interval) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.schedule_failed(name text, since timestamp with time zone, expected_next_at timestamp with time zone, error text, retry_after interval) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.schedule_failed(name text, since timestamp with time zone, expected_next_at timestamp with time zone, error text, retry_after interval) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.schema_name() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.schema_name() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.schema_name() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.server_state(OUT system_identifier bigint, OUT timeline integer, OUT started_at timestamp with time zone, OUT lsn pg_lsn) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.server_state(OUT system_identifier bigint, OUT timeline integer, OUT started_at timestamp with time zone, OUT lsn pg_lsn) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.server_state(OUT system_identifier bigint, OUT timeline integer, OUT started_at timestamp with time zone, OUT lsn pg_lsn) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.set_limit(name text, rate double precision, per interval, burst integer, concurrency integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.set_limit(name text, rate double precision, per interval, burst integer, concurrency integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.set_queue(queue text, fair boolean, aging interval, max_depth bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.set_queue(queue text, fair boolean, aging interval, max_depth bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.set_quota(queue text, max_depth bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.set_quota(queue text, max_depth bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.set_share(queue text, key text, weight integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.set_share(queue text, key text, weight integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.settle(outcomes jsonb, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.settle(outcomes jsonb, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.settle(outcomes jsonb, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.settle_nodes(ended jsonb, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.settle_nodes(ended jsonb, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.settle_nodes(ended jsonb, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.settle_succeeded(ids bigint[], tokens bigint[], at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.settle_succeeded(ids bigint[], tokens bigint[], at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.settle_succeeded(ids bigint[], tokens bigint[], at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.skips(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.skips(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.skips(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.step(worker_id bigint, epoch integer, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[], marks_at timestamp with time zone[], marks_id bigint[], done_ids bigint[], done_tokens bigint[], outcomes jsonb, series integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.step(worker_id bigint, epoch integer, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[], marks_at timestamp with time zone[], marks_id bigint[], done_ids bigint[], done_tokens bigint[], outcomes jsonb, series integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.step(worker_id bigint, epoch integer, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[], marks_at timestamp with time zone[], marks_id bigint[], done_ids bigint[], done_tokens bigint[], outcomes jsonb, series integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.step_logging(logs jsonb, worker_id bigint, epoch integer, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[], marks_at timestamp with time zone[], marks_id bigint[], done_ids bigint[], done_tokens bigint[], outcomes jsonb, series integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.step_logging(logs jsonb, worker_id bigint, epoch integer, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[], marks_at timestamp with time zone[], marks_id bigint[], done_ids bigint[], done_tokens bigint[], outcomes jsonb, series integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.step_logging(logs jsonb, worker_id bigint, epoch integer, token bigint, queue text, tasks text[], max_jobs integer, priorities smallint[], marks_at timestamp with time zone[], marks_id bigint[], done_ids bigint[], done_tokens bigint[], outcomes jsonb, series integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.store_step(id bigint, token bigint, name text, result jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.store_step(id bigint, token bigint, name text, result jsonb) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.store_step(id bigint, token bigint, name text, result jsonb) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.stored_state(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.stored_state(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.stored_state(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.stored_steps(id bigint, token bigint, name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.stored_steps(id bigint, token bigint, name text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.stored_steps(id bigint, token bigint, name text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.sum_buckets(a bigint[], b bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.sum_buckets(a bigint[], b bigint[]) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.sum_buckets(a bigint[], b bigint[]) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.summarize_history(day date) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.summarize_history(day date) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.summarize_history(day date) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.sweep_cancel_requests() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.sweep_cancel_requests() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.sweep_cancel_requests() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.sweep_flows() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.sweep_flows() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.sweep_flows() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.sweep_lanes() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.sweep_lanes() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.sweep_lanes() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.sweep_lines() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.sweep_lines() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.sweep_lines() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.sweep_steps(after bigint, max_jobs integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.sweep_steps(after bigint, max_jobs integer) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.sweep_steps(after bigint, max_jobs integer) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.take_series(heads bigint[], queue text, tasks text[], series integer, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.take_series(heads bigint[], queue text, tasks text[], series integer, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.take_series(heads bigint[], queue text, tasks text[], series integer, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.tell_undone(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.tell_undone(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.tell_undone(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.tick(name text, since timestamp with time zone, expected_next_at timestamp with time zone, ticks timestamp with time zone[], next_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.tick(name text, since timestamp with time zone, expected_next_at timestamp with time zone, ticks timestamp with time zone[], next_at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.tick(name text, since timestamp with time zone, expected_next_at timestamp with time zone, ticks timestamp with time zone[], next_at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.timeline_begin() FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.timeline_begin() TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.timeline_begin() TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.told_count(count bigint, one text, many text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.told_count(count bigint, one text, many text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.told_count(count bigint, one text, many text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.told_job(id bigint, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.told_job(id bigint, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.told_job(id bigint, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.told_span(span interval) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.told_span(span interval) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.told_span(span interval) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.told_time(at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.told_time(at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.told_time(at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.try_waiting(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.try_waiting(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.try_waiting(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.unknown_flow(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.unknown_flow(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.unknown_flow(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.unknown_job(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.unknown_job(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.unknown_job(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.unknown_outcome(outcome text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.unknown_outcome(outcome text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.unknown_outcome(outcome text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.unschedule(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.unschedule(name text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.version_parts(version text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.version_parts(version text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.version_parts(version text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.wake_key(queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.wake_key(queue text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.wake_key(queue text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.wake_channel(queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.wake_channel(queue text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.wake_channel(queue text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.wake(queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.wake(queue text) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.wake(queue text) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.why(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.why(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.why(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.why_barrier(id bigint, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.why_barrier(id bigint, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.why_barrier(id bigint, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.why_dependency(id bigint, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.why_dependency(id bigint, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.why_dependency(id bigint, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.why_due(id bigint, run_at timestamp with time zone, failures integer, created_at timestamp with time zone, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.why_due(id bigint, run_at timestamp with time zone, failures integer, created_at timestamp with time zone, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.why_due(id bigint, run_at timestamp with time zone, failures integer, created_at timestamp with time zone, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.why_ended(id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.why_ended(id bigint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.why_ended(id bigint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.why_group(id bigint, queue text, group_key text, run_at timestamp with time zone, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.why_group(id bigint, queue text, group_key text, run_at timestamp with time zone, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.why_group(id bigint, queue text, group_key text, run_at timestamp with time zone, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.why_limits(id bigint, run_at timestamp with time zone, priority smallint, limits jsonb, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.why_limits(id bigint, run_at timestamp with time zone, priority smallint, limits jsonb, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.why_limits(id bigint, run_at timestamp with time zone, priority smallint, limits jsonb, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.why_running(worker_id bigint, attempt integer, started_at timestamp with time zone, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.why_running(worker_id bigint, attempt integer, started_at timestamp with time zone, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.why_running(worker_id bigint, attempt integer, started_at timestamp with time zone, at timestamp with time zone) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.why_share(id bigint, queue text, fair_key text, priority smallint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.why_share(id bigint, queue text, fair_key text, priority smallint) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.why_share(id bigint, queue text, fair_key text, priority smallint) TO pgqueue_admin;
REVOKE ALL ON FUNCTION pgqueue.why_workers(queue text, task text, full_too boolean, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgqueue.why_workers(queue text, task text, full_too boolean, at timestamp with time zone) TO pgqueue_worker;
GRANT ALL ON FUNCTION pgqueue.why_workers(queue text, task text, full_too boolean, at timestamp with time zone) TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.alembic_version TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.alembic_version TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.alembic_version TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.attempt_lines TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.attempt_lines TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_args TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_args TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.attempt_logs TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.attempt_logs TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.attempt_logs TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.dead_jobs TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.dead_jobs TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.finished_jobs TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.finished_jobs TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_attempts TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_attempts TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.attempts TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.attempts TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.attempts TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.audit_log TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.audit TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.audit TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.audit TO pgqueue_admin;
GRANT SELECT,USAGE ON SEQUENCE pgqueue.audit_log_id_seq TO pgqueue_worker;
GRANT SELECT,USAGE ON SEQUENCE pgqueue.audit_log_id_seq TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.cancel_requests TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.cancel_requests TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.compatibility TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.compatibility TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.depth_minutes TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.depth_minutes TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.depth_history TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.depth_history TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.depth_history TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.failover_jobs TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.failover_jobs TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.failovers TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.failovers TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.fair_weights TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.fair_weights TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.flow_deltas TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.flow_deltas TO pgqueue_admin;
GRANT SELECT,USAGE ON SEQUENCE pgqueue.flow_deltas_id_seq TO pgqueue_worker;
GRANT SELECT,USAGE ON SEQUENCE pgqueue.flow_deltas_id_seq TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.flow_links TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.flow_links TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.flow_jobs TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.flow_jobs TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.flow_jobs TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_flows TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_flows TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.flows TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.flows TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.flows TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.incident_log TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.incident_log TO pgqueue_admin;
GRANT SELECT,USAGE ON SEQUENCE pgqueue.incident_log_id_seq TO pgqueue_worker;
GRANT SELECT,USAGE ON SEQUENCE pgqueue.incident_log_id_seq TO pgqueue_admin;
GRANT SELECT,USAGE ON SEQUENCE pgqueue.job_ids TO pgqueue_worker;
GRANT SELECT,USAGE ON SEQUENCE pgqueue.job_ids TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_keys TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_keys TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_progress TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_progress TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_schedules TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_schedules TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_steps TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.job_steps TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.jobs TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.jobs TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.jobs TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.lane_waits TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.lane_waits TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.lanes TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.lanes TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.limit_rules TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.limit_rules TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.limits TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.limits TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.limits TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.overall_minutes TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.overall_minutes TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.overall_history TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.overall_history TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.overall_history TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.partitions TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.partitions TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.partitions TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.paused_queues TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.paused_queues TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.permits TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.permits TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.permit_holders TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.permit_holders TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.permit_holders TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.queue_policies TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.queue_policies TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.queue_quotas TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.queue_quotas TO pgqueue_admin;
GRANT SELECT,USAGE ON SEQUENCE pgqueue.queue_quotas_number_seq TO pgqueue_worker;
GRANT SELECT,USAGE ON SEQUENCE pgqueue.queue_quotas_number_seq TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.statistics_minutes TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.statistics_minutes TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.queues TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.queues TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.queues TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.schedule_ticks TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.schedule_ticks TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.schedules TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.schedules TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.schedules TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.settings TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.settings TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.statistics TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.statistics TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.statistics TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.statistics_state TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.statistics_state TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.statistics_sums TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.statistics_sums TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.statistics_totals TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.statistics_totals TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.statistics_totals TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.steps TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.steps TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.steps TO pgqueue_admin;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.worker_processes TO pgqueue_worker;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgqueue.worker_processes TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.workers TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.workers TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.workers TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.unknown_tasks TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.unknown_tasks TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.unknown_tasks TO pgqueue_admin;
GRANT SELECT ON TABLE pgqueue.worker_incidents TO pgqueue_worker;
GRANT SELECT ON TABLE pgqueue.worker_incidents TO pgqueue_viewer;
GRANT SELECT ON TABLE pgqueue.worker_incidents TO pgqueue_admin;
