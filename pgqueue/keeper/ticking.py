"""Ticks schedules: looks for those that are due, works out their times, and has the database enqueue their jobs.

Every worker does this and none leads. Between the look and the tick nothing is locked: `pgqueue.tick` compares what was
read with what is there and does all of it or nothing (I10; the argument is at its head), so whoever comes second, dies
or stands still in between costs nothing. Times are the database's. One statement a second is all that schedules cost
while none is due.
"""

from __future__ import annotations

import logging
import random
import sys
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue import cron
from pgqueue.calls import statement
from pgqueue.errors import InvalidArgument
from pgqueue.telling import reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

Conn = psycopg.Connection[tuple[Any, ...]]

LOOK_SECONDS = 1.0  # the latest that a new schedule is seen
BATCH = 200  # ticks a statement: a catch-up must not hold the heartbeat up
BUDGET_SECONDS = 0.2  # a turn of this duty; the rest waits for the next
SPREAD_SECONDS = 0.02  # so that a fleet does not look at the same instant: the first has ticked when the others look
PASSED_SECONDS = 0.1  # another worker is at it, or just was
UNREADABLE_RETRY_SECONDS = 600.0  # an expression or a zone that this worker does not know; a newer one may
REFUSED_RETRY_SECONDS = 30.0  # a job that the database does not take


@dataclass(frozen=True, slots=True)
class Due:
    """A schedule as it was read."""

    name: str
    times: tuple[str | None, timedelta | None, str]
    missed: str
    missed_limit: int
    since: datetime
    next_at: datetime | None
    now: datetime
    wait_seconds: float

    @classmethod
    def of(cls, row: Sequence[Any]) -> Due:
        name, expression, every, timezone, missed, limit, since, next_at, now, wait = row
        distance = None if every is None else timedelta(microseconds=every)
        instants = _instant(since), None if next_at is None else _instant(next_at), _instant(now)
        return cls(name, (expression, distance, timezone), missed, limit, *instants, wait)

    @property
    def read(self) -> dict[str, Any]:
        """What must still hold when it is ticked."""
        return {"name": self.name, "since": self.since, "expected_next_at": self.next_at}


def tick_due(conn: Conn, schema: str) -> float:
    """Tick what is due; returns the seconds until the next look."""
    began = time.monotonic()
    found = _look(conn, schema, None)
    due = [schedule for schedule in found if schedule.wait_seconds <= 0]
    if not due:
        return min([LOOK_SECONDS, *(schedule.wait_seconds for schedule in found)]) + random.uniform(0, SPREAD_SECONDS)  # noqa: S311
    random.shuffle(due)  # several workers share a crowd that is due at midnight, instead of racing for the same one
    ticked = False
    for schedule in due:
        ticked = _tick(conn, schema, schedule) is not None or ticked
        if time.monotonic() - began > BUDGET_SECONDS:
            break
    return 0.0 if ticked else PASSED_SECONDS


def fast_forward(conn: Conn, schema: str, to: datetime) -> int:
    """Tick as if time had passed until `to`, with workers there for every tick; returns the number of jobs, all due at
    once. For tests and demos: nothing else calls it.

    Ticks of the future are refused by the database unless the transaction says that it means them, as this one does;
    the schedules then go on from `to`. Raises InvalidArgument, and what the database refuses.
    """
    jobs = 0
    with conn.transaction():
        conn.execute("select set_config('pgq.fast_forward', 'on', true)")
        while due := [schedule for schedule in _look(conn, schema, to) if schedule.wait_seconds <= 0]:
            for schedule in due:
                every = replace(schedule, missed="all", missed_limit=sys.maxsize)
                jobs += _advance(conn, schema, every, attended=True) or 0
    return jobs


def _look(conn: Conn, schema: str, as_of: datetime | None) -> list[Due]:
    return [Due.of(row) for row in conn.execute(statement("due_schedules", schema), {"as_of": as_of}).fetchall()]


def _tick(conn: Conn, schema: str, schedule: Due) -> int | None:
    """Tick one schedule; None when another was first, or it cannot tick, which is noted in its row: one bad schedule
    stops no other (I15). Raises psycopg.Error when the connection is broken.
    """
    try:
        return _advance(conn, schema, schedule)
    except InvalidArgument as error:
        said, retry_seconds = str(error), UNREADABLE_RETRY_SECONDS
        logged = said  # about the times of the schedule
    except psycopg.Error as error:
        if conn.closed or error.sqlstate is None:
            raise
        if error.sqlstate.startswith("40"):  # another transaction got in between: nothing was done, look again
            return None
        said, retry_seconds = error.diag.message_primary or str(error).strip(), REFUSED_RETRY_SECONDS
        logged = reason_of(error)
    log.error("a schedule cannot tick", extra={"schedule": schedule.name, "error": logged})
    conn.execute(statement("schedule_failed", schema), {**schedule.read, "error": said, "retry_seconds": retry_seconds})
    return None


def _advance(conn: Conn, schema: str, schedule: Due, *, attended: bool = False) -> int | None:
    times = cron.timing(*schedule.times)
    first = schedule.next_at or times.after(schedule.since)
    plan = cron.plan(times, first, schedule.now, missed=schedule.missed, limit=schedule.missed_limit, batch=BATCH)
    params = {**schedule.read, "ticks": list(plan.ticks), "next_at": plan.next_at}
    jobs: int | None = conn.execute(statement("tick", schema), params).fetchall()[0][0]
    if jobs is not None and plan.missed and not attended:
        said = {"schedule": schedule.name, "since": first.isoformat(), "policy": schedule.missed, "jobs": jobs}
        log.warning("ticks were missed", extra=said)
    return jobs


def _instant(microseconds: int) -> datetime:
    return cron.EPOCH + timedelta(microseconds=microseconds)
