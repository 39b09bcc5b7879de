-- The names that an entry of a flow may have beside those of a new job.
create function pgqueue.flow_entry_names() returns text[]
language sql immutable parallel safe
return array['after', 'on_failure', 'name', 'role', 'barrier', 'gather', 'verdict'];

-- What is wrong with the shape of a flow's entries, null when nothing is: the first bad one, by its place (from 0). What is wrong with a
-- job as such, check_new_jobs tells.
create function pgqueue.flow_entries_error(entries jsonb) returns text
language sql immutable as $$
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

-- The links that entries ask for: child and parent as places (from 1), or the parent's id where it is no entry; an error where one is
-- badly formed. Conditions are as told: `succeeded` unless another is given. An undo and an on_success job are skipped, not
-- failed, when what they are about did not succeed.
create function pgqueue.flow_links_of(entries jsonb) returns table (child integer, parent integer, parent_id bigint, condition text, place integer, error text)
language sql immutable as $$
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
$$;

-- The places of `size` entries in an order in which each comes after its parents. Raises PQ004 for a cycle, naming its entries.
create function pgqueue.flow_order(size integer, parents integer[], children integer[]) returns integer[]
language plpgsql immutable as $$
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
