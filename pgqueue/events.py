"""What happens in a worker, as values: metrics, logs and traces are observers of these and of nothing else.

I/O-free. A worker makes events only while somebody observes (an unobserved job costs one look at a flag). Observers are
called on the worker's event loop, in the order in which they were added, and must return quickly; one that raises is
logged and goes on being called, and the job notices nothing. No event carries arguments, results or meta.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from pgqueue.telling import place_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StepDone:
    """A round trip that settled `settled` attempts, of which `stale` had lost their lease, and claimed `claimed` jobs.

    `queue` is where it claimed, None when it only settled; `seconds` is the time until its answer.
    """

    queue: str | None
    claimed: int
    settled: int
    stale: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt came to an outcome, which goes to the database with the next step.

    `outcome` is one of the settled words (succeeded, failed, dead, cancelled, snoozed, lost, released) or expired.
    `run_seconds` is None when its handler never began; `wait_seconds`, from its due time to its claim by the database's
    clock, is None when that is not known. `error` is the type of the error.
    """

    job: int
    task: str
    queue: str
    attempt: int
    outcome: str
    wait_seconds: float | None
    run_seconds: float | None
    error: str | None


Event = StepDone | AttemptEnded
Observer = Callable[[Event], None]


class Observers:
    """Those who want to know."""

    def __init__(self) -> None:
        self._observers: tuple[Observer, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._observers)

    def add(self, observer: Observer) -> None:
        """Call it with each event from now on."""
        self._observers = (*self._observers, observer)

    def remove(self, observer: Observer) -> None:
        """Call it no more; one that is not there is no error."""
        self._observers = tuple(other for other in self._observers if other != observer)

    def tell(self, event: Event) -> None:
        """Call them all."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception as error:  # noqa: BLE001 - it is no business of the job's
                said = {"event": type(event).__name__, "error": place_of(error)}
                log.error("an observer failed", extra=said)
