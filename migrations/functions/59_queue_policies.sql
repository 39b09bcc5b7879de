-- Says how a queue deals its jobs out; what is null stays as it is. Returns whether anything changed. When it stops being fair, the jobs
-- that waited for their key's share are due now. Raises PQ004; 55P03 as set_quota. Locks: the policy's row, then as set_quota, as release_line.
--   fair   jobs with a fair_key take turns by the weights of their keys (set_share), whatever their number
--   aging  a job that has waited so long counts as one priority higher, and so on; '0' turns it off
--   max_depth  how many unfinished jobs it may hold: then enqueues are refused with PQ007; 0 lifts that (enforce_quota says what is exact)
create function pgqueue.set_queue(queue text, fair boolean default null, aging interval default null, max_depth bigint default null) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
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

-- Says how much of a fair queue a key gets, in proportion to the other keys that have work; a key that nobody spoke of has weight 1, and null
-- or 1 forgets it. Returns whether anything changed. Raises PQ004. Locks: the key's row.
create function pgqueue.set_share(queue text, key text, weight integer) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
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
