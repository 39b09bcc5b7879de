-- The settings that a function brings with it: name=value.
select coalesce(p.proconfig, '{}') as settings
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'pgqueue' and p.proname = %(function)s
