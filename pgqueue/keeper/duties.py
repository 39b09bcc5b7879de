"""The duties that are one statement: rescue of lost workers' jobs, cancel requests, and the hourly tidying and walks.

Each takes a connection in autocommit and the schema, and returns the seconds until it wants to run again.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pgqueue.calls import statement

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

Duty = Callable[["psycopg.Connection[tuple[Any, ...]]", str], float]
HOUR = 3600.0
RESCUED_AT_ONCE = 100  # jobs
LEAD_SECONDS = 3.0  # before the end of a lease, and at most two missing heartbeats: somebody may be dead
LATE_SECONDS = 0.2  # after the end of a lease, at most, somebody looks
LATE_PART = 0.15  # of the time between two looks: the same where leases are short
SHORTEST_SECONDS = 0.1  # between two looks: a lost worker may be passed by, while its last statement is under way


def rescuing(
    every_seconds: float,
    *,
    may_judge: Callable[[], bool] = lambda: True,
    examine: Callable[[str, int], str | None] = lambda _host, _pid: None,
    on_late: Callable[[], None] = lambda: None,
) -> Duty:
    """Look for silent workers, and hand their jobs on, some at a time: heartbeats go over the same connection. Only
    while `may_judge` says that silence means something. The next look is due when the first lease may end.

    `examine` says of a worker's host and pid that it is stopped, if that can be seen from here. `on_late` is called
    when a lease is about to end: its jobs will want a process for suspects, which takes a second to start.
    """
    told: deque[int] = deque(maxlen=1000)
    lead_seconds = min(LEAD_SECONDS, every_seconds)
    late_seconds = min(LATE_SECONDS, LATE_PART * every_seconds)

    def rescue(conn: psycopg.Connection[tuple[Any, ...]], schema: str) -> float:
        judging = may_judge()
        verb = "rescue" if judging else "rescue_ended"
        found = conn.execute(statement(verb, schema), {"max_jobs": RESCUED_AT_ONCE}).fetchall()
        for worker_id, host, pid, jobs in found:
            if worker_id not in told:
                told.append(worker_id)
                who = {"lost_worker": worker_id, "host": host, "pid": pid, "jobs": jobs}
                log.warning("a worker was lost", extra=who)
                if (seen := examine(host, pid)) is not None:
                    log.warning("a lost worker is frozen", extra=who | {"seen": seen})
                    note = {"worker_id": worker_id, "host": host, "pid": pid, "kind": "frozen", "detail": seen}
                    conn.execute(
                        statement("note_incident", schema), note | {"jobs": [], "stack": None, "ago_seconds": 0}
                    )
            elif jobs:
                log.info("more jobs of a lost worker were handed on", extra={"lost_worker": worker_id, "jobs": jobs})
        if sum(row[3] for row in found) >= RESCUED_AT_ONCE:
            return 0.0  # there may be more
        if not judging:
            return every_seconds / 5
        wait = every_seconds * random.uniform(0.8, 1.2)  # noqa: S311 - so that a fleet does not look in step
        ((first,),) = conn.execute(statement("next_silence", schema), {}).fetchall()
        if first is not None and first < lead_seconds:
            on_late()
            wait = min(wait, max(first, 0.0) + random.uniform(0, late_seconds))  # noqa: S311
        elif first is not None:
            wait = min(wait, first - lead_seconds)
        return max(wait, SHORTEST_SECONDS)

    return rescue


def sweep(conn: psycopg.Connection[tuple[Any, ...]], schema: str) -> float:
    """Carry out cancel requests whose job is not running any more; empty lines that nobody serves any more."""
    conn.execute(statement("sweep_cancel_requests", schema), {})
    conn.execute(statement("sweep_lines", schema), {})
    return 5.0


def hand_on(conn: psycopg.Connection[tuple[Any, ...]], schema: str) -> float:
    """Hand on turns and permits that a cancel or two claims at the same moment have left with nobody; with at most a
    fiftieth of the time, however many lines there are.
    """
    began = time.monotonic()
    conn.execute(statement("hand_on_idle", schema), {})
    return max(random.uniform(0.8, 1.2), 50 * (time.monotonic() - began))  # noqa: S311


def fold(conn: psycopg.Connection[tuple[Any, ...]], schema: str) -> float:
    """Add up what nodes with many parents were not told yet, because two of them ended at the same moment."""
    began = time.monotonic()
    conn.execute(statement("fold_nodes", schema), {})
    return max(0.25 * random.uniform(0.8, 1.2), 20 * (time.monotonic() - began))  # noqa: S311


def fold_statistics(conn: psycopg.Connection[tuple[Any, ...]], schema: str) -> float:
    """Add what attempts came to to the statistics; with at most a fiftieth of the time. Several workers take turns."""
    began = time.monotonic()
    conn.execute(statement("fold_statistics", schema), {})
    return max(2.0 * random.uniform(0.8, 1.2), 50 * (time.monotonic() - began))  # noqa: S311


def tidy(conn: psycopg.Connection[tuple[Any, ...]], schema: str) -> float:
    """Make the partitions of the coming 14 days; forget workers lost a day ago, keys that lapsed, and flows and ticks
    of long ago.
    """
    made = conn.execute(statement("make_partitions", schema), {}).fetchall()[0][0]
    if made:
        log.info("partitions were made", extra={"partitions": made})
    conn.execute(statement("forget_workers", schema), {})
    conn.execute(statement("sweep_keys", schema), {})
    conn.execute(statement("sweep_lanes", schema), {})
    conn.execute(statement("sweep_incidents", schema), {})
    flows = conn.execute(statement("sweep_flows", schema), {}).fetchall()[0][0]
    swept = conn.execute(statement("sweep_ticks", schema), {}).fetchall()[0][0] or flows >= 100
    if swept:  # there may be more: one that ticks every second leaves more in an hour than a statement takes
        return 10.0
    return HOUR * random.uniform(0.8, 1.2)  # noqa: S311


def forgetting_steps() -> Duty:
    """Walk once an hour over the jobs that have steps, and drop the steps of those that will never run again.

    A thousand jobs a turn, and no more than a fiftieth of the time.
    """
    after = 0

    def forget(conn: psycopg.Connection[tuple[Any, ...]], schema: str) -> float:
        nonlocal after
        begun = time.monotonic()
        ((_, last),) = conn.execute(statement("sweep_steps", schema), {"after": after}).fetchall()
        after = last or 0
        if last is not None:
            return max(1.0, 50 * (time.monotonic() - begun))
        return HOUR * random.uniform(0.8, 1.2)  # noqa: S311

    return forget
