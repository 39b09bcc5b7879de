"""Drops the days of history that retention does not keep. Whole partitions, so that it costs the same at any size.

A day is detached concurrently and then dropped, both under a lock timeout: readers and writers of other days go on,
and a long transaction in the way only puts it off. Only the tables' owner may do so; any other worker asks
`drop_day`. Arguments of unfinished and dead jobs are carried forward first; those of a day go one
day after its history. Runs on a connection of its own, since it may have to wait.
"""

from __future__ import annotations

import logging
import random
import threading
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from pgqueue.calls import statement
from pgqueue.telling import reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)


class Retention:
    """The duty that starts a sweep over the expired days, in a thread of its own."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._thread: threading.Thread | None = None

    def __call__(self, conn: psycopg.Connection[tuple[Any, ...]], schema: str) -> float:
        """Look whether a day has expired; if so, drop it in the background."""
        expired = conn.execute(statement("expired_days", schema), {}).fetchall()
        if expired and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._sweep, args=(schema,), name="pgqueue-retention", daemon=True)
            self._thread.start()
        return (600.0 if expired else 3600.0) * random.uniform(0.8, 1.2)  # noqa: S311

    def _sweep(self, schema: str) -> None:
        try:
            dropped = drop_expired_days(self._dsn, schema)
        except (psycopg.Error, OSError) as error:
            log.warning("old history was not dropped; it is tried again", extra={"error": reason_of(error)})
        else:
            log.info("old history was dropped", extra={"partitions": dropped})


def drop_expired_days(dsn: str, schema: str) -> list[str]:
    """Drop every expired partition that can be locked soon; returns the names of those dropped."""
    dropped = []
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None, row_factory=tuple_row) as conn:
        conn.execute("set lock_timeout = '3s'")
        try:
            for parent, partition, day, pending in conn.execute(statement("expired_days", schema), {}).fetchall():
                try:
                    if _drop(conn, schema, parent, partition, day, pending=pending):
                        dropped.append(partition)
                except (
                    psycopg.errors.LockNotAvailable,
                    psycopg.errors.UndefinedTable,
                    psycopg.errors.ObjectNotInPrerequisiteState,
                ) as error:
                    log.info(
                        "a partition is in use or was dropped by another worker",
                        extra={"partition": partition, "error": reason_of(error)},
                    )
                except psycopg.Error as error:  # one bad row, or a missing right, must not keep the other days (I15)
                    if conn.closed or error.sqlstate is None:
                        raise
                    said = {"partition": partition, "sqlstate": error.sqlstate, "error": reason_of(error)}
                    log.error("a day of history cannot be dropped", extra=said)
        finally:
            conn.execute("reset lock_timeout")
    return dropped


def _drop(
    conn: psycopg.Connection[tuple[Any, ...]],
    schema: str,
    parent: str | None,
    partition: str,
    day: Any,
    *,
    pending: bool,
) -> bool:
    """Drop one partition; False when it holds arguments that cannot be carried forward yet."""
    if partition.startswith("job_args") and not _carried(conn, schema, day):
        return False
    name = sql.Identifier(schema, partition)
    owned = conn.execute(statement("owns_history", schema), {}).fetchone()
    if not (owned and owned[0]):  # a member of the workers' role: the owner's function takes a short lock instead
        done = conn.execute(statement("drop_day", schema), {"partition": partition}).fetchone()
        return bool(done and done[0])
    if parent is not None:
        how = sql.SQL("finalize" if pending else "concurrently")
        detach = sql.SQL("alter table {} detach partition {} {}")
        conn.execute(detach.format(sql.Identifier(schema, parent), name, how))
    conn.execute(sql.SQL("drop table {}").format(name))
    return True


def _carried(conn: psycopg.Connection[tuple[Any, ...]], schema: str, day: Any) -> bool:
    """Carry the day's stragglers forward; whether none is left."""
    rows: Sequence[tuple[Any, ...]] = conn.execute(statement("carry_args", schema), {"day": day}).fetchall()
    carried, left = rows[0]
    if carried:
        log.info("arguments were carried forward", extra={"day": str(day), "jobs": carried})
    return bool(left == 0)
