-- Each of our tables, days too, by what vacuum goes by. threshold: dead rows at which autovacuum comes; minutes: since a vacuum was there last, or since
-- the server counts; bytes: of its main file; live: as counted, or, while nobody has looked since the counters were lost, as the planner last knew;
-- wanted: what its live rows take by their average width, null while that is not known.
with options as (
  select c.oid, max(o.option_value) filter (where o.option_name = 'autovacuum_enabled') as enabled,
         max(o.option_value) filter (where o.option_name = 'fillfactor') as fillfactor,
         max(o.option_value) filter (where o.option_name = 'autovacuum_vacuum_threshold') as base,
         max(o.option_value) filter (where o.option_name = 'autovacuum_vacuum_scale_factor') as scale
  from pg_class c join pg_namespace n on n.oid = c.relnamespace left join lateral pg_options_to_table(c.reloptions) o on true
  where n.nspname = 'pgqueue' and c.relkind = 'r'
  group by c.oid
), widths as (
  select w.tablename, sum(w.avg_width)::bigint as width from pg_stats w where w.schemaname = 'pgqueue' and not w.inherited group by w.tablename
)
select c.relname::text as name, coalesce(o.enabled, 'true')::boolean as enabled, c.relispartition as day, greatest(age(c.relfrozenxid), coalesce(age(t.relfrozenxid), 0))::bigint as age,
  s.n_dead_tup as dead, l.live,
  (coalesce(o.base, current_setting('autovacuum_vacuum_threshold'))::double precision
   + coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor'))::double precision * greatest(c.reltuples, 0))::bigint as threshold,
  extract(epoch from clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum, d.stats_reset, pg_postmaster_start_time()))::double precision / 60 as minutes,
  pg_relation_size(c.oid) as bytes,
  (l.live * (w.width + 28) * 100 / coalesce(o.fillfactor::integer, 100))::bigint as wanted
from options o join pg_class c on c.oid = o.oid left join pg_class t on t.oid = c.reltoastrelid
join pg_stat_user_tables s on s.relid = c.oid left join widths w on w.tablename = c.relname
cross join lateral (select case when num_nonnulls(s.last_vacuum, s.last_autovacuum, s.last_analyze, s.last_autoanalyze) > 0 then s.n_live_tup
                                else greatest(s.n_live_tup, c.reltuples::bigint) end as live) l
cross join (select x.stats_reset from pg_stat_database x where x.datname = current_database()) d
order by c.relname
