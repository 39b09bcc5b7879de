"""When processes that ended are started again: the more often they fail, the later. I/O-free."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.worker.child_process import ChildProcess

log = logging.getLogger(__name__)

FIRST_SECONDS = 0.2
MOST_SECONDS = 10.0
HEALTHY_SECONDS = 2.0  # a child that lived this long starts the backoff anew


def _delay(failures: int) -> float:
    return min(FIRST_SECONDS * 2.0 ** min(failures, 10), MOST_SECONDS)


class Restarts:
    """The starts that are due later."""

    def __init__(self) -> None:
        self._due: list[float] = []
        self._failures = 0

    def __len__(self) -> int:
        return len(self._due)

    def plan(self, child: ChildProcess, status: int, now: float) -> None:
        """Plan one in place of a process that ended without being told to."""
        self._failures = 0 if now - child.started_at > HEALTHY_SECONDS else self._failures + 1
        delay = _delay(self._failures)
        log.error(
            "a worker process ended and is started again",
            extra={"pid": child.pid, "status": status, "in_seconds": delay},
        )
        self._due.append(now + delay)
        self._due.sort()

    def take(self, now: float) -> int:
        """How many are due now; they are not due any more."""
        due = sum(at <= now for at in self._due)
        del self._due[:due]
        return due

    def drop(self, count: int | None = None) -> int:
        """Do without so many of them, the last ones first, or without all; how many that were."""
        dropped = len(self._due) if count is None else min(max(count, 0), len(self._due))
        del self._due[len(self._due) - dropped :]
        return dropped


class Spares:
    """The process for suspects: one at a time, when it is asked for."""

    def __init__(self) -> None:
        self._at = 0.0
        self._failures = 0

    def may_start(self, children: Sequence[ChildProcess], now: float) -> bool:
        """Whether another may be started."""
        return now >= self._at and not any(child.only_suspects for child in children)

    def ended(self, child: ChildProcess, status: int, now: float) -> None:
        """It is done, or was killed by one of them: that is its purpose. One that cannot even start is tried again
        ever more slowly.
        """
        if child.ready:
            self._failures = 0
            log.info("the process for suspects has ended", extra={"pid": child.pid, "status": status})
            return
        self._failures += 1
        delay = _delay(self._failures)
        self._at = now + delay
        log.error("the process for suspects cannot start", extra={"status": status, "again_in_seconds": delay})
