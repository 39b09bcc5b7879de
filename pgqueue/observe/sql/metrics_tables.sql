-- Live and dead rows of our tables as the server's statistics have them, days added up, and their size with indexes in bytes.
select regexp_replace(t.relname, '_[0-9]{8}$', '') as name, sum(t.n_live_tup)::bigint as live, sum(t.n_dead_tup)::bigint as dead,
       sum(pg_total_relation_size(t.relid))::bigint as bytes
from pg_stat_user_tables t
where t.schemaname = 'pgqueue'
group by 1
