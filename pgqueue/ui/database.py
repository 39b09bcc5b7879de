"""The dashboard's connections. Reads are read-only, bounded in time, and done in the visitor's database role; changes
are one transaction with their line in the audit log.

What jobs carry (`CONTENTS`) leaves this module masked by rule, or not at all for a visitor who may not see it: a page
cannot forget it. That the database's own roles say the same is the second lock on that door: the views show contents
only to those who may read `job_args`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

import psycopg
import psycopg_pool
from psycopg.rows import dict_row, tuple_row
from psycopg.types.json import Jsonb, set_json_loads

from pgqueue.calls import Call
from pgqueue.codec import loads
from pgqueue.errors import DatabaseUnavailable
from pgqueue.listing import jobs
from pgqueue.statements import statement
from pgqueue.ui.masking import Masks
from pgqueue.ui.visitor import Role, Visitor

T = TypeVar("T")
Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Any]

PACKAGE = "pgqueue.ui"  # of the statements
READ_MS = 5_000
CHANGE_MS = 60_000  # a redrive of many thousands
LOCK_MS = 3_000  # less than READ_MS: who waits for a lock is told so, not that it asked for too much
ROLES_SECONDS = 30.0  # how soon a grant is noticed
CONTENTS = frozenset({"args", "meta", "result", "error", "traceback", "logs", "log", "lines", "message", "steps"})
NOTES = frozenset({"progress_note", "reason", "detail"})  # shown to all, masked
_CONNECT: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": None,
    "fallback_application_name": "pgq ui",
    "connect_timeout": 10,
    "row_factory": dict_row,
}
_OWN = "none"  # the role of the connection itself


@dataclass(frozen=True, slots=True)
class Roles:
    """What the connection's user may become, and whether viewers were granted the sight of contents."""

    viewer: str | None = None
    admin: str | None = None
    viewer_sees: bool = False

    def of(self, visitor: Visitor) -> str:
        """Return the database role to act in."""
        return (self.viewer if visitor.role is Role.VIEWER else self.admin) or _OWN

    def sees(self, visitor: Visitor) -> bool:
        """Whether the visitor may see what jobs carry."""
        return visitor.role is not Role.VIEWER or self.viewer_sees


class Database:
    """A small pool, opened by the first request of the event loop that it belongs to."""

    def __init__(self, dsn: str, schema: str, *, masks: Masks, size: int = 4) -> None:
        self.schema = schema
        self.masks = masks
        self.wait_seconds = 5.0  # for a connection
        self._dsn = dsn
        self._size = size
        self._pool: psycopg_pool.AsyncConnectionPool[Connection] | None = None
        self._opening = asyncio.Lock()
        self._roles = Roles()
        self._roles_until = 0.0

    async def roles(self) -> Roles:
        """Return what the connection may become; looked up again every half minute."""
        if time.monotonic() >= self._roles_until:
            async with self._lend() as conn:
                self._roles = await _probe(conn, self.schema)
            self._roles_until = time.monotonic() + ROLES_SECONDS
        return self._roles

    @asynccontextmanager
    async def reading(self, visitor: Visitor, *, own_role: bool = False) -> AsyncIterator["Reading"]:
        """Open a read-only transaction. With `own_role` it is not done in the visitor's role: for statements on tables
        that viewers have no right to; what they return is masked all the same."""
        roles = await self.roles()
        async with self._lend() as conn, conn.transaction():
            now = await _begin(conn, read_only=True, limit_ms=READ_MS, role=_OWN if own_role else roles.of(visitor))
            yield Reading(conn, self.schema, self.masks, now, sees_contents=roles.sees(visitor))

    @asynccontextmanager
    async def changing(self, visitor: Visitor, action: str, target: str) -> AsyncIterator["Change"]:
        """Open a transaction for one change. When the block ends well, what was done is noted in the audit log and both
        are committed; an error takes both back."""
        roles = await self.roles()
        async with self._lend() as conn, conn.transaction():
            now = await _begin(conn, read_only=False, limit_ms=CHANGE_MS, role=roles.of(visitor))
            change = Change(conn, self.schema, self.masks, now, sees_contents=roles.sees(visitor), target=target)
            yield change
            note = {"actor": visitor.name, "role": str(visitor.role), "action": action, "target": change.target}
            await change.rows("note_action", {**note, "detail": Jsonb(change.detail)})

    async def fold(self) -> bool:
        """Fold the statistics, in the connection's own role. Returns whether it may."""
        try:
            async with self._lend() as conn, conn.transaction():
                await _begin(conn, read_only=False, limit_ms=READ_MS, role=_OWN)
                await conn.execute(statement(PACKAGE, "fold", self.schema), {})
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @asynccontextmanager
    async def _lend(self) -> AsyncIterator[Connection]:
        pool = self._pool or await self._open()
        try:
            async with pool.connection() as conn:
                yield conn
        except psycopg_pool.PoolTimeout as error:
            raise DatabaseUnavailable(f"no connection to the database within {self.wait_seconds:g} s") from error

    async def _open(self) -> "psycopg_pool.AsyncConnectionPool[Connection]":
        async with self._opening:
            if self._pool is None:
                check = psycopg_pool.AsyncConnectionPool.check_connection
                pool: psycopg_pool.AsyncConnectionPool[Connection] = psycopg_pool.AsyncConnectionPool(
                    self._dsn,
                    kwargs=_CONNECT,
                    min_size=1,
                    max_size=self._size,
                    timeout=self.wait_seconds,
                    open=False,
                    check=check,
                    configure=_configure,
                    name="pgq ui",
                )
                await pool.open()
                self._pool = pool
            return self._pool


