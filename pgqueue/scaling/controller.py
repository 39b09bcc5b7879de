"""Follows a load over time: from samples to the number of processes that there should be, and why.

It grows at once, but never to more than twice as many in one step, and looks at what came of it before the next. It
shrinks to the most that was needed within the last `shrink_after` seconds, by half at most in one step. That is how the
Kubernetes HorizontalPodAutoscaler keeps from flapping (its "stabilization window" and scaling policies).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from pgqueue.scaling.demand import Demand, Policy, demand
from pgqueue.scaling.measure import Measures
from pgqueue.scaling.trial import Ceiling, Trial

LONGEST_WINDOW_SECONDS = 600.0  # that jobs which take long make the time for which fewer have to be enough
GAP_SECONDS = (
    20.0  # without a sample, or the time to shrink, if that is shorter: what was seen before says nothing of it
)
SHORTEST_GAP_SECONDS = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A fleet and its queues at one moment.

    at            monotonic seconds
    ready         jobs due now in its queues that are not paused, parked ones not counted; `estimated`: about so many
    lag           seconds that the oldest of them has been due
    processes     those that can claim, and `starting`: those on their way to that
    held          jobs that its processes have
    ended         attempts that ended since the last sample, and the seconds they took (`run_seconds`)
    busy          the part of the time since the last sample in which its processes had no room for more (0 to 1)
    share         this fleet's part of all slots that serve these queues (more than 0, up to 1)
    """

    at: float
    ready: int
    lag: float
    processes: int
    starting: int
    held: int
    ended: int
    run_seconds: float
    busy: float
    share: float = 1.0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """How many processes there should be, and why."""

    wanted: int
    reason: str


class Controller:
    """Decides about one fleet."""

    def __init__(self, policy: Policy, *, wanted: int) -> None:
        """Begin with a number of processes that are there, or on their way."""
        self._policy = policy
        self._measures = Measures(policy)
        self._ceiling = Ceiling()
        self._trial: Trial | None = None
        self._needed: deque[tuple[float, int]] = deque()
        self._last_at = -math.inf
        self._changed_at = -math.inf
        self.wanted = policy.clamp(wanted)

    def decide(self, sample: Sample) -> Decision:
        """Return the wanted number after a sample. Without samples nothing changes."""
        now = sample.at
        if now - self._last_at > min(GAP_SECONDS, max(SHORTEST_GAP_SECONDS, self._policy.shrink_after)):
            self._forget()
        self._last_at = now
        self._measures.take(sample)
        needed = demand(self._measures.load(sample), self._policy)
        self._needed.append((now, needed.shrink))
        self._ceiling.look(now, self._measures.rate)
        failed = self._judge(sample)
        if failed is not None:
            return self._change(now, failed, "more processes did not run more jobs: something else is the bottleneck")
        if now - self._changed_at < self._policy.settle or sample.starting:
            return Decision(self.wanted, "the last change has yet to show its effect")
        return self._grow(sample, needed) or self._shrink(sample, needed)

    def _grow(self, sample: Sample, needed: Demand) -> Decision | None:
        measures = self._measures
        late = measures.saturated and measures.worsening and sample.lag > self._policy.target_lag
        wish = max(needed.grow, self.wanted + 1 if late else 0)
        if wish <= self.wanted:
            return None
        if self._trial is not None:
            return Decision(self.wanted, "more may be needed; whether more helps is being measured")
        ceiling = self._ceiling.processes
        most = self._policy.most if ceiling is None else min(self._policy.most, max(ceiling, self.wanted))
        goal = min(wish, max(2 * self.wanted, 1), most)
        if goal <= self.wanted:
            why = "that is the most allowed" if ceiling is None else "more did not help before"
            return Decision(self.wanted, f"{wish} would be needed for {self._said(sample, needed)}; {why}")
        if self._measures.saturated:
            self._trial = Trial(self.wanted, goal, self._measures.steady_rate, sample.held)
        return self._change(sample.at, goal, self._said(sample, needed))

    def _shrink(self, sample: Sample, needed: Demand) -> Decision:
        now = sample.at
        window = max(self._policy.shrink_after, min(self._measures.service or 0.0, LONGEST_WINDOW_SECONDS))
        while self._needed and self._needed[0][0] < now - LONGEST_WINDOW_SECONDS - self._policy.shrink_after:
            self._needed.popleft()
        said = self._said(sample, needed)
        if self._needed[0][0] > now - window:
            return Decision(self.wanted, said)
        most = max(count for at, count in self._needed if at >= now - window)
        goal = self._policy.clamp(max(most, math.ceil(self.wanted / 2)))
        if goal >= self.wanted:
            return Decision(self.wanted, said)
        return self._change(now, goal, f"{goal} were enough for the last {window:.0f} s")

    def _judge(self, sample: Sample) -> int | None:
        """Look at the trial; the number to go back to when it has failed."""
        trial = self._trial
        if trial is None:
            return None
        trial.watch(sample)
        if not self._measures.saturated and trial.since is not None:
            self._trial = None  # the backlog is gone, or cannot be taken: nothing to be learnt
            return None
        if trial.seconds(sample.at) < self._policy.settle:
            return None
        self._trial = None
        if trial.helped(sample):
            self._ceiling.helped()
            return None
        self._ceiling.failed(trial, sample.at)
        return self._policy.clamp(trial.before)

    def _change(self, now: float, wanted: int, reason: str) -> Decision:
        self.wanted = wanted
        self._changed_at = now
        return Decision(wanted, reason)

    def _forget(self) -> None:
        self._needed.clear()
        self._trial = None
        self._measures.pause()

    def _said(self, sample: Sample, needed: Demand) -> str:
        service = self._measures.service
        took = "?" if service is None else f"{service:.3g}"
        return (
            f"{needed.arrivals:.2f} processes for what arrives, {needed.backlog:.2f} for {sample.ready} waiting jobs"
            f" ({took} s each, the oldest due for {sample.lag:.0f} s)"
        )
