"""Sleeps until there may be work, and is woken at once when somebody enqueues. Comes before claim; decides nothing.

A sleeping worker holds a shared advisory lock for each of its queues on its listening connection: enqueueing notifies
only while somebody does. The lock is a hint, as the notification is: what both miss is found by polling, after a
twenty-fifth of the time since the last job, from a millisecond up to the poll interval. So a job whose transaction
stayed open for 2 s after its enqueue is seen within 0.1 s of its commit, even if nobody slept when it was enqueued.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg.rows import tuple_row

from pgqueue.calls import statement
from pgqueue.telling import reason_of
from pgqueue.worker.session import backoff, conninfo, shut_down_socket
from pgqueue.worker.tether import WHO, atie

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


log = logging.getLogger(__name__)

POLL_SHARE = 0.03
POLL_LEAST_SECONDS = 0.001
ANSWER_SECONDS = 1.0  # a listening connection that answers later than this is as good as dead
PROBE_SECONDS = 5.0  # how often one that says nothing is asked whether it is


def poll_gap(idle_seconds: float, poll_interval_seconds: float) -> float:
    """How long to wait before the next look, after so long without a job."""
    return min(max(POLL_SHARE * idle_seconds, POLL_LEAST_SECONDS), poll_interval_seconds)


class Listener:
    """The listening connection of a worker: wakes it, and says that it sleeps."""

    def __init__(self, dsn: str, schema: str, queues: Iterable[str]) -> None:
        self.on_wake: Callable[[], None] = lambda: None
        self.on_control: Callable[[], None] = lambda: None
        self._dsn = conninfo(dsn)
        self._schema = schema
        self._queues = list(queues)
        self._conn: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self._keys: list[int] = []
        self._control = ""
        self._reader_fd = -1
        self._broken = asyncio.Event()
        self._lock = asyncio.Lock()
        self.asleep = False
        self.pid: int | None = None

    async def run(self) -> None:
        """Listen for ever, over any number of connections. A pooler in the way makes it give up: polling goes on."""
        turn = 0
        while True:
            try:
                await self._connect()
            except (psycopg.Error, OSError) as error:
                log.warning("cannot listen; jobs are found by polling", extra={"error": reason_of(error)})
                await self._drop()
                await backoff(turn)
                turn += 1
                continue
            if self._pooled:
                log.warning(
                    "a connection pooler is in the way of LISTEN: jobs are found by polling; "
                    "give --listen-dsn a direct address, or --no-listen"
                )
                await self._drop()
                return
            turn = 0
            self.on_wake()
            self.on_control()  # beats: from then on the rescue knows which backend to end should this process freeze
            await self._watch_over()
            await self._drop()

    async def _watch_over(self) -> None:
        """Return when the connection is broken. One that says nothing may be quiet or cut off where keepalives still
        get answers, as behind a proxy: so it is asked now and then.
        """
        while not self._broken.is_set():
            try:
                await asyncio.wait_for(self._broken.wait(), PROBE_SECONDS)
            except TimeoutError:
                async with self._lock:
                    await self._say(WHO)

    async def sleep(self) -> bool:
        """Say that this worker sleeps. True: it is news, and the caller has to look for jobs once more before it
        does.
        """
        if self.asleep or self._conn is None or self._pooled:
            return False
        async with self._lock:
            taken = await self._locks("lock_sleep")
        self.asleep = taken
        return taken

    async def awake(self) -> None:
        """Say that this worker is busy: nobody needs to notify it."""
        if not self.asleep or self._conn is None:
            return
        self.asleep = False
        async with self._lock:
            await self._locks("unlock_sleep")

    async def close(self) -> None:
        """Stop listening."""
        await self._drop()

    async def _locks(self, name: str) -> bool:
        return await self._say(statement(name, self._schema))

    async def _say(self, query: LiteralString) -> bool:
        conn = self._conn
        if conn is None:
            return False
        try:
            self._unwatch()
            rows = await self._ask(conn, query)
            self._watch()
        except (psycopg.Error, OSError):
            self._broken.set()
            return False
        return all(row[0] for row in rows)

    async def _ask(
        self, conn: psycopg.AsyncConnection[tuple[Any, ...]], query: LiteralString | bytes
    ) -> list[tuple[Any, ...]]:
        """Run a statement that takes no time; a connection on which it does is cut off."""
        asking = asyncio.ensure_future(conn.execute(query, {"keys": self._keys}))
        done, _ = await asyncio.wait({asking}, timeout=ANSWER_SECONDS)
        if not done:
            shut_down_socket(conn)
        return await (await asking).fetchall()

    async def _connect(self) -> None:
        self._broken.clear()
        self._pooled = False
        conn = await psycopg.AsyncConnection.connect(
            self._dsn,
            autocommit=True,
            prepare_threshold=None,
            fallback_application_name="pgq work (listen)",
            row_factory=tuple_row,
        )
        try:
            await self._listen(conn)
        except BaseException:
            await conn.close()
            raise
        self._conn = conn  # from here on the worker may say that it sleeps
        self._watch()

    async def _listen(self, conn: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
        conn.add_notify_handler(self._notified)
        self._pooled = await atie(conn)
        if self._pooled:
            return
        params = {"queues": [None, *self._queues]}
        rows = await (await conn.execute(statement("wake_keys", self._schema), params)).fetchall()
        self._keys = [key for queue, key, _ in rows if queue is not None]
        self._control = next(channel for queue, _, channel in rows if queue is None)
        for _, _, channel in rows:
            await conn.execute(psycopg.sql.SQL("listen {}").format(psycopg.sql.Identifier(channel)))
        self.pid = conn.info.backend_pid

    def _watch(self) -> None:
        if self._conn is not None and not self._conn.closed:
            self._reader_fd = self._conn.fileno()
            asyncio.get_running_loop().add_reader(self._reader_fd, self._readable)
            self._dispatch(self._conn)

    def _unwatch(self) -> None:
        if self._reader_fd >= 0:
            asyncio.get_running_loop().remove_reader(self._reader_fd)
            self._reader_fd = -1

    def _readable(self) -> None:
        conn = self._conn
        if conn is None or conn.closed:
            self._unwatch()
            self._broken.set()
            return
        try:
            conn.pgconn.consume_input()
        except psycopg.Error:
            self._unwatch()
            self._broken.set()
            return
        self._dispatch(conn)

    def _dispatch(self, conn: psycopg.AsyncConnection[Any]) -> None:
        while (notify := conn.pgconn.notifies()) is not None:
            self._wake(notify.relname.decode())

    def _notified(self, notify: psycopg.Notify) -> None:
        self._wake(notify.channel)

    def _wake(self, channel: str) -> None:
        if channel == self._control:
            self.on_control()
        else:
            self.on_wake()

    async def _drop(self) -> None:
        self._unwatch()
        self.asleep = False
        self.pid = None
        conn, self._conn = self._conn, None
        if conn is not None:
            shut_down_socket(conn)
            await conn.close()

    _pooled = False
