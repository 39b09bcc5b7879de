-- The settings without which nobody cleans up, and how old the oldest transaction id of this database is.
select current_setting('autovacuum')::boolean as autovacuum, current_setting('track_counts')::boolean as track_counts,
  current_setting('autovacuum_freeze_max_age')::bigint as freeze_max_age, age(d.datfrozenxid)::bigint as age, d.datname::text as database
from pg_database d where d.datname = current_database()
