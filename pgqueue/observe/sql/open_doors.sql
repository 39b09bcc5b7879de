-- What everybody who may connect (PUBLIC) may do in our schema: a new installation gives it nothing.
select d.what, d.remedy
from pg_namespace n cross join lateral (
  select format('%%s on schema', lower(a.privilege_type)), format('revoke all on schema %%I from public;', n.nspname)
  from aclexplode(n.nspacl) a where a.grantee = 0 and a.privilege_type = 'CREATE'
  union all
  select format('%%s on %%s', lower(string_agg(a.privilege_type, ', ')), c.relname), format('revoke all on %%s%%I.%%I from public;', case when c.relkind = 'S' then 'sequence ' else '' end, n.nspname, c.relname)
  from pg_class c cross join lateral aclexplode(c.relacl) a
  where c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'S') and a.grantee = 0
  group by c.oid, c.relname, c.relkind
  union all
  select format('execute on %%s', p.proname), format('revoke all on function %%I.%%I(%%s) from public;', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
  from pg_proc p cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  where p.pronamespace = n.oid and a.grantee = 0
) d (what, remedy)
where n.nspname = 'pgqueue'
order by 1
