"""Takes claimed jobs in: makes attempts of their rows and hands them to the crew. Comes between claim and execute."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from pgqueue.worker.attempt import TASK, Attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.app import App
    from pgqueue.worker.claim import Lane
    from pgqueue.worker.crew import Crew
    from pgqueue.worker.link import Link
    from pgqueue.worker.wake import Listener

# A worker says that it sleeps only after so long without a job, and that it is busy after so long with jobs, or once it
# is full: under a steady load neither producers nor workers pay for notifications.
IDLE_SECONDS = 0.010
BUSY_SECONDS = 0.020


class Intake:
    """The door between claiming and running."""

    def __init__(self, app: App, crew: Crew, link: Link, listener: Listener | None) -> None:
        self._app = app
        self._crew = crew
        self._link = link
        self._listener = listener
        self._open = True
        self._busy_since = float("-inf")
        self._unlocking: asyncio.Task[None] | None = None
        self.found_at = float("-inf")  # when a job was claimed last

    def close(self) -> None:
        """Hand back from now on whatever still comes."""
        self._open = False

    def take_on(self, lane: Lane, rows: Sequence[Sequence[Any]], token: int, now: float, clock: str) -> None:
        """Take claimed rows in. Those for the loop are looked at while the next step is on its way."""
        if self.found_at + IDLE_SECONDS < now:
            self._busy_since = now
        self.found_at = now
        if lane.pool is self._crew.loop_pool:
            self._crew.incoming += len(rows)
            asyncio.get_running_loop().call_soon(self._arrived, lane.queue, rows, token, clock)
        else:
            self.take(lane.queue, rows, token, clock=clock)
        busy = now - self._busy_since > BUSY_SECONDS or self._crew.full()
        if busy and self._listener is not None and self._listener.asleep:
            self._unlocking = asyncio.create_task(self._listener.awake())

    def take(
        self,
        queue: str,
        rows: Sequence[Sequence[Any]],
        token: int,
        *,
        alone: bool = False,
        clock: str | None = None,
    ) -> None:
        """Have rows that were claimed at `clock` run, unless it is too late for that: then they are handed back."""
        tasks, worker = self._app.tasks, self._link.worker_id
        attempts = [
            Attempt(row, tasks[row[TASK]], queue, token, alone=alone, claimed_at=clock, worker=worker) for row in rows
        ]
        if self._open and self._link.lease.remaining(time.monotonic()) > 0:
            self._crew.submit(attempts)
        else:
            self._crew.hand_back(attempts)
            self._crew.on_end()

    def _arrived(self, queue: str, rows: Sequence[Sequence[Any]], token: int, clock: str) -> None:
        self._crew.incoming -= len(rows)
        self.take(queue, rows, token, clock=clock)
