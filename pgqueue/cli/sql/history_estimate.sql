-- Estimates of the history: rows from the planner's density and the size of each partition, the share of successes from
-- the newest 10,000 jobs.
with size as (
  select sum(pg_relation_size(c.oid) / current_setting('block_size')::integer
             * case when c.reltuples > 0 and c.relpages > 0 then c.reltuples / c.relpages else 40 end)::bigint as total
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'pgqueue.finished_jobs'::regclass
), share as (
  select avg(f.succeeded::integer) as succeeded from (select x.succeeded from pgqueue.finished_jobs x order by x.id desc limit 10000) f
)
select round(s.total * coalesce(h.succeeded, 1))::bigint as succeeded, round(s.total * (1 - coalesce(h.succeeded, 1)))::bigint as cancelled
from size s, share h
