"""The thread that looks out for the ends of jobs on behalf of all waiters of a process, over one connection of its own.

It listens, and while somebody waits it holds a shared advisory lock, so that those who settle jobs notify only then.
What happened before the lock was held is seen by looking once more. Where it cannot listen it polls. It ends by itself.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row

from pgqueue import calls
from pgqueue.errors import PgQueueError
from pgqueue.telling import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pgqueue.job import JobStatus
    from pgqueue.room import Room

log = logging.getLogger(__name__)

UNLOCK_SECONDS = 1.0
LINGER_SECONDS = 30.0
LOCK_AGAIN_SECONDS = 0.01
REST = 3  # times what a look took: a quarter of one server process at most, however many jobs end
REST_MOST_SECONDS = 0.5
LASTED_SECONDS = 10.0  # a connection that broke after so long was a good one
BACKOFF_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 2.0)
JOIN_SECONDS = 2.0

# A dead peer is noticed in some 5 s. What the DSN says wins.
_CONNECT: dict[str, Any] = {
    "fallback_application_name": "pgqueue (results)",
    "connect_timeout": 5,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}


class Lookout(threading.Thread):
    """Rings the seats of a room. The lock guards the room; `on_end` is called with it held, as the last act."""

    def __init__(
        self,
        dsn: Callable[[], str],
        schema: Callable[[], str],
        *,
        room: Room,
        lock: threading.Lock,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(name="pgqueue results", daemon=True)
        self._dsn = dsn
        self._schema = schema
        self._room = room
        self._lock = lock
        self._on_end = on_end
        self._stopped = threading.Event()
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)

    def ring(self) -> None:
        """Say that somebody came in. To be called with the lock held, before `on_end`."""
        with suppress(BlockingIOError):  # a full bell has been rung
            self._button.send(b"\0")

    def stop(self) -> None:
        """Ask the thread to end; as for `ring`."""
        self._stopped.set()
        self.ring()

    def run(self) -> None:
        """Look out until told to stop, or until nobody has waited for a while."""
        try:
            self._over_connections()
        finally:
            with self._lock:
                self._on_end()
            self.hang_up()

    def hang_up(self) -> None:
        """Take the bell down."""
        self._bell.close()
        self._button.close()

    def _over_connections(self) -> None:
        turn = 0
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                with closing(Line(self._dsn(), self._schema(), self._bell)) as line:
                    return self._serve(line)
            except (psycopg.Error, OSError, PgQueueError) as error:
                if not self._room:
                    return None
                turn = 0 if time.monotonic() - began > LASTED_SECONDS else turn + 1
                level = logging.DEBUG if turn > 1 else logging.WARNING
                log.log(level, "cannot look for results; waiters do it one by one", extra={"error": reason_of(error)})
                self._stopped.wait(BACKOFF_SECONDS[min(turn, len(BACKOFF_SECONDS) - 1)])
        return None

    def _serve(self, line: Line) -> None:
        last = time.monotonic()
        while not self._stopped.is_set():
            if self._room:
                self._watch(line)
                last = time.monotonic()
                continue
            idle = time.monotonic() - last
            if idle >= LINGER_SECONDS:
                return
            if idle >= UNLOCK_SECONDS:
                line.unlock()
            line.wait((LINGER_SECONDS if idle >= UNLOCK_SECONDS else UNLOCK_SECONDS) - idle)

    def _watch(self, line: Line) -> None:
        news = line.lock() | line.heard()
        with self._lock:
            if news:
                self._room.hurry()
            seats = self._room.due(time.monotonic())
        if seats:
            began = time.monotonic()
            ended = line.look({seat.job_id for seat in seats})
            now = time.monotonic()
            with self._lock:
                self._room.looked(seats, ended, now)
            self._stopped.wait(min(REST * (now - began), REST_MOST_SECONDS))
        with self._lock:
            due = self._room.next_due()
        if due is not None:
            left = due - time.monotonic()
            line.wait(min(left, LOCK_AGAIN_SECONDS) if line.lockable else left)


class Line:
    """A connection that listens if it can. Raises psycopg.Error when it breaks."""

    def __init__(self, dsn: str, schema: str, bell: socket.socket) -> None:
        self._schema = schema
        self._bell = bell
        self._heard = False
        self._locked = False
        self._conn: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
            autocommit=True, prepare_threshold=None, row_factory=tuple_row, **{**_CONNECT, **conninfo_to_dict(dsn)}
        )
        try:
            self._conn.add_notify_handler(self._notified)
            self._key = self._listen()
            self._selector = selectors.DefaultSelector()
        except BaseException:
            self._conn.close()
            raise
        self._selector.register(self._conn.fileno(), selectors.EVENT_READ, self._read)
        self._selector.register(bell, selectors.EVENT_READ, self._silence)

    @property
    def lockable(self) -> bool:
        """Whether the lock is still to be taken."""
        return self._key is not None and not self._locked

    def close(self) -> None:
        """Give everything back."""
        self._selector.close()
        self._conn.close()

    def lock(self) -> bool:
        """Say that somebody waits. True: it is news, and what has ended before is to be looked for."""
        if not self.lockable:
            return False
        rows = self._conn.execute(calls.statement("lock_sleep", self._schema), {"keys": [self._key]}).fetchall()
        self._locked = rows[0][0]
        return self._locked

    def unlock(self) -> None:
        """Say that nobody waits."""
        if self._locked:
            self._conn.execute(calls.statement("unlock_sleep", self._schema), {"keys": [self._key]})
            self._locked = False

    def heard(self) -> bool:
        """Whether something was heard since this was asked last."""
        heard, self._heard = self._heard, False
        return heard

    def look(self, job_ids: Collection[int]) -> Mapping[int, JobStatus | None]:
        """Return what those of these jobs have come to that have ended; None for unknown ones."""
        call = calls.ended(job_ids)
        return call.read(self._conn.execute(call.text(self._schema), call.params).fetchall())

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, when something is heard, or when the bell rings."""
        self._drain()
        if self._heard:
            return
        for key, _ in self._selector.select(max(seconds, 0)):
            key.data()

    def _listen(self) -> int | None:
        backend = self._conn.execute("select pg_backend_pid()").fetchall()[0][0]
        if backend != self._conn.info.backend_pid:
            log.info("a connection pooler is in the way of LISTEN: results are found by polling")
            return None
        try:
            rows = self._conn.execute(calls.statement("wake_keys", self._schema), {"queues": [""]}).fetchall()
            _, key, channel = rows[0]
            self._conn.execute(psycopg.sql.SQL("listen {}").format(psycopg.sql.Identifier(channel)))
        except psycopg.Error as error:
            if self._conn.closed:
                raise
            log.warning("cannot listen; results are found by polling", extra={"error": reason_of(error)})
            return None
        return int(key)

    def _read(self) -> None:
        self._conn.pgconn.consume_input()
        self._drain()

    def _drain(self) -> None:
        while self._conn.pgconn.notifies() is not None:
            self._heard = True

    def _notified(self, _: psycopg.Notify) -> None:
        self._heard = True

    def _silence(self) -> None:
        with suppress(BlockingIOError):
            while self._bell.recv(4096):
                continue
