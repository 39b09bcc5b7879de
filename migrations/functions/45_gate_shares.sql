-- The gate of fair shares: a job of a fair queue that has a key runs when its key's share comes (deal). One that came another way (it
-- was due later, or is tried again) is parked in its key's line. Returns the ids that may go on. Locks: nothing new.
create function pgqueue.gate_shares(ids bigint[], queue text) returns bigint[]
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
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

-- Deals out the shares of a fair queue: of each key's line as many jobs as its weight says, in proportion to what the others with
-- work get, so many that `wanted` jobs can be claimed. What was dealt and not claimed yet counts. A key without work gives its
-- share to the others. Claims take fewer than are dealt, so the jobs of a deal are dated within its last millisecond, each at its place in
-- its key's share: any part of a deal, taken in that order, is in proportion too. One dealer at a time, nobody waits for it.
-- Locks: the queue's lane if it can be had at once, then jobs in line that can be had at once.
create function pgqueue.deal(queue text, wanted integer, at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
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
