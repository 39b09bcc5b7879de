-- The roles of viewers and admins as far as they exist, and whether they may see what jobs carry. Spelled out as function role_name does,
-- which viewers may not call.
select k.kind, r.rolname as role, has_table_privilege(r.oid, 'pgqueue.job_args'::regclass, 'SELECT') as sees_contents
from unnest(array['viewer', 'admin']) k(kind)
join pg_roles r on r.rolname = case when octet_length('pgqueue') <= 54 and 'pgqueue' <> 'pg' then 'pgqueue' else 'pgq_' || md5('pgqueue') end || '_' || k.kind
