-- How large a table is, in pages.
select coalesce(max(pg_relation_size(c.oid)) / 8192, 0)::bigint as pages
from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'pgqueue' and c.relname = %(table)s
