"""Reads what `pgq top` shows, over one connection that is opened again when it was lost, and runs its verbs.

Counts come from `pgqueue.depths` and the statistics; nothing is counted here. A reading is bounded: four statements,
each of them given up after 2 s, at most 200 workers, jobs and dead letters. Called from threads, one at a time.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg.rows import dict_row, tuple_row

from pgqueue.client import translate
from pgqueue.errors import DatabaseUnavailable
from pgqueue.listing import running
from pgqueue.listing.jobs import PACKAGE
from pgqueue.statements import statement
from pgqueue.telling import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.calls import Call

T = TypeVar("T")
Row = dict[str, Any]

MOST: Final = 200  # rows of each list
TIMEOUT_MS: Final = 2000
CONNECT_SECONDS: Final = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there was at one moment; `took_seconds` is what reading it took. Lists in `hidden` are not for this role."""

    queues: list[Row]
    workers: list[Row]
    running: list[Row]
    dead: list[Row]
    took_seconds: float
    hidden: tuple[str, ...] = ()


class Source:
    """The database of one `pgq top`."""

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn = dsn
        self._schema = schema
        self._conn: psycopg.Connection[Any] | None = None
        self._turn = threading.Lock()

    def read(self) -> Snapshot:
        """Read everything. Raises DatabaseUnavailable, PgQueueError, psycopg.Error for what the server refuses."""
        return self._with_connection(self._read)

    def run(self, call: Call[T]) -> T:
        """Run a verb. Raises PgQueueError, psycopg.Error."""

        def one(conn: psycopg.Connection[Any]) -> T:
            with conn.cursor(row_factory=tuple_row) as cursor:
                cursor.execute(call.text(self._schema), call.params)
                return call.read(cursor.fetchall())

        return self._with_connection(one)

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._drop()

    def _with_connection(self, use: Callable[[psycopg.Connection[Any]], T]) -> T:
        with self._turn:
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = self._connect()
                return use(self._conn)
            except psycopg.Error as error:
                if error.sqlstate is None or self._conn is None or self._conn.closed:
                    self._drop()
                    raise DatabaseUnavailable(reason_of(error)) from error
                ours = translate(error)
                if isinstance(ours, DatabaseUnavailable):
                    self._drop()
                raise ours or error from error

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            self._dsn,
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
            fallback_application_name="pgq top",
            connect_timeout=CONNECT_SECONDS,
        )

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()

    def _read(self, conn: psycopg.Connection[Any]) -> Snapshot:
        began = time.monotonic()
        with conn.transaction():
            conn.execute("select set_config('statement_timeout', %s, true)", [str(TIMEOUT_MS)])
            conn.execute("set transaction read only")
            found = {name: self._list(conn, name) for name in _LISTS}
        hidden = tuple(name for name, rows in found.items() if rows is None)
        lists = {name: rows or [] for name, rows in found.items()}
        return Snapshot(**lists, took_seconds=time.monotonic() - began, hidden=hidden)

    def _list(self, conn: psycopg.Connection[Any], name: str) -> list[Row] | None:
        try:
            with conn.transaction():
                package, params = _LISTS[name]
                return conn.execute(statement(package, name, self._schema), params).fetchall()
        except psycopg.errors.InsufficientPrivilege:  # a viewer's: jobs themselves are read by admins and workers
            return None


_MOST: Final = {"most": MOST}
_LISTS: Final = {  # the package of each statement, and its parameters
    "queues": ("pgqueue.top", _MOST),
    "workers": ("pgqueue.top", _MOST),
    "running": (PACKAGE, running.params(most=MOST)),
    "dead": ("pgqueue.top", _MOST),
}
