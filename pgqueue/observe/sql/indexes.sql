-- Each index of our tables, those of days aside: its size, and how many live rows it may have to hold, as in `tables`.
select x.relname::text as name, pg_relation_size(x.oid) as bytes, 
  case when num_nonnulls(s.last_vacuum, s.last_autovacuum, s.last_analyze, s.last_autoanalyze) > 0 then s.n_live_tup
       else greatest(s.n_live_tup, t.reltuples::bigint) end as live
from pg_index i join pg_class x on x.oid = i.indexrelid join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace
join pg_stat_user_tables s on s.relid = t.oid
where n.nspname = 'pgqueue' and t.relkind = 'r' and not t.relispartition and i.indisvalid
order by x.relname
