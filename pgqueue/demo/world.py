"""The database of the demo: a throw-away server, or two schemas in the user's that are gone afterwards.

A schema of ours says so in its comment. One that says anything else is not touched; one that a killed demo left is
dropped. A session advisory lock keeps two demos apart in one database.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.pq import TransactionStatus

from pgqueue import dsn as _dsn
from pgqueue.errors import ConfigError, DatabaseUnavailable, PgQueueError
from pgqueue.migrate import upgrade
from pgqueue.schema import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    Connection = psycopg.Connection[tuple[Any, ...]]

SHOP = "demo"
OWN_QUEUE = "pgqueue_demo"  # the user's own queue may be in "pgqueue"
MARK = "made by pgq demo"
_NAMES = ("PGQ_DSN", "DATABASE_URL", *_dsn.LIBPQ_VARIABLES)
_LOCK = "select pg_advisory_lock(hashtextextended('pgq demo', 0))"
_PATIENCE = "5s"  # the server may take a moment to see that a demo was killed
_FOUND = """
select nspname, coalesce(obj_description(oid, 'pg_namespace') = %s, false) from pg_namespace where nspname = any (%s)"""


@dataclass(frozen=True, slots=True)
class World:
    """A database that is ready for the story."""

    dsn: str
    schema: str
    server: str  # how to call it

    @property
    def variables(self) -> dict[str, str]:
        """What tells `pgq` where the queue is."""
        return {"PGQ_SCHEMA": self.schema} | ({"PGQ_DSN": self.dsn} if self.dsn else {})


@contextmanager
def world(dsn: str | None, *tables: LiteralString) -> Iterator[tuple[World, Connection]]:
    """Prepare the database, lend it, and leave it as it was. Raises ConfigError, DatabaseUnavailable.

    `tables` is the SQL that makes tables in the schema `demo`.
    """
    with ExitStack() as stack:
        made = _find(stack, dsn)
        conn = stack.enter_context(_connect(made.dsn))
        _clear(conn, _ours(conn, made))
        stack.callback(_leave, conn, made)
        _make(conn, made, tables)
        yield made, conn


def _find(stack: ExitStack, dsn: str | None) -> World:
    if dsn is None and any(os.environ.get(name) for name in _NAMES):
        dsn = _dsn.resolve()
    if dsn is None:
        from pgqueue.embedded import Server

        server = stack.enter_context(Server())
        return World(server.dsn(), DEFAULT, "a throw-away PostgreSQL, started for this")
    if dsn.startswith(_dsn.EMBEDDED):
        from pgqueue.embedded import shared

        dsn = stack.enter_context(shared(dsn.removeprefix(_dsn.EMBEDDED)))
    return World(dsn, OWN_QUEUE, f'your database, in the schemas "{SHOP}" and "{OWN_QUEUE}", dropped at the end')


def _connect(dsn: str) -> Connection:
    try:
        return psycopg.connect(dsn, autocommit=True, connect_timeout=10, application_name="pgq demo")
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(str(error).strip()) from error


def _ours(conn: Connection, made: World) -> list[str]:
    """Return the schemas that an earlier demo left. Raises ConfigError for those of others and for a demo at work."""
    try:
        conn.execute("select set_config('lock_timeout', %s, false)", [_PATIENCE])
        conn.execute(_LOCK)
    except errors.LockNotAvailable as error:
        raise ConfigError(
            "another `pgq demo` is running in this database: wait for it, or name another database"
        ) from error
    found = conn.execute(_FOUND, [MARK, [SHOP, made.schema]]).fetchall()
    for name, ours in found:
        if not ours:
            raise ConfigError(
                f'the demo needs the schema "{name}" for itself, and this database has one that is not of the demo: '
                "name another database, or none for a throw-away server"
            )
    return [name for name, _ in found]


def _make(conn: Connection, made: World, tables: tuple[LiteralString, ...]) -> None:
    try:
        with conn.transaction():
            for name in (SHOP, made.schema):
                schema = sql.Identifier(name)
                conn.execute(sql.SQL("create schema {}").format(schema))
                conn.execute(sql.SQL("comment on schema {} is {}").format(schema, MARK))
            for statements in tables:
                conn.execute(statements)
    except errors.InsufficientPrivilege as error:
        raise ConfigError(f"the demo may not make its schemas here: {error.diag.message_primary}") from error
    upgrade(made.dsn, made.schema)


def _leave(conn: Connection, made: World) -> None:
    """Drop what was made, over a new connection if an interruption spoiled this one; a throw-away server just ends."""
    if made.schema == DEFAULT:
        conn.close()
    elif conn.info.transaction_status == TransactionStatus.IDLE:
        _clear(conn, [SHOP, made.schema])
    else:
        conn.close()
        with _connect(made.dsn) as again:
            _clear(again, [SHOP, made.schema])


def _clear(conn: Connection, schemas: list[str]) -> None:
    conn.execute("set client_min_messages = warning")
    conn.execute("set lock_timeout = '10s'")
    for name in schemas:
        statement = sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(name))
        try:
            conn.execute(statement)
        except errors.LockNotAvailable as error:
            raise PgQueueError(
                f"the demo could not drop its schema, which somebody uses: {statement.as_string(conn)}"
            ) from error
