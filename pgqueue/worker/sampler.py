"""Reads the depth of a fleet's queues every few seconds, from a thread with a connection of its own: a database that is
away or frozen must not hold the supervisor up. While there is no answer there is no reading, and nothing changes.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from pgqueue.calls import statement
from pgqueue.telling import reason_of
from pgqueue.worker.session import conninfo, shut_down_socket

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
FIRST_SECONDS = 0.25
PART = 0.02  # of the time at most that is spent on asking, as far as MOST_SECONDS allow
MOST_SECONDS = 60.0  # between two answers
PATIENCE_SECONDS = 10.0  # an answer that takes longer is not waited for
LONGEST_RETRY_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The queues that a fleet serves, now. `other_slots` are those of other workers that serve them too."""

    at: float
    ready: int
    lag: float
    estimated: bool
    slots: int
    other_slots: int


class Sampler:
    """The thread that asks."""

    def __init__(self, dsn: str, schema: str, queues: Sequence[str]) -> None:
        """`queues`: those served, in so far as they were named; else what the workers say that they serve."""
        self._dsn = conninfo(dsn)
        self._schema = schema
        self._queues = list(queues)
        self._conn: psycopg.Connection[Any] | None = None
        self._asked_at: float | None = None
        self._newest: Reading | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pgqueue-sampler", daemon=True)
        self.pids: list[int] = []  # of the fleet's processes

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """Ask no more; nothing is waited for."""
        self._ended.set()
        shut_down_socket(self._conn)

    def take(self) -> Reading | None:
        """The newest reading, once. Cuts off a connection that does not answer."""
        asked_at = self._asked_at
        if asked_at is not None and time.monotonic() - asked_at > PATIENCE_SECONDS:
            shut_down_socket(self._conn)
        reading, self._newest = self._newest, None
        return reading

    def _run(self) -> None:
        wait, failures = 0.0, 0
        while not self._ended.wait(wait):
            if not self.pids:
                wait = FIRST_SECONDS
                continue
            began = time.monotonic()
            try:
                self._newest = self._ask(began)
            except Exception as error:  # noqa: BLE001 - a thread that ended would leave the number as it is, for ever
                self._drop()
                failures += 1
                wait = min(EVERY_SECONDS * 2 ** min(failures, 10), LONGEST_RETRY_SECONDS)
                if failures == 1 and not self._ended.is_set():
                    log.warning(
                        "the depth of the queues cannot be read; the number of processes stays",
                        extra={"error": reason_of(error)},
                    )
                continue
            finally:
                self._asked_at = None
            failures = 0
            wait = max(EVERY_SECONDS, min((time.monotonic() - began) / PART, MOST_SECONDS))
        self._drop()

    def _ask(self, now: float) -> Reading | None:
        self._asked_at = now
        if self._conn is None:
            self._conn = psycopg.connect(
                self._dsn,
                autocommit=True,
                prepare_threshold=None,
                row_factory=dict_row,
                fallback_application_name="pgq work (scaling)",
            )
        params = {"host": socket.gethostname(), "pids": self.pids, "queues": self._queues}
        row = self._conn.execute(statement("fleet_load", self._schema), params).fetchone()
        if row is None or not row["slots"]:
            return None  # no process of ours is there yet
        return Reading(at=time.monotonic(), **row)

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()
