"""Who waits for which job, when each is to be looked at next, and who can go. No I/O, and not safe between threads.

A waiter has a seat. What it saw itself does not count: a new seat is due at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pgqueue.job import JobStatus

POLL_SHARE = 0.2
POLL_LEAST_SECONDS = 0.02
POLL_MOST_SECONDS = 0.5
TOGETHER_SECONDS = 0.1


def poll_gap(waited_seconds: float) -> float:
    """How long to wait before the next look at a job that has been waited for so long."""
    return min(max(POLL_SHARE * waited_seconds, POLL_LEAST_SECONDS), POLL_MOST_SECONDS)


@dataclass(slots=True, eq=False)
class Seat:
    """One waiter. `ring` must not block; `status` is what the job ended with, None if the waiter is to look itself."""

    job_id: int
    since: float
    ring: Callable[[], None]
    status: JobStatus | None = None
    seen_at: float = field(init=False)
    due_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.seen_at = self.due_at = self.since


class Room:
    """The seats of one process."""

    def __init__(self) -> None:
        self._seats: dict[Seat, None] = {}

    def __len__(self) -> int:
        return len(self._seats)

    def enter(self, seat: Seat) -> None:
        """Wait."""
        self._seats[seat] = None

    def leave(self, seat: Seat) -> None:
        """Wait no longer; nothing if the seat was rung already."""
        self._seats.pop(seat, None)

    def hurry(self) -> None:
        """Make all due: something has ended."""
        for seat in self._seats:
            seat.due_at = seat.since

    def next_due(self) -> float | None:
        """When somebody is due next."""
        return min((seat.due_at for seat in self._seats), default=None)

    def due(self, now: float) -> list[Seat]:
        """Return those whose jobs are to be looked at; with them, those who would be a little later."""
        due = self.next_due()
        if due is None or due > now:
            return []
        return [seat for seat in self._seats if seat.due_at <= now + TOGETHER_SECONDS]

    def looked(self, seats: Collection[Seat], ended: Mapping[int, JobStatus | None], now: float) -> None:
        """Ring those whose job has ended or is unknown (None); the others stay, and are due later."""
        for seat in seats:
            if seat.job_id in ended:
                seat.status = ended[seat.job_id]
                self.leave(seat)
                seat.ring()
            else:
                seat.seen_at = now
                seat.due_at = now + poll_gap(now - seat.since)
