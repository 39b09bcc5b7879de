"""The end of a worker's work: nothing more is claimed, what runs may end until a deadline, and then it is stopped."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgqueue.worker.crew import Crew
    from pgqueue.worker.settle import Outbox

log = logging.getLogger(__name__)

UNWIND_SECONDS = 1.0  # what handlers have to end themselves once the shutdown timeout is over


class Drain:
    """Whether a worker drains, why, and whether that has come to its end."""

    def __init__(self, crew: Crew, outbox: Outbox, timeout_seconds: float) -> None:
        self._crew = crew
        self._outbox = outbox
        self._timeout = timeout_seconds
        self._deadline = float("inf")
        self.begun = False  # for whatever reason
        self.asked = False  # because somebody said so
        self.overran = False  # the deadline passed
        self.recycled = False  # because this process has done its share

    def stop(self) -> None:
        """Drain; the second time, hand back at once."""
        now = time.monotonic()
        self._deadline = now if self.asked else now + self._timeout
        if not self.begun:
            log.info("draining", extra={"running": self._crew.held()})
        self.asked = self.begun = True

    def recycle(self, why: str) -> bool:
        """Drain and let another process take this one's place; whether that is news."""
        if self.begun:
            return False
        log.info("this process has done its share", extra={"why": why})
        self.recycled = self.begun = True
        self._deadline = time.monotonic() + self._timeout
        return True

    def over(self) -> bool:
        """Whether draining has come to its end, or to its deadline."""
        if not self.begun:
            return False
        if self._crew.held() == 0 and not self._outbox:
            return True
        now = time.monotonic()
        if now < self._deadline:
            return False
        self.overran = True
        self._crew.stop_all("shutdown")
        return now >= self._deadline + UNWIND_SECONDS
