-- Who keeps vacuum from removing dead rows, a row each (of a kind that nobody is of one without a name): for how many transactions, and seconds; of
-- standbys and slots the server does not know since when, 1,000 transactions stand for a second. Whose sessions we may not see are missing:
-- `all_seen` says whether that can be.
select k.kind, h.what, coalesce(h.transactions, 0)::bigint as transactions, coalesce(h.seconds, h.transactions / 1000.0, 0)::double precision as seconds,
       pg_has_role(current_user, 'pg_read_all_stats', 'usage') as all_seen
from (values ('transaction'), ('prepared'), ('standby'), ('slot')) k (kind)
left join (
  select 'transaction', format('backend %%s (%%s, %%s)', a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), a.state),
         greatest(age(a.backend_xmin), age(a.backend_xid)), extract(epoch from clock_timestamp() - a.xact_start)
  from pg_stat_activity a
  where a.backend_type = 'client backend' and a.pid <> pg_backend_pid() and (a.backend_xmin is not null or a.backend_xid is not null)
  union all
  select 'prepared', format('prepared transaction %%s', p.gid), age(p.transaction), extract(epoch from clock_timestamp() - p.prepared) from pg_prepared_xacts p
  union all
  select 'standby', format('standby %%s (hot_standby_feedback)', coalesce(nullif(r.application_name, ''), 'unnamed')), age(r.backend_xmin), null
  from pg_stat_replication r where r.backend_xmin is not null
  union all
  select 'slot', format('replication slot %%s', s.slot_name), age(s.xmin), null from pg_replication_slots s where s.xmin is not null
) h (kind, what, transactions, seconds) on h.kind = k.kind
order by seconds desc
