-- Tells the children of nodes that have ended (`ended`), judges nodes whose counts are as they should be (`ready`), and goes on with those
-- that end by this, in a loop: however long a chain of barriers and cancellations is, nothing recurses.
-- I6: it runs in the transaction that settled the parents, and it counts only under the child's lock: the rows are locked by one
-- statement and read by the next, whose snapshot is younger than the commits of all who had them before. So of two transactions that
-- settle two last parents the second sees the first one's count and lets the child go, once: `blocked` ends with that.
-- A gathering child is not waited for: who finds its row locked leaves a delta, and whoever has the row next (the next parent, or
-- fold_nodes) adds up. Both may pass each other only in such a way that a delta stays behind, and fold_nodes looks for those.
-- I14: children are locked by (rank, id), which ascends along every link. All children at hand are locked at once only up to the first
-- one that may end by itself and has children, because these may come before the others. Where more than 200 are at hand, when something
-- wide fails, that would take minutes: then all that this can reach is locked at once, in the same order, and gone through wave by wave
-- without waiting any more (lock_reach). Jobs that are let go or end are locked after
-- their node; whoever cancels a blocked job has locked its node first (try_waiting).
-- A death right after it: it has committed with the settle, or neither has.
-- Plans: each table is read by an array of ids or by one id (lateral, not pulled up by its offset 0), whatever the
-- statistics say; arrays of thousands of ids meet in hash joins. What a function
-- sets holds in those that it calls, so each says both.
create function pgqueue.advance_nodes(ended bigint[], ready bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = off set enable_hashjoin = on set enable_mergejoin = off
set plan_cache_mode = force_generic_plan set jit = off as $$
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

-- Locks these nodes, which are being told that parents have ended, and all that may be told because of them, by (rank, id): so that advance_nodes can go
-- through a wide failure in any order (I14). More than needed may be locked: it goes on behind a node that may end by itself, a barrier or
-- one that asks for failures; and behind any node once something has failed before it. What is in the queue and waits for its start ends the walk, so
-- that the ordinary end of many parents reaches only their children. Gathering nodes are tried when they are told, not waited for here.
-- It looks again after it has waited: who links a node to a parent locks the parent first (adopt_parents), so nothing comes behind what is
-- locked. What came while it waited is locked out of order, and so is what a gathering node reaches that learns only now of a failure: only there two
-- could still meet in a deadlock, which PostgreSQL breaks, and whose settle is sent again.
create function pgqueue.lock_reach(ids bigint[], mays boolean[], breached integer[], missed integer[], hits integer[]) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = on set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan set jit = off as $$
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

-- Lets blocked jobs go: they are due from now on, or when they were meant to be. Locks: the jobs in id order.
create function pgqueue.let_go(ids bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = on set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan as $$
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

-- Ends the jobs of nodes that will not run, as their nodes say: cancelled (skipped is a reason), or dead letters that name the parent that
-- failed. A reason that is given is told instead. Their dependants are told by the caller. They were parked and hold no permits. Locks: the jobs in id order, their keys.
create function pgqueue.end_blocked(ids bigint[], at timestamptz, reason text default null) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = on set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan as $$
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
