-- The role of a kind (producer, worker, viewer, admin). A schema with a long name has its hash in it: a role's name has at most 63 bytes;
-- names that begin with pg_ belong to PostgreSQL.
create function pgqueue.role_name(kind text) returns text
language sql immutable parallel safe
return case when octet_length('pgqueue') <= 54 and 'pgqueue' <> 'pg' then 'pgqueue' else 'pgq_' || md5('pgqueue') end || '_' || kind;
