"""Roles, quotas, and what faults taught the engine."""

from pgqueue.migrate import frozen

revision = "0002_hardening"
down_revision = "0001_initial"
may_lock = False

upgrade, downgrade = frozen(__file__)
