-- The days of each table that is cut by days: rows and dead rows by the server's own count, bytes with indexes. Counts nothing.
create view pgqueue.partitions as
select p.relname::text as name, to_date(right(c.relname, 8), 'YYYYMMDD') as day, pg_stat_get_live_tuples(c.oid) as rows_estimate,
       pg_stat_get_dead_tuples(c.oid) as dead_rows, pg_total_relation_size(c.oid) as bytes
from pg_catalog.pg_class p
join pg_catalog.pg_namespace n on n.oid = p.relnamespace
join pg_catalog.pg_inherits i on i.inhparent = p.oid
join pg_catalog.pg_class c on c.oid = i.inhrelid
where n.nspname = 'pgqueue' and p.relkind = 'p' and c.relname ~ '_[0-9]{8}$';
