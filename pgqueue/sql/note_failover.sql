-- Notes that another timeline answers than before.
select pgqueue.note_failover(%(system)s::bigint, %(timeline)s::integer, %(old_system)s::bigint, %(old_timeline)s::integer, %(lsns)s::pg_lsn[], %(times)s::timestamptz[])
