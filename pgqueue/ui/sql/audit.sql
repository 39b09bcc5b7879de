-- The audit log, newest first, by keyset.
select a.id, a.at, a.actor, a.role, a.action, a.target, a.detail, a.db_user
from pgqueue.audit a
where (%(before)s::bigint is null or a.id < %(before)s)
  and (%(actor)s::text is null or a.actor = %(actor)s)
  and (%(action)s::text is null or a.action = %(action)s)
order by a.id desc
limit %(limit)s
