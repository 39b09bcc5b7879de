-- What in our schema does not belong to the schema's owner: with whose rights functions run, and which tables the owner cannot change.
select format('%%s %%s', o.kind, o.name) as what, format('alter %%s %%s owner to %%I;', o.kind, o.name, pg_get_userbyid(n.nspowner)) as remedy,
  pg_get_userbyid(o.owner)::text as owner
from pg_namespace n cross join lateral (
  select case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end, format('%%I.%%I', n.nspname, c.relname), c.relowner
  from pg_class c where c.relnamespace = n.oid and (c.relkind in ('r', 'p', 'v')
    or c.relkind = 'S' and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')))
  union all
  select 'function', format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), p.proowner
  from pg_proc p where p.pronamespace = n.oid
) o (kind, name, owner)
where n.nspname = 'pgqueue' and o.owner <> n.nspowner
order by 1
