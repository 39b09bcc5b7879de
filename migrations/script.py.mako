"""${message}."""

from pgqueue.migrate import frozen

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
may_lock = True  # False only if no statement waits for or holds up those who use the queue

upgrade, downgrade = frozen(__file__)
