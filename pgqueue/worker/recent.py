"""What was settled lately, in case the server forgets it: a failover to an asynchronous standby and a crash with
synchronous_commit = off take acknowledged commits back. Then it is sent once more, and the lease token makes that a
no-op for all that was not forgotten. Comes after settle; no I/O.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from pgqueue import codec

if TYPE_CHECKING:
    from collections.abc import Iterator

# Replicas are milliseconds behind, seldom seconds. 10,000 jobs take some 2 MB.
KEPT_SECONDS = 30.0
KEPT_JOBS = 10_000
KEPT_CHARACTERS = 4_000_000
CHUNK = 2_000
TERMINAL = {"succeeded", "dead", "cancelled", "expired"}

Plain = list[tuple[int, int]]


class Recent:
    """The outcomes that were acknowledged in the last half minute, as far as there is room."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, str, Plain, list[str]]] = deque()
        self._jobs = 0
        self._characters = 0

    def keep(self, clock: str, plain: Plain, others: list[str]) -> None:
        """Keep what was acknowledged at this time of the database."""
        now = time.monotonic()
        self._kept.append((now, clock, plain, others))
        self._jobs += len(plain) + len(others)
        self._characters += sum(map(len, others))
        while self._kept and (
            self._kept[0][0] < now - KEPT_SECONDS or self._jobs > KEPT_JOBS or self._characters > KEPT_CHARACTERS
        ):
            _, _, plain, others = self._kept.popleft()
            self._jobs -= len(plain) + len(others)
            self._characters -= sum(map(len, others))

    def chunks(self) -> Iterator[tuple[Plain, list[str]]]:
        """All of it, to be settled again: successes by id, and the texts of other outcomes."""
        pairs = sorted({pair for _, _, plain, _ in self._kept for pair in plain})
        others = [other for _, _, _, sent in self._kept for other in sent]
        for start in range(0, max(len(pairs), len(others)), CHUNK):
            yield pairs[start : start + CHUNK], others[start : start + CHUNK]

    def ended(self) -> dict[int, str]:
        """The jobs whose end was acknowledged, and when that was by the database's clock."""
        found: dict[int, str] = {}
        for _, clock, plain, others in self._kept:
            found.update((job, clock) for job, _ in plain)
            for other in map(codec.loads, others):
                if other["outcome"] in TERMINAL:
                    found[other["id"]] = clock
                else:
                    found.pop(other["id"], None)
        return found
