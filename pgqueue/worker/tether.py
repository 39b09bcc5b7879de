"""What the server is told about a worker's connections, so that it ends them soon when the worker is gone or frozen.

Without it a backend whose client was killed goes on until its statement ends, which for one that waits for a lock may
be long; and one whose client froze within a transaction keeps its locks for as long. Said to direct connections only:
behind a pooler a session belongs to everybody. What the server, the role or the DSN sets already is left as it is.
"""

from __future__ import annotations

import logging
from typing import Any

import psycopg

from pgqueue.telling import reason_of

log = logging.getLogger(__name__)

# In milliseconds. A worker's own transactions take a few statements without a pause; handlers bring connections of
# their own.
BOUNDS = {"client_connection_check_interval": 1000, "idle_in_transaction_session_timeout": 2000}

WHO = "select pg_backend_pid()"
TIE = (
    "select set_config(name, wanted::text, false) from unnest(%s::text[], %s::integer[]) as bounds (name, wanted)"
    " where current_setting(name) = '0'"
)
PARAMS = (list(BOUNDS), list(BOUNDS.values()))


def is_pooled(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], row: tuple[Any, ...] | None) -> bool:
    """Whether the backend that answered WHO is another than the one that was connected to."""
    return row is not None and row[0] != conn.info.backend_pid


def tie(conn: psycopg.Connection[Any]) -> None:
    """Tell the server, on an autocommit connection. Raises psycopg.Error when the connection is broken."""
    if is_pooled(conn, conn.execute(WHO).fetchone()):
        return
    try:
        conn.execute(TIE, PARAMS)
    except psycopg.Error as error:
        _told(conn, error)


async def atie(conn: psycopg.AsyncConnection[Any]) -> bool:
    """The same on an async connection; returns whether it is pooled."""
    if is_pooled(conn, await (await conn.execute(WHO)).fetchone()):
        return True
    await abound(conn)
    return False


async def abound(conn: psycopg.AsyncConnection[Any]) -> None:
    """The same on a connection that is known to be direct."""
    try:
        await conn.execute(TIE, PARAMS)
    except psycopg.Error as error:
        _told(conn, error)


def _told(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], error: psycopg.Error) -> None:
    if conn.closed or error.sqlstate is None:
        raise error
    log.info("the server does not watch for clients that are gone", extra={"error": reason_of(error)})
