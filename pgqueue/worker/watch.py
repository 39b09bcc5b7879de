"""Looks, from a thread that does nothing else, whether this process works: whether the event loop turns, and whether
any Python runs at all. What it finds is reported with the stacks of where the process stands, and taken back when it
goes on.

It changes nothing about jobs. A blocked loop costs the process its lease because the heartbeat tells since when it
stands (lease.py); a supervisor kills what is silent for a lease (fleet.py).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from pgqueue.telling import place_of
from pgqueue.worker.incident import Incident
from pgqueue.worker.stacks import all_stacks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pgqueue.worker.alarm import Alarm
    from pgqueue.worker.attempt import Attempt

log = logging.getLogger(__name__)

PART = 0.5  # of the lease: who stands still for so long is reported
AT_ONCE_SECONDS = 0.3  # a dump this young was written when the process went on, not while it stood


class Watch:
    """The thread that looks."""

    def __init__(
        self,
        lease_seconds: float,
        *,
        loop_turned_at: Callable[[], float],
        running: Callable[[], Sequence[Attempt]],
        on_loop: Callable[[], Attempt | None],
        report: Callable[[Incident], None],
        recovered: Callable[[], None],
        alarm: Alarm | None = None,
    ) -> None:
        """`running`: the attempts in this process, `on_loop`: the one that has the loop right now. Both are called from
        the thread, like `report` and `recovered`. Made on the loop's thread.
        """
        self._threshold = PART * lease_seconds
        self._period = min(max(lease_seconds / 20, 0.05), 0.5)
        self._loop_turned_at = loop_turned_at
        self._running = running
        self._on_loop = on_loop
        self._report = report
        self._recovered = recovered
        self._alarm = alarm
        self._loop_thread = threading.get_ident()
        self._blocked_at: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pgqueue-watch", daemon=True)

    def start(self) -> None:
        """Start looking."""
        if self._alarm is not None:
            self._alarm.put_off()
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; waits for the thread, if it was started."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        looked_at = time.monotonic()
        while not self._ended.wait(self._period):
            now = time.monotonic()
            try:
                self._look(now, now - looked_at - self._period)
                if self._alarm is not None:
                    self._alarm.put_off()
            except Exception as error:  # noqa: BLE001 - whatever it is, it looks again
                log.error("the watch met an error of pgqueue and goes on", extra={"error": place_of(error)})
            looked_at = now
        if self._alarm is not None:
            self._alarm.stop()

    def _look(self, now: float, missed: float) -> None:
        """`missed`: for how long this thread should have run and did not."""
        turned_at = self._loop_turned_at()
        if missed > self._threshold:
            self._stood_still(missed)
        elif self._blocked_at is not None and turned_at > self._blocked_at:
            log.warning("the event loop turns again", extra={"after_seconds": round(turned_at - self._blocked_at, 1)})
            self._blocked_at = None
            self._recovered()
        elif self._blocked_at is None and now - turned_at > self._threshold:
            self._blocked_at = turned_at
            self._blocked(now - turned_at)

    def _blocked(self, seconds: float) -> None:
        culprit = self._on_loop()
        who = f" in job {culprit.id} ({culprit.task.name})" if culprit is not None else ""
        first = [culprit.id] if culprit is not None else []
        self._report(
            Incident(
                kind="loop_blocked",
                detail=f"the event loop has not turned for {seconds:.1f} s{who}",
                jobs=self._jobs(first),
                stack=all_stacks(self._loop_thread),
                since_seconds=seconds,
            )
        )

    def _stood_still(self, seconds: float) -> None:
        """Nothing in this process ran. The dump tells why: it was written meanwhile if only Python could not run."""
        dumped, at = self._alarm.take() if self._alarm is not None else ("", 0.0)
        if dumped and time.time() - at > AT_ONCE_SECONDS:
            kind, why = "gil_held", "code that holds the interpreter's lock kept Python from running"
        else:
            kind, why = "frozen", "nothing in this process ran: it was stopped, or its machine paused,"
            dumped = ""
        self._report(
            Incident(
                kind=kind,
                detail=f"{why} for {seconds:.1f} s; it goes on now",
                jobs=self._jobs([]),
                stack=dumped or None,
                since_seconds=seconds,
            )
        )
        self._recovered()

    def _jobs(self, first: list[int]) -> list[int]:
        return first + [attempt.id for attempt in self._running() if attempt.id not in first]
