"""Counts what a worker does: an observer of its events (pgqueue.events), for `--metrics-port`. I/O-free.

Counters only grow. Written on the event loop; `snapshot` may be called from another thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from pgqueue.events import AttemptEnded, StepDone

# Upper bounds of buckets, in seconds; the last bucket is open.
JOB_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
TRIP_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """How many values lay in each bucket, and their sum."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value. A value that is a bound belongs below it."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def add(self, told: list[Any]) -> None:
        """Count what another one has told."""
        counts, total = told
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, counts, strict=True)]
        self.total += total

    def told(self) -> list[Any]:
        """What it has counted, as JSON."""
        return [self.counts.copy(), self.total]


def _jobs() -> Histogram:
    return Histogram(JOB_BOUNDS)


def _trips() -> Histogram:
    return Histogram(TRIP_BOUNDS)


Task = tuple[str, str]  # queue, task


@dataclass(slots=True)
class Tally:
    """What was counted: of one worker, or of several added up."""

    outcomes: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))  # queue, task, outcome
    ran: dict[Task, Histogram] = field(default_factory=lambda: defaultdict(_jobs))
    waited: dict[str, Histogram] = field(default_factory=lambda: defaultdict(_jobs))
    claimed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    settled: int = 0
    stale: int = 0
    trips: Histogram = field(default_factory=_trips)
    lag: Histogram = field(default_factory=_trips)

    def __call__(self, event: object) -> None:
        """Count an event; those that nobody counts are passed over."""
        match event:
            case AttemptEnded(task=task, queue=queue, outcome=outcome, wait_seconds=wait, run_seconds=run):
                self.outcomes[queue, task, outcome] += 1
                if run is not None:
                    self.ran[queue, task].observe(run)
                if wait is not None:
                    self.waited[queue].observe(wait)
            case StepDone(queue=queue, claimed=claimed, settled=settled, stale=stale, seconds=seconds):
                self.trips.observe(seconds)
                self.settled += settled
                self.stale += stale
                if queue is not None:
                    self.claimed[queue] += claimed

    def snapshot(self) -> dict[str, Any]:
        """All of it as JSON. From any thread: each mapping is copied at once."""
        return {
            "outcomes": [[*key, count] for key, count in self.outcomes.copy().items()],
            "ran": [[*key, *one.told()] for key, one in self.ran.copy().items()],
            "waited": [[key, *one.told()] for key, one in self.waited.copy().items()],
            "claimed": self.claimed.copy(),
            "settled": self.settled,
            "stale": self.stale,
            "trips": self.trips.told(),
            "lag": self.lag.told(),
        }

    def add(self, told: dict[str, Any]) -> None:
        """Add the snapshot of another one. Raises KeyError, TypeError or ValueError when it is none."""
        for queue, task, outcome, count in told["outcomes"]:
            self.outcomes[queue, task, outcome] += count
        for queue, task, *values in told["ran"]:
            self.ran[queue, task].add(values)
        for queue, *values in told["waited"]:
            self.waited[queue].add(values)
        for queue, count in told["claimed"].items():
            self.claimed[queue] += count
        self.settled += told["settled"]
        self.stale += told["stale"]
        self.trips.add(told["trips"])
        self.lag.add(told["lag"])
