-- Who changed what from the dashboard; by a keyset of id, newest first.
create view pgqueue.audit as
select l.id, l.at, l.actor, l.role, l.action, l.target, l.detail, l.db_user
from pgqueue.audit_log l;
