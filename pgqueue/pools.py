"""The App's own connections: opened when first needed, one sync pool a process and one async pool an event loop.

Connections are in autocommit: each verb is one statement, atomic by itself, and saves the round trips of a
transaction. They keep no prepared statements, so that PgBouncer in transaction mode may stand in between. A connection
is tested when it is taken, so that a restart or failover of the server costs a reconnect and not an error.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import psycopg
import psycopg_pool

from pgqueue.dsn import EMBEDDED
from pgqueue.errors import ConfigError, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SyncPool = psycopg_pool.ConnectionPool[psycopg.Connection[tuple[Any, ...]]]
AsyncPool = psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[tuple[Any, ...]]]

_CONNECT: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": None,
    "fallback_application_name": "pgqueue",
    "connect_timeout": 10,
}


class Pools:
    """The pools of one App in one process."""

    def __init__(self, dsn: Callable[[], str], *, size: int, timeout_seconds: float) -> None:
        self._dsn = dsn
        self._size = size
        self._timeout_seconds = timeout_seconds
        self._at_exit = False
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._sync: SyncPool | None = None
        self._async: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncPool] = WeakKeyDictionary()
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Lend a connection. Raises DatabaseUnavailable, ConfigError after a fork."""
        pool = self._sync or self.open()
        self._check_process()
        try:
            conn = pool.getconn()
        except psycopg_pool.PoolTimeout as error:
            raise self._exhausted() from error
        try:
            yield conn
        except DatabaseUnavailable:
            conn.close()  # it leads to a standby, or to what has become one: the next one looks for the primary again
            raise
        finally:
            pool.putconn(conn)

    @asynccontextmanager
    async def aconnection(self) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
        """Lend a connection of this event loop. Raises DatabaseUnavailable, ConfigError after a fork."""
        self._check_process()
        pool = self._async.get(asyncio.get_running_loop()) or await self.aopen()
        try:
            conn = await pool.getconn()
        except psycopg_pool.PoolTimeout as error:
            raise self._exhausted() from error
        try:
            yield conn
        except DatabaseUnavailable:
            await conn.close()
            raise
        finally:
            await pool.putconn(conn)

    def open(self, *, after_fork: bool = False) -> SyncPool:
        """Open the sync pool; `after_fork` leaves an inherited one to the parent and starts afresh."""
        if after_fork:
            self._leave_to_parent()
        self._check_process()
        with self._lock:
            if self._sync is None:
                dsn = self._address()
                psycopg.connect(dsn, **_CONNECT).close()  # the pool would retry a wrong password in silence
                self._close_at_exit()
                self._sync = psycopg_pool.ConnectionPool(
                    dsn,
                    kwargs=_CONNECT,
                    open=True,
                    check=psycopg_pool.ConnectionPool.check_connection,
                    **self._limits(),
                )
            return self._sync

    async def aopen(self, *, after_fork: bool = False) -> AsyncPool:
        """Open the async pool of the running event loop."""
        if after_fork:
            self._leave_to_parent()
        self._check_process()
        loop = asyncio.get_running_loop()
        async with self._turns.setdefault(loop, asyncio.Lock()):
            if found := self._async.get(loop):
                return found
            dsn = self._address()
            probe = await psycopg.AsyncConnection.connect(dsn, **_CONNECT)
            await probe.close()
            check = psycopg_pool.AsyncConnectionPool.check_connection
            pool: AsyncPool = psycopg_pool.AsyncConnectionPool(
                dsn, kwargs=_CONNECT, open=False, check=check, **self._limits()
            )
            await pool.open()
            self._async[loop] = pool
            return pool

    def close(self) -> None:
        """Close the sync pool; the next use opens it again."""
        if self._pid != os.getpid():
            return
        with self._lock:
            pool, self._sync = self._sync, None
        if pool is not None:
            pool.close()

    async def aclose(self) -> None:
        """Close both the async pool of the running event loop and the sync pool."""
        if self._pid == os.getpid() and (pool := self._async.pop(asyncio.get_running_loop(), None)):
            await pool.close()
        await asyncio.to_thread(self.close)

    def _close_at_exit(self) -> None:
        """From Python 3.13 on the pool's threads cannot end any more when the interpreter does: it would wait for each
        of them in vain, 5 s long.
        """
        if not self._at_exit:
            self._at_exit = True
            atexit.register(_close, weakref.ref(self))

    def _address(self) -> str:
        dsn = self._dsn()
        if dsn.startswith(EMBEDDED):
            raise ConfigError(
                f'"{dsn}" is understood by the pgq commands, which run that server; in a program write '
                "`with pgqueue.embedded.shared(PATH) as dsn:` and App(dsn)"
            )
        return dsn

    def _limits(self) -> dict[str, Any]:
        return {"min_size": 1, "max_size": self._size, "timeout": self._timeout_seconds, "name": "pgqueue"}

    def _exhausted(self) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            f"no connection within {self._timeout_seconds:g} s: the server is unreachable, or all {self._size} "
            "connections of the App are in use; raise App(pool_size=...)"
        )

    def _check_process(self) -> None:
        if self._pid == os.getpid():
            return
        if self._sync is None and not self._async:  # nothing was opened before the fork: nothing is shared
            self._start()
            return
        raise ConfigError(
            f"the App's connections belong to process {self._pid}, this is {os.getpid()}: a fork must not share them; "
            "call app.open() in the child (gunicorn: post_fork), or app.close() in the parent before forking"
        )

    def _leave_to_parent(self) -> None:
        if self._pid == os.getpid():
            return
        # Kept alive and never closed: closing would speak on the parent's sockets.
        _INHERITED.append((self._sync, self._async))
        self._start()


_INHERITED: list[Any] = []


def _close(pools: weakref.ref[Pools]) -> None:
    if (found := pools()) is not None:
        found.close()
