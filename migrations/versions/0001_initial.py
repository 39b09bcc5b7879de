"""The tables, functions and views of a durable queue."""

from pgqueue.migrate import frozen

revision = "0001_initial"
down_revision = None
may_lock = False

upgrade, downgrade = frozen(__file__)
