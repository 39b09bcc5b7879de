-- Whether a job is a node of a flow.
create function pgqueue.is_node(id bigint) returns boolean
language sql stable set enable_seqscan = off
return exists (select from pgqueue.flow_nodes n where n.id = is_node.id);

-- What becomes of a node whose counts are these: succeeded (a job may start, a barrier ends), skipped, cancelled, dead, or null: it
-- waits on. One failure is enough for the policies cancel and dead, the rest is judged once all parents have ended.
create function pgqueue.judge(pending integer, breached integer, missed integer, hits integer, asks_failure boolean, verdict boolean,
  on_failure text, patient boolean) returns text
language sql immutable parallel safe
return case
  when missed > 0 then 'skipped'
  when breached > 0 then case when patient or on_failure = 'wait' then null when on_failure = 'dead' then 'dead' else 'cancelled' end
  when pending > 0 then null
  when asks_failure and hits = 0 then 'skipped'
  when verdict and hits > 0 then 'dead'
  else 'succeeded' end;

-- What the end of a parent means to a child, by the condition of their link; each is 0 or 1.
-- breached: it ended as it should not have, on_failure says what happens. missed: the child is skipped. hits: the failure it asks about.
create function pgqueue.breaches(condition text, outcome text) returns integer
language sql immutable parallel safe
return (condition = 'succeeded' and outcome in ('cancelled', 'dead') or condition = 'not_failed' and outcome in ('cancelled', 'dead'))::integer;
create function pgqueue.misses(condition text, outcome text) returns integer
language sql immutable parallel safe
return (condition = 'if_succeeded' and outcome <> 'succeeded' or condition = 'succeeded' and outcome = 'skipped')::integer;
create function pgqueue.hits(condition text, outcome text, verdict boolean) returns integer
language sql immutable parallel safe
return ((condition = 'failed' or verdict) and outcome in ('cancelled', 'dead'))::integer;

-- What the end of these nodes means for others, in the transaction that settles them (I6): an array of {id, outcome, result, error},
-- outcomes succeeded, cancelled and dead. A node that has ended already is passed by, so nothing counts twice; only an operator's
-- retry reopens it (I15). A dead undo tells in its dead letter what is left undone because of it.
-- Locks: these nodes by (rank, id), then their dependants (advance_nodes). Those of running jobs are nobody's child any more.
create function pgqueue.settle_nodes(ended jsonb, at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = off set enable_hashjoin = on set enable_mergejoin = off
set plan_cache_mode = force_generic_plan set jit = off as $$
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

-- Names, in the dead letter of an undo, what stays undone until it is retried: itself, and the undos of its saga that wait for it. A flow
-- may hold several sagas: they are told apart by the links.
create function pgqueue.tell_undone(id bigint) returns void
language plpgsql set enable_seqscan = off as $$
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
