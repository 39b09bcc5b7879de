"""Whether growing has helped. Where a rate limit or the database is the bottleneck, more processes do not run more
jobs; they only wait at another place. So each growth under a backlog is on trial, and one that failed is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgqueue.scaling.controller import Sample

GAIN = 0.3  # of what growth in proportion would bring: less is a failure
ENOUGH = 20  # jobs, to compare rates; with fewer what is held is compared: jobs that take long
FIRST_HOLD_SECONDS = 60.0
LONGEST_HOLD_SECONDS = 960.0
MOVED = 1.25  # a rate so many times that of the failure: the bottleneck is not what it was


@dataclass(slots=True)
class Trial:
    """A growth that has to show its effect."""

    before: int
    after: int
    rate: float
    held: int
    since: float | None = None  # when all processes were there
    ended: int = 0

    def watch(self, sample: Sample) -> None:
        """Count from when all processes are there."""
        if sample.starting or sample.processes < self.after:
            self.since, self.ended = None, 0
        elif self.since is None:
            self.since = sample.at
        else:
            self.ended += sample.ended

    def seconds(self, now: float) -> float:
        """How long it has been on."""
        return now - self.since if self.since is not None else 0.0

    def helped(self, sample: Sample) -> bool:
        """Whether more was done with more processes."""
        seconds = self.seconds(sample.at)
        expected = self.after / self.before - 1 if self.before else 1.0
        enough = self.ended >= ENOUGH or self.rate * seconds >= ENOUGH
        was, now = (self.rate, self.ended / seconds) if enough else (float(self.held), float(sample.held))
        return now > was * (1 + GAIN * expected)


class Ceiling:
    """The number beyond which growing did not help: for a while, longer each time."""

    def __init__(self) -> None:
        self.processes: int | None = None
        self._until = 0.0
        self._rate = 0.0
        self._failures = 0

    def failed(self, trial: Trial, now: float) -> None:
        """A trial has failed: do not exceed what there was before."""
        self.processes = trial.before
        self._rate = max(trial.rate, trial.ended / trial.seconds(now))
        self._until = now + min(FIRST_HOLD_SECONDS * 2**self._failures, LONGEST_HOLD_SECONDS)
        self._failures = min(self._failures + 1, 10)

    def helped(self) -> None:
        """A trial has succeeded: failures before it tell nothing any more."""
        self.processes = None
        self._failures = 0

    def look(self, now: float, rate: float) -> None:
        """Lift it when its time is over, or when more is done than was possible then."""
        if self.processes is not None and (now >= self._until or rate > MOVED * self._rate > 0):
            self.processes = None
