"""Brings a database to the schema that this version of pgqueue works on: `pgq migrate`.

Before it comes nothing but a DSN; after it, jobs may be enqueued. `upgrade` applies what is missing, `plan` says what
that would be, `offline_sql` writes it out for a DBA, `pending` is the worker's cheap look before it starts.
Locks: a transaction advisory lock per schema keeps migrators apart; a revision's own locks are bounded by lock_timeout.
"""

from pgqueue.migrate.apply import downgrade, hindrances, offline_sql, plan, upgrade
from pgqueue.migrate.frozen import frozen
from pgqueue.migrate.revisions import Revision, head
from pgqueue.migrate.session import current, pending

__all__ = [
    "Revision",
    "current",
    "downgrade",
    "frozen",
    "head",
    "hindrances",
    "offline_sql",
    "pending",
    "plan",
    "upgrade",
]
