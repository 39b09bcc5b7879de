"""The duties that are one statement: rescue of lost workers' jobs, cancel requests, and the hourly tidying.

Each takes a connection in autocommit and the schema, and returns the seconds until it wants to run again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pgqueue.calls import statement

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

Duty = Callable[["psycopg.Connection[tuple[Any, ...]]", str], float]
HOUR = 3600.0


def rescuing(every_seconds: float, *, may_judge: Callable[[], bool] = lambda: True) -> Duty:
    """Look for silent workers, and hand their jobs on; only while `may_judge` says that silence means something."""

    def rescue(conn: psycopg.Connection[tuple[Any, ...]], schema: str) -> float:
        if not may_judge():
            return every_seconds / 5
        for worker_id, host, pid, jobs in conn.execute(statement("rescue", schema)).fetchall():
            log.warning("a worker was lost", extra={"lost_worker": worker_id, "host": host, "pid": pid, "jobs": jobs})
        return every_seconds * random.uniform(0.8, 1.2)  # noqa: S311 - so that a fleet does not look in step

    return rescue


def sweep(conn: psycopg.Connection[tuple[Any, ...]], schema: str) -> float:
    """Carry out cancel requests whose job is not running any more."""
    conn.execute(statement("sweep_cancel_requests", schema))
    return 5.0


def tidy(conn: psycopg.Connection[tuple[Any, ...]], schema: str) -> float:
    """Make the partitions of the coming 14 days; forget workers that were lost a day ago, and keys that lapsed."""
    made = conn.execute(statement("make_partitions", schema)).fetchall()[0][0]
    if made:
        log.info("partitions were made", extra={"partitions": made})
    conn.execute(statement("forget_workers", schema))
    conn.execute(statement("sweep_keys", schema))
    return HOUR * random.uniform(0.8, 1.2)  # noqa: S311
