-- Who owns the schema, with whose rights producers' calls run, and whether that is a superuser.
select r.rolname as owner, r.rolsuper as superuser
from pg_catalog.pg_namespace n join pg_catalog.pg_roles r on r.oid = n.nspowner
where n.nspname = %(schema)s::text
