-- Whether this role owns the tables of the history, and so may detach their days.
select pg_catalog.pg_has_role(c.relowner, 'usage') from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'pgqueue' and c.relname = 'finished_jobs'
