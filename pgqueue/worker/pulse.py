"""What a worker process tells its supervisor for scaling, twice a second, on the pipe on which it says that it lives:
how many attempts have ended and how long they took, how many jobs it has, and for how long it had no room for more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pgqueue.events import AttemptEnded, StepDone

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.worker.crew import Crew

TICKS = 10  # of the overseer, from one beat to the next
_BEAT = re.compile(rb"L(\d+),(\d+),(\d+),(\d+),(\d+);")


class Beat(NamedTuple):
    """Sums since the start of the process, but for `held`, which is now. Handed back jobs have not ended."""

    ended: int = 0
    run_ms: int = 0
    held: int = 0
    ticks: int = 0
    full: int = 0


def last_beat(events: bytes) -> Beat | None:
    """The newest beat among what a process said."""
    found = _BEAT.findall(events)
    return Beat(*map(int, found[-1])) if found else None


class Pulse:
    """Observes a worker, and tells its beats."""

    def __init__(self, crew: Callable[[], Crew | None], tell: Callable[[bytes], None]) -> None:
        self._crew = crew
        self._tell = tell
        self._found: dict[str, bool] = {}  # queue -> whether its last claim brought something
        self._ended = self._ticks = self._full = 0
        self._run_seconds = 0.0

    def __call__(self, event: object) -> None:
        """Take note of an event."""
        match event:
            case AttemptEnded(outcome=outcome, run_seconds=seconds) if seconds is not None and outcome != "released":
                self._ended += 1
                self._run_seconds += seconds
            case StepDone(queue=queue, claimed=claimed) if queue is not None:
                self._found[queue] = claimed > 0

    def tick(self) -> None:
        """The loop has turned."""
        crew = self._crew()
        if crew is None:
            return
        self._ticks += 1
        self._full += crew.crowded() or any(self._found.values())
        if self._ticks % TICKS == 0:
            beat = (self._ended, int(self._run_seconds * 1000), crew.held(), self._ticks, self._full)
            self._tell(b"L%d,%d,%d,%d,%d;" % beat)
