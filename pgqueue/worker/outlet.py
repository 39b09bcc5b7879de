"""What a process for cpu handlers says to its worker, as lines of JSON from whichever thread: answers, progress, and
what its handler logs.

Log lines go at once as long as they are few, then five times a second: what a process that is killed logged last is
in the history of its attempt, as far as it was not among very many.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from pgqueue import codec
from pgqueue.capture import FIRST_LINES, Lines

if TYPE_CHECKING:
    import socket

    from pgqueue.worker.attempt import Attempt

FLUSH_SECONDS = 0.2


class Outlet:
    """The child's end of the conversation."""

    def __init__(self, conn: socket.socket) -> None:
        self._conn = conn
        self._sending = threading.Lock()
        self._lines = threading.RLock()  # reentrant: a line may be logged while lines are sent
        self._attempt: Attempt | None = None
        self._told = 0
        self._flushed_at = 0.0

    def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        line = codec.dumps(message).encode() + b"\n"
        with self._sending:
            self._conn.sendall(line)

    def begin(self, attempt: Attempt) -> None:
        """A handler begins."""
        with self._lines:
            self._attempt, self._told = attempt, 0

    def end(self) -> None:
        """It has ended: what it logged goes before its answer."""
        with self._lines:
            self._flush()
            self._attempt = None

    def add(self, attempt: Attempt, line: str) -> None:
        """Take a log line; one of an attempt that has ended already is too late."""
        with self._lines:
            if attempt is not self._attempt:
                return
            attempt.lines = attempt.lines or Lines()
            attempt.lines.add(line)
            self._told += 1
            if self._told <= FIRST_LINES:
                self._flush()
            else:
                self.flush_soon()

    def flush_soon(self) -> None:
        """Send what waits, unless that was done just now. Called several times a second."""
        with self._lines:
            if time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
                self._flush()

    def _flush(self) -> None:
        self._flushed_at = time.monotonic()
        lines = self._attempt.lines if self._attempt is not None else None
        if lines:
            first, left_out, last = lines.take()
            self.send({"lines": [first, left_out, last]})
