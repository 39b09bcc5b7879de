-- Whether there is a role of this name, and whether the schema's owner is a superuser.
select exists (select from pg_catalog.pg_roles r where r.rolname = %(user)s::text) as known
