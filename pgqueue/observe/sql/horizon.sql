-- What holds the xmin horizon back for longer than so many minutes, the oldest first.
select what, floor(extract(epoch from clock_timestamp() - since) / 60)::integer as minutes
from (
  select format('backend %%s (%%s, %%s)', a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), a.state), a.xact_start
  from pg_stat_activity a
  where a.backend_type = 'client backend' and a.pid <> pg_backend_pid() and (a.backend_xmin is not null or a.backend_xid is not null)
  union all
  select format('prepared transaction %%s', p.gid), p.prepared from pg_prepared_xacts p
  union all
  select format('standby %%s (hot_standby_feedback)', coalesce(nullif(r.application_name, ''), 'unnamed')),
    clock_timestamp() - make_interval(secs => age(r.backend_xmin) / 1000.0)
  from pg_stat_replication r where r.backend_xmin is not null and age(r.backend_xmin) > 1000000
  union all
  select format('replication slot %%s', s.slot_name), clock_timestamp() - make_interval(secs => age(coalesce(s.xmin, s.catalog_xmin)) / 1000.0)
  from pg_replication_slots s where s.xmin is not null and age(s.xmin) > 1000000
) h (what, since)
where since < clock_timestamp() - make_interval(mins => %(minutes)s)
order by since
