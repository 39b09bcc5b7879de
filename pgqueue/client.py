"""Runs the verbs of `calls` on a connection: the caller's, in the caller's transaction, or one of the App's own.

This is all that differs between sync and async. On the caller's connection nothing is committed, no mode is changed,
and the row factory does not matter. Locks are those of the verb; see its file under `sql/`.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pgqueue.errors import ArgumentError, PgQueueError, from_sqlstate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from pgqueue.calls import Call
    from pgqueue.pools import Pools
    from pgqueue.waiting import Waiting

T = TypeVar("T")


class Client:
    """Runs verbs against one schema."""

    def __init__(self, dsn: Callable[[], str], *, schema: Callable[[], str], pool_size: int, timeout: float) -> None:
        self._dsn = dsn
        self._schema = schema
        self._pool_size = pool_size
        self._timeout_seconds = timeout
        self._pools: Pools | None = None
        self._waiting: dict[int, Waiting] = {}

    @property
    def pools(self) -> Pools:
        """The App's own connections; made at first use, because importing psycopg_pool takes its time."""
        if self._pools is None:
            from pgqueue.pools import Pools

            self._pools = Pools(self._dsn, size=self._pool_size, timeout_seconds=self._timeout_seconds)
        return self._pools

    @property
    def waiting(self) -> Waiting:
        """Where this process waits for the ends of jobs."""
        pid = os.getpid()
        if (found := self._waiting.get(pid)) is None:
            from pgqueue.waiting import Waiting

            found = self._waiting.setdefault(pid, Waiting(self._dsn, self._schema))
        return found

    def run(self, call: Call[T], *, conn: Any = None, instead: str = "the method with an a in front") -> T:
        """Run a verb. Raises PgQueueError; what only the owner of the transaction can judge stays psycopg's."""
        if conn is not None:
            _check_connection(conn, is_async=False, instead=instead)
            return self._execute(conn, call)
        with _translated(), self.pools.connection() as own:
            return self._execute(own, call)

    async def arun(self, call: Call[T], *, conn: Any = None, instead: str = "the method without the a") -> T:
        """Run a verb on an async connection."""
        if conn is not None:
            _check_connection(conn, is_async=True, instead=instead)
            return await self._aexecute(conn, call)
        with _translated():
            async with self.pools.aconnection() as own:
                return await self._aexecute(own, call)

    def open(self) -> None:
        """Open the sync pool now."""
        with _translated():
            self.pools.open(after_fork=True)

    async def aopen(self) -> None:
        """Open the pool of the running event loop now."""
        with _translated():
            await self.pools.aopen(after_fork=True)

    def close(self) -> None:
        """Close the sync pool, if there is one, and what waits for results."""
        if waiting := self._waiting.get(os.getpid()):
            waiting.close()
        if self._pools is not None:
            self._pools.close()

    async def aclose(self) -> None:
        """Close the pool of the running event loop, the sync pool, and what waits for results."""
        if waiting := self._waiting.get(os.getpid()):
            await asyncio.to_thread(waiting.close)
        if self._pools is not None:
            await self._pools.aclose()

    def _execute(self, conn: psycopg.Connection[Any], call: Call[T]) -> T:
        from psycopg import Cursor, RawCursor
        from psycopg.rows import tuple_row

        made = conn.cursor(row_factory=tuple_row)
        if isinstance(made, RawCursor):  # it takes $1 for the caller's statements, and no names for ours
            made = Cursor(conn, row_factory=tuple_row)
        with _translated(), made as cursor:
            cursor.execute(call.text(self._schema()), call.params)
            return call.read(cursor.fetchall())

    async def _aexecute(self, conn: psycopg.AsyncConnection[Any], call: Call[T]) -> T:
        from psycopg import AsyncCursor, AsyncRawCursor
        from psycopg.rows import tuple_row

        made = conn.cursor(row_factory=tuple_row)
        if isinstance(made, AsyncRawCursor):
            made = AsyncCursor(conn, row_factory=tuple_row)
        with _translated():
            async with made as cursor:
                await cursor.execute(call.text(self._schema()), call.params)
                return call.read(await cursor.fetchall())


@contextmanager
def _translated() -> Iterator[None]:
    """Turn psycopg's errors into ours where ours say more."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error


def translate(error: psycopg.Error) -> PgQueueError | None:
    """Return our error for one of psycopg's; None where psycopg's says it all."""
    import psycopg

    message = error.diag.message_primary or str(error).strip() or type(error).__name__
    broken = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None
    return from_sqlstate("08006" if broken else error.sqlstate, message)


def _check_connection(conn: Any, *, is_async: bool, instead: str) -> None:
    import psycopg

    expected, other = psycopg.Connection, psycopg.AsyncConnection
    if is_async:
        expected, other = other, expected  # type: ignore[assignment]
    if isinstance(conn, expected):
        return
    if isinstance(conn, other):
        raise ArgumentError(f"conn is a psycopg {other.__name__}: call {instead}")
    hint = ""
    inner = getattr(conn, "connection", None)
    if isinstance(inner, expected | other):
        hint = "; pass its .connection"
    elif hasattr(inner, "driver_connection"):  # SQLAlchemy's; a Session has a method there
        hint = "; pass its .connection.driver_connection"
    raise ArgumentError(
        f"conn must be a psycopg {expected.__name__}, got {type(conn).__module__}.{type(conn).__name__}{hint}"
    )
