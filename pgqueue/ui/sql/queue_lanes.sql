-- The groups and fair keys of a queue that have jobs in line or a turn under way, the first `most` by key, their lines counted up to `count_to`.
select l.kind, l.key, (select count(*) from (select from pgqueue.lane_waits w where w.kind = l.kind and w.name = l.name and w.key = l.key limit %(count_to)s::integer) c) as waiting,
       (select p.job_id from pgqueue.permits p where p.kind = l.kind and p.name = l.name and p.key = l.key limit 1) as holder
from (
  select x.kind, x.name, x.key from pgqueue.lanes x where x.kind in ('group', 'fair') and x.name = %(queue)s::text
  order by x.kind, x.key limit %(most)s::integer
) l
