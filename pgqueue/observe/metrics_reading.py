"""Reads the database's numbers for `pgq metrics`: one statement after another, each bounded in time.

A part that cannot be read (a right that is missing, a statement that takes too long) leaves the others alone; its
absence is a metric itself. Reads only, but for `fold_statistics` while there is no worker to do it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from pgqueue.errors import PgQueueError
from pgqueue.migrate import pending
from pgqueue.observe.patient import statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

Row = dict[str, Any]
BOUND = "set local statement_timeout = '3s'"
PARTS = (
    "depths",
    "bounds",
    "totals",
    "workers",
    "serving",
    "schedules",
    "unknown_tasks",
    "tables",
    "horizon",
    "partitions",
    "migrations",
)
SLOW = frozenset({"bounds", "tables", "partitions", "migrations"})  # change slowly, and cost as much as all the others
SLOW_SECONDS = 15.0
DOCTORS = frozenset({"horizon", "partitions"})  # read by the doctor too; else sql/metrics_PART.sql


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read. `rows` has the parts that could be read, `seconds` and `failed` all that were tried."""

    up: bool
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()


DOWN = Reading(up=False)


class Reader:
    """Reads all parts on a connection that somebody else keeps."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._failing: frozenset[str] = frozenset()
        self._kept: dict[str, tuple[float, Sequence[Row]]] = {}  # slow parts, and when they were read

    def read(self, conn: psycopg.Connection[Any]) -> Reading:
        """Read everything. Raises psycopg.Error or PgQueueError when the connection is gone."""
        rows: dict[str, Sequence[Row]] = {}
        seconds: dict[str, float] = {}
        failed: set[str] = set()
        for part in PARTS:
            began = time.monotonic()
            try:
                rows[part] = self._part(conn, part)
            except (psycopg.Error, PgQueueError) as error:
                if conn.closed:
                    raise
                failed.add(part)
                self._told(part, error)
            seconds[part] = time.monotonic() - began
        self._failing = frozenset(failed)
        return Reading(True, rows, seconds, self._failing)

    def _part(self, conn: psycopg.Connection[Any], part: str) -> Sequence[Row]:
        if part not in SLOW:
            return self._rows(conn, _file(part))
        now = time.monotonic()
        read_at, rows = self._kept.get(part, (float("-inf"), ()))
        if now - read_at >= SLOW_SECONDS:
            rows = self._slow(conn, part)
            self._kept[part] = now, rows
        return rows

    def _slow(self, conn: psycopg.Connection[Any], part: str) -> Sequence[Row]:
        if part == "migrations":
            return [{"current": not pending(conn, self._schema)}]
        return self._rows(conn, _file(part))

    def _rows(self, conn: psycopg.Connection[Any], name: str) -> Sequence[Row]:
        """Run a statement in a transaction of its own: the bound must not outlive it behind a pooler."""
        with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
            cursor.execute(BOUND)
            return cursor.execute(statement(name, self._schema), {}).fetchall()

    def _told(self, part: str, error: Exception) -> None:
        """Say once that a part cannot be read."""
        if part not in self._failing:
            said = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
            log.warning("a part of the metrics cannot be read", extra={"part": part, "error": said})

    def fold(self, conn: psycopg.Connection[Any]) -> None:
        """Fold the statistics while no worker does: a tenth of a second of them at most. Who may only look leaves it to
        those who may. Raises psycopg.Error when the connection is gone.
        """
        try:
            self._rows(conn, "metrics_fold")
        except psycopg.Error as error:
            if conn.closed:
                raise
            log.debug("the statistics were not folded", extra={"error": error.diag.message_primary})


def _file(part: str) -> str:
    return part if part in DOCTORS else f"metrics_{part}"
