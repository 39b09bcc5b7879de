-- What holds back the xmin horizon, by kind: the age of the oldest in transactions, and in seconds where the server knows it. Whose sessions
-- we may not see are missing: `all_seen` says whether that can be.
select k.kind, coalesce(max(h.transactions), 0)::bigint as transactions, coalesce(max(h.seconds), 0)::double precision as seconds,
       pg_has_role(current_user, 'pg_read_all_stats', 'usage') as all_seen
from (values ('transaction'), ('prepared'), ('standby'), ('slot')) k (kind)
left join (
  select 'transaction', greatest(age(a.backend_xmin), age(a.backend_xid)), extract(epoch from clock_timestamp() - a.xact_start)
  from pg_stat_activity a
  where a.backend_type = 'client backend' and a.pid <> pg_backend_pid() and (a.backend_xmin is not null or a.backend_xid is not null)
  union all
  select 'prepared', age(p.transaction), extract(epoch from clock_timestamp() - p.prepared) from pg_prepared_xacts p
  union all
  select 'standby', age(r.backend_xmin), null from pg_stat_replication r where r.backend_xmin is not null
  union all
  select 'slot', greatest(age(s.xmin), age(s.catalog_xmin)), null from pg_replication_slots s where s.xmin is not null or s.catalog_xmin is not null
) h (kind, transactions, seconds) on h.kind = k.kind
group by k.kind
