"""The worker's own connection: sends steps, comes back after it broke, and finds out what a lost answer said.

One statement at a time, each a transaction of its own, no session state. Prepared statements are used on a direct
connection only: a pooler in between shows itself by another backend's pid.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row
from psycopg.types.string import TextLoader

from pgqueue.calls import statement
from pgqueue.worker.server import Server
from pgqueue.worker.tether import abound

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

Rows = list[tuple[Any, ...]]

# A dead peer is noticed in 3 to 6 s with these, without them never. What the DSN says wins.
KEEPALIVE = {
    "keepalives": "1",
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "keepalives_count": "2",
    "tcp_user_timeout": "3000",
    "connect_timeout": "5",
}


def conninfo(dsn: str) -> str:
    """The DSN with what notices dead peers added."""
    given = conninfo_to_dict(dsn)
    return make_conninfo(dsn, **{name: value for name, value in KEEPALIVE.items() if name not in given})


def leave_times_as_text(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """Leave times as PostgreSQL wrote them: marks go back exactly, and most jobs are never asked for theirs."""
    conn.adapters.register_loader("timestamptz", TextLoader)


def shut_down_socket(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any] | None) -> None:
    """End a connection from outside, whatever it waits for. A cancel would have to be answered by a frozen server."""
    try:
        if conn is None or conn.closed:
            return
        with socket.fromfd(conn.fileno(), socket.AF_INET, socket.SOCK_STREAM) as copy:
            copy.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error) as error:
        log.debug("a connection was gone before it was shut down", extra={"error": type(error).__name__})


def draw_token() -> int:
    """A fresh lease token: 62 random bits, so that ids issued again after a failover never meet an old lease."""
    return secrets.randbits(62) | 1


def draw_worker_id() -> int:
    """A fresh worker id: 52 random bits, exact in any JSON reader."""
    return secrets.randbits(52) | 1


class Session:
    """Runs statements for the event loop of one worker process."""

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn = conninfo(dsn)
        self._schema = schema
        self._conn: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self._prepare = False
        self._aborted = False
        self.pooled = False
        self.server: Server | None = None
        self.busy_since: float | None = None

    async def connect(self) -> None:
        """Open the connection. Raises psycopg.Error."""
        await self.close()
        conn = await psycopg.AsyncConnection.connect(
            self._dsn,
            autocommit=True,
            prepare_threshold=None,
            fallback_application_name="pgq work",
            row_factory=tuple_row,
        )
        leave_times_as_text(conn)
        try:
            rows = await (await conn.execute(statement("server_state", self._schema), {})).fetchall()
            if rows[0][0] == conn.info.backend_pid:
                await abound(conn)
        except BaseException:
            await conn.close()
            raise
        backend, *server = rows[0]
        self.pooled = backend != conn.info.backend_pid
        self.server = Server(*server)
        self._prepare = not self.pooled
        if self._prepare:
            conn.prepare_threshold = 5
        self._conn, self._aborted = conn, False

    async def run(self, name: str, params: Mapping[str, Any]) -> Rows:
        """Run the statement of this name. Raises psycopg.Error; the connection may be broken then."""
        if self._conn is None:
            raise psycopg.OperationalError("not connected")
        cursor = self._conn.cursor()
        self.busy_since = time.monotonic()
        await cursor.execute(statement(name, self._schema), params, prepare=self._prepare or None)
        rows = await cursor.fetchall()
        self.busy_since = None
        return rows

    @property
    def broken(self) -> bool:
        """Whether the connection has to be opened anew."""
        return self._conn is None or self._aborted or self._conn.closed or self._conn.broken

    def abort(self) -> None:
        """Break the connection at once, under whoever waits on it."""
        self.busy_since = None
        self._aborted = True
        shut_down_socket(self._conn)

    async def close(self) -> None:
        """Close the connection."""
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()


async def backoff(turn: int, *, stop: asyncio.Event | None = None) -> None:
    """Wait before reconnecting: 0.1 s, doubling to 2 s, with half of it random, or until `stop`."""
    longest = min(0.1 * 2 ** min(turn, 5), 2.0)
    wait = longest * (0.5 + secrets.randbelow(1000) / 2000)
    if stop is None:
        await asyncio.sleep(wait)
        return
    try:
        await asyncio.wait_for(stop.wait(), wait)
    except TimeoutError:
        return
