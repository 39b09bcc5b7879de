"""Smooths what a fleet reports into rates: arrivals, service time, and how much of its slots a process can use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pgqueue.scaling.demand import Load

if TYPE_CHECKING:
    from pgqueue.scaling.controller import Sample
    from pgqueue.scaling.demand import Policy

RECENT_SECONDS = 15.0  # over which saturated processes are watched
# Over which arrivals and service times are smoothed. Long, because a burst is in the backlog already: smoothed over
# 15 s it counted twice, and a sawtooth of bursts made the fleet three times as large as a spike of the same size.
MEMORY_SECONDS = 60.0
ENOUGH = 10  # ended jobs, to believe a rate
BUSY = 0.75  # the part of the time without room from which on processes count as saturated
CHANGED = 4.0  # a service time so many times longer or shorter: another kind of work, of which nothing is known


class Measures:
    """What is known of the load."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._before: Sample | None = None
        self._arrivals = 0.0
        self._ended = self._run_seconds = 0.0  # fading sums
        self._full_ended = self._full_seconds = 0.0  # the same while saturated; process-seconds
        self._efficiency = 1.0
        self._learnt_at: float | None = None  # the service time at which the efficiency was learnt
        self.saturated = False
        self.worsening = False  # more wait than before
        self.rate = 0.0  # jobs a second, of all processes together, as of the last sample

    @property
    def service(self) -> float | None:
        """The mean seconds that a job takes."""
        return self._run_seconds / self._ended if self._ended > 0 else None

    @property
    def steady_rate(self) -> float:
        """The same over the time in which these processes had no room."""
        if self._before is None or self._full_seconds < 1e-9:
            return self.rate
        return self._full_ended / self._full_seconds * self._before.processes

    def take(self, sample: Sample) -> None:
        """Take note of a sample."""
        before, self._before = self._before, sample
        elapsed = sample.at - before.at if before is not None else 0.0
        self.saturated = sample.processes > 0 and sample.busy >= BUSY and sample.ready > 0
        if before is None or elapsed <= 0:
            return
        self.rate = sample.ended / elapsed
        self.worsening = sample.ready >= before.ready
        self._fade(elapsed)
        self._ended += sample.ended
        self._run_seconds += sample.run_seconds
        arrived = float(sample.ended)
        if not (sample.estimated or before.estimated):
            arrived += sample.share * (sample.ready - before.ready) + sample.held - before.held
        smoothing = max(MEMORY_SECONDS, 2 * (self.service or 0.0))
        self._arrivals += (1 - math.exp(-elapsed / smoothing)) * (max(arrived, 0.0) / elapsed - self._arrivals)
        if before.processes != sample.processes:
            self._full_ended = self._full_seconds = 0.0
        elif self.saturated:
            self._learn(sample, elapsed)

    def pause(self) -> None:
        """There was a gap: the next sample has nothing before it to be compared with."""
        self._before = None

    def load(self, sample: Sample) -> Load:
        """The load as it is now, by the sample taken last."""
        return Load(
            arrivals=self._arrivals,
            waiting=round(sample.ready * sample.share) if self.saturated else 0,
            held=sample.held,
            service=self.service,
            efficiency=self._efficiency,
        )

    def _fade(self, elapsed: float) -> None:
        memory = math.exp(-elapsed / max(MEMORY_SECONDS, 2 * (self.service or 0.0)))
        self._ended *= memory
        self._run_seconds *= memory
        recent = math.exp(-elapsed / RECENT_SECONDS)
        self._full_ended *= recent
        self._full_seconds *= recent
        service, learnt_at = self.service, self._learnt_at
        if service is not None and learnt_at is not None and not 1 / CHANGED < service / learnt_at < CHANGED:
            self._efficiency, self._learnt_at = 1.0, None

    def _learn(self, sample: Sample, elapsed: float) -> None:
        """Processes that had no room show how many jobs they can really run."""
        self._full_ended += sample.ended
        self._full_seconds += elapsed * sample.processes
        service = self.service
        used = sample.held / sample.processes
        if service is not None and self._full_ended >= ENOUGH:
            used = self._full_ended / self._full_seconds * service
            self._learnt_at = service
        self._efficiency = min(max(used / self._policy.slots, 1e-5), 1.0)