class Reading:
    """A transaction of one page: all it shows is of the same moment of the database's clock, `now`."""

    def __init__(self, conn: Connection, schema: str, masks: Masks, now: datetime, *, sees_contents: bool) -> None:
        self.now = now
        self.sees_contents = sees_contents
        self._conn = conn
        self._schema = schema
        self._masks = masks

    async def rows(self, name: str, params: Mapping[str, Any] | None = None, *, package: str = PACKAGE) -> list[Row]:
        """Run `sql/NAME.sql` of a package, this one's; its parameters are written %(name)s."""
        cursor = await self._conn.execute(statement(package, name, self._schema), params)
        return [self._masked(row) for row in await cursor.fetchall()]

    async def follow(self, search: jobs.Search[T]) -> T:
        """Run a search for jobs."""
        try:
            name, params = next(search)
            while True:
                name, params = search.send(await self.rows(name, params, package=jobs.PACKAGE))
        except StopIteration as end:
            found: T = end.value
            return found

    async def row(self, name: str, params: Mapping[str, Any] | None = None) -> Row | None:
        """Run `sql/NAME.sql` and return its first row, if it has any."""
        return next(iter(await self.rows(name, params)), None)

    async def call(self, call: Call[T]) -> T:
        """Run a verb of pgqueue.calls, such as `calls.why(7)`."""
        async with self._conn.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(call.text(self._schema), call.params)
            return call.read(await cursor.fetchall())

    def _masked(self, row: Row) -> Row:
        for name in CONTENTS.intersection(row):
            row[name] = self._masks.value(row[name]) if self.sees_contents else None
        for name in NOTES.intersection(row):
            row[name] = self._masks.value(row[name])
        return row


class Change(Reading):
    """A transaction that changes one thing and notes it. Put counts and ids into `detail`, never what jobs carry."""

    def __init__(
        self, conn: Connection, schema: str, masks: Masks, now: datetime, *, sees_contents: bool, target: str
    ) -> None:
        super().__init__(conn, schema, masks, now, sees_contents=sees_contents)
        self.target = target
        self.detail: dict[str, Any] = {}


async def _configure(conn: Connection) -> None:
    set_json_loads(loads, conn)


async def _begin(conn: Connection, *, read_only: bool, limit_ms: int, role: str) -> datetime:
    """Make the transaction that was begun what it is to be; all of it ends with the transaction (poolers)."""
    settings = {"read_only": "on" if read_only else "off", "limit": str(limit_ms), "lock": str(LOCK_MS), "role": role}
    row = await (await conn.execute(statement(PACKAGE, "begin", "pgqueue"), settings)).fetchone()
    now: datetime = cast("Row", row)["now"]
    return now


async def _probe(conn: Connection, schema: str) -> Roles:
    found = {row["kind"]: row for row in await (await conn.execute(statement(PACKAGE, "roles", schema), {})).fetchall()}
    usable = {kind: row["role"] if await _may_become(conn, row["role"]) else None for kind, row in found.items()}
    viewer = found.get("viewer")
    return Roles(usable.get("viewer"), usable.get("admin"), viewer_sees=bool(viewer and viewer["sees_contents"]))


async def _may_become(conn: Connection, role: str) -> bool:
    try:
        async with conn.transaction():
            await _begin(conn, read_only=True, limit_ms=READ_MS, role=role)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue):
        return False
    return True
