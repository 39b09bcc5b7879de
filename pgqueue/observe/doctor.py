"""Examines a queue's database: a list of checks, each of which looks at one thing and says how it is and what to do.

A check is a function of a `Patient` to a `Verdict`, entered in CHECKS under the name that people see. It is cheap on
any database (an index, a small table, or a sample of pages: never a whole large table), takes no lock that anybody
waits for, and changes nothing. One that may not look, or that takes too long, is a warning and stops no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue.observe import (
    doctor_access,
    doctor_drift,
    doctor_order,
    doctor_plans,
    doctor_replication,
    doctor_server,
    doctor_tables,
    doctor_time,
    doctor_work,
)
from pgqueue.observe.finding import Finding, Verdict, warning
from pgqueue.observe.patient import Patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT_SECONDS = 5

CHECKS: tuple[tuple[str, Callable[[Patient], Verdict]], ...] = (
    ("drift", doctor_drift.drift),
    ("server", doctor_server.server),
    ("durability", doctor_server.durability),
    ("pooler", doctor_server.pooler),
    ("notifications", doctor_server.notifications),
    ("clock", doctor_time.clock),
    ("permissions", doctor_access.permissions),
    ("horizon", doctor_server.horizon),
    ("autovacuum", doctor_tables.autovacuum),
    ("bloat", doctor_tables.bloat),
    ("plans", doctor_plans.plans),
    ("partitions", doctor_server.partitions),
    ("workers", doctor_work.workers),
    ("stuck", doctor_work.stuck),
    ("tasks", doctor_work.tasks),
    ("schedules", doctor_time.schedules),
    ("statistics", doctor_time.statistics),
    ("replication", doctor_replication.replication),
    ("failover", doctor_replication.failover),
    ("leases", doctor_order.leases),
    ("arguments", doctor_order.arguments),
    ("keys", doctor_order.keys),
    ("permits", doctor_order.permits),
    ("limits", doctor_order.limits),
    ("lines", doctor_order.lines),
)


def examine(conn: psycopg.Connection[Any], schema: str) -> Iterator[Finding]:
    """Run all checks on a connection in autocommit, in order. Raises psycopg.Error when the connection breaks."""
    patient = Patient(conn, schema)
    for name, check in CHECKS:
        verdict = _ask(patient, check)
        yield Finding(name, verdict.status, verdict.detail, verdict.remedy)


def _ask(patient: Patient, check: Callable[[Patient], Verdict]) -> Verdict:
    try:
        with patient.conn.transaction():
            patient.conn.execute(f"set local statement_timeout = {int(TIMEOUT_SECONDS * 1000)}")
            patient.conn.execute("set local lock_timeout = '1s'")
            # A sample is joined by index, row by row: a hash of the other table would be a scan of the whole of it. And
            # where an index is there, a guess that the first due job comes early in the table is not worth that scan.
            patient.conn.execute("set local enable_hashjoin = off; set local enable_mergejoin = off")
            patient.conn.execute("set local enable_seqscan = off; set local jit = off")
            return check(patient)
    except psycopg.errors.InsufficientPrivilege as error:
        return warning(f"not looked at: {error.diag.message_primary}", "run it as the role that migrates")
    except psycopg.errors.QueryCanceled:
        return warning(f"not looked at: it took longer than {TIMEOUT_SECONDS} s", "run it again when less is going on")
    except psycopg.Error as error:
        if patient.conn.closed:
            raise
        return warning(f"not looked at: {error}", "does this server have what the check needs?")
