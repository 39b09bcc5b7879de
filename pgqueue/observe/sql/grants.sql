-- The roles of this installation: whether each is there, which rights it lacks, who is a member.
select k.kind, pgqueue.role_name(k.kind) as role, r.oid is not null as present,
       array(select g.statement from pgqueue.role_rights(k.kind) g where not g.granted order by 1) as missing,
       array(select m.rolname::text from pg_catalog.pg_auth_members a join pg_catalog.pg_roles m on m.oid = a.member
             where a.roleid = r.oid and m.rolname <> current_user order by 1) as members
from unnest(array['producer', 'worker', 'viewer', 'admin']) with ordinality as k (kind, place)
left join pg_catalog.pg_roles r on r.rolname = pgqueue.role_name(k.kind)
order by k.place
