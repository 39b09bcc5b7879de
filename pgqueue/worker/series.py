"""Jobs of one message group that came in one claim: run one after the other, in the order of their ids.

A failure that will be tried again keeps its group's turn, so the rest of its series is handed back; after any other end
the next one begins. The database knows all of them as running, and settles what ended (see `release`).

How long a series may be follows from how long they took: as many jobs as end in about the time of a round trip or two,
so that one busy group is not bound to one job a round trip, and slow jobs are not taken long before they can start.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from pgqueue.worker.attempt import Attempt

SHORT_SECONDS, LONG_SECONDS = 0.02, 0.1  # series that end sooner may be longer, and the other way round
LONGEST = 500

Line = tuple[str, str | None, int]  # queue, group key, and the token of the claim that brought it


def _line(attempt: Attempt) -> Line:
    return attempt.queue, attempt.group, attempt.token


class Series:
    """What waits behind the first of its group."""

    def __init__(self, start: Callable[[list[Attempt]], None], hand_back: Callable[[Iterable[Attempt]], None]) -> None:
        self._start = start
        self._hand_back = hand_back
        self._lines: dict[Line, deque[Attempt]] = {}
        self._begun: dict[Line, tuple[float, int]] = {}
        self.length = 1  # how many jobs of a group to claim at once
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def begin(self, attempts: Iterable[Attempt]) -> list[Attempt]:
        """Keep all but the first of each group; returns those that may start now."""
        first: list[Attempt] = []
        for attempt in attempts:
            line = self._lines.get(_line(attempt)) if attempt.group is not None else None
            if line is not None:
                line.append(attempt)
                self._waiting += 1
                began, jobs = self._begun[_line(attempt)]
                self._begun[_line(attempt)] = began, jobs + 1
                continue
            if attempt.group is not None:
                self._lines[_line(attempt)] = deque()
                self._begun[_line(attempt)] = time.monotonic(), 1
            first.append(attempt)
        return first

    def ended(self, attempt: Attempt, *, again: bool) -> None:
        """An attempt of a group has ended: start the next of its series, or hand the rest back if it is tried again."""
        line = self._lines.get(_line(attempt))
        if line is None:
            return
        if again or not line:
            del self._lines[_line(attempt)]
            self._learn(*self._begun.pop(_line(attempt)))
            self._waiting -= len(line)
            self._hand_back(line)
        else:
            self._waiting -= 1
            self._start([line.popleft()])

    def _learn(self, began: float, jobs: int) -> None:
        took = time.monotonic() - began
        if took > LONG_SECONDS:
            self.length = max(1, min(self.length, jobs) // 2)
        elif took < SHORT_SECONDS and jobs >= self.length:
            self.length = min(2 * self.length, LONGEST)

    def stop(self, jobs: Collection[int], reason: str) -> None:
        """Tell those of these jobs that wait here to end when their turn comes."""
        for line in self._lines.values():
            for attempt in line:
                if attempt.id in jobs and attempt.stop_reason is None:
                    attempt.stop_reason = reason

    def waiting(self) -> list[Attempt]:
        """What has not started."""
        return [attempt for line in self._lines.values() for attempt in line]

    def withdraw(self) -> list[Attempt]:
        """Give back what has not started, and forget all lines."""
        waiting = self.waiting()
        self._lines.clear()
        self._begun.clear()
        self._waiting = 0
        return waiting
