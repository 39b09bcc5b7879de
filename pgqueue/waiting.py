"""Lets threads and event loops wait for the ends of jobs. Comes after settle; changes nothing.

All waiters of a process share one `Lookout`: a thread with one connection, which is notified when jobs have ended,
looks at all that are waited for in one query, and rings those that can go. It polls where it cannot listen. A waiter
whose job has not been looked at lately (the connection is broken, or the server hangs) looks for itself.

The thread begins with the first waiter. A forked child has a `Waiting` of its own (see `Client`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from pgqueue.lookout import JOIN_SECONDS, Lookout
from pgqueue.room import Room, Seat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgqueue.job import JobStatus

log = logging.getLogger(__name__)

SHORT_SECONDS = 0.03  # not worth a seat
STALE_SECONDS = 1.0  # twice the longest poll gap


class Waiting:
    """The waiters of one App in one process."""

    def __init__(self, dsn: Callable[[], str], schema: Callable[[], str]) -> None:
        self._dsn = dsn
        self._schema = schema
        self._room = Room()
        self._lock = threading.Lock()
        self._lookout: Lookout | None = None

    def wait(self, job_id: int, seconds: float | None) -> JobStatus | None:
        """Wait for a job to end. None: look for yourself; the time is up, or something is in the way."""
        if seconds is not None and seconds <= SHORT_SECONDS:
            time.sleep(seconds)
            return None
        rung = threading.Event()
        with self._seated(job_id, rung.set) as seat:
            for part in _parts(seat, seconds):
                if rung.wait(part):
                    break
        return seat.status

    async def await_(self, job_id: int, seconds: float | None) -> JobStatus | None:
        """Do as `wait` without blocking the event loop."""
        if seconds is not None and seconds <= SHORT_SECONDS:
            await asyncio.sleep(seconds)
            return None
        loop = asyncio.get_running_loop()
        rung: asyncio.Future[None] = loop.create_future()
        with self._seated(job_id, partial(_ring, loop, rung)) as seat:
            for part in _parts(seat, seconds):
                await asyncio.wait((rung,), timeout=part)
                if rung.done():
                    break
        return seat.status

    def close(self) -> None:
        """End the thread. Who waits still looks for itself, and begins another one."""
        with self._lock:
            lookout = self._lookout
            if lookout is not None:
                lookout.stop()
        if lookout is not None:
            lookout.join(JOIN_SECONDS)

    @contextmanager
    def _seated(self, job_id: int, ring: Callable[[], None]) -> Iterator[Seat]:
        seat = Seat(job_id, time.monotonic(), ring)
        try:
            with self._lock:
                self._room.enter(seat)
                self._lookout = self._lookout or self._begin()
                if self._lookout is not None:
                    self._lookout.ring()
            yield seat
        finally:
            with self._lock:
                self._room.leave(seat)

    def _begin(self) -> Lookout | None:
        lookout = Lookout(self._dsn, self._schema, room=self._room, lock=self._lock, on_end=self._ended)
        try:
            lookout.start()
        except RuntimeError as error:  # the system gives no more threads: seats go stale
            log.warning("no thread to wait for results", extra={"error": str(error)})
            lookout.hang_up()
            return None
        return lookout

    def _ended(self) -> None:
        self._lookout = None  # who still sits there goes stale and begins another


def _parts(seat: Seat, seconds: float | None) -> Iterator[float]:
    """Yield how long to wait for the ring, piece by piece, until the time is up or the seat is stale."""
    end = float("inf") if seconds is None else seat.since + seconds
    while (left := end - time.monotonic()) > 0 and (fresh := seat.seen_at + STALE_SECONDS - time.monotonic()) > 0:
        yield min(left, fresh)


def _ring(loop: asyncio.AbstractEventLoop, rung: asyncio.Future[None]) -> None:
    try:
        loop.call_soon_threadsafe(_done, rung)
    except RuntimeError:
        log.debug("an event loop was closed before the job ended that it waited for")


def _done(rung: asyncio.Future[None]) -> None:
    if not rung.done():
        rung.set_result(None)
