-- Limits by (name, key) from those given on: their rules, permits that are out, and how many jobs stand in line, counted up to `count_to`.
-- A limit that nobody has used yet has key null.
select r.name, l.key, r.rate, r.per, r.burst, r.concurrency, coalesce(l.held, 0) as held, r.declared is not null as in_code, r.changed_at,
       (select count(*) from (select from pgqueue.lane_waits w where w.kind = 'limit' and w.name = r.name and w.key = l.key limit %(count_to)s::integer) c) as waiting
from pgqueue.limit_rules r
left join lateral (
  select x.key, x.held from pgqueue.lanes x
  where x.kind = 'limit' and x.name = r.name and (r.name > %(name)s::text or x.key > %(key)s::text)
  order by x.key limit %(most)s::integer
) l on true
where r.name >= %(name)s::text and (r.name > %(name)s::text or l.key is not null) and (%(only)s::text is null or r.name = %(only)s::text)
order by r.name, l.key
limit %(most)s::integer
