"""A queue and its fleet on paper: a discrete-event simulation in which processes take seconds to start, run as many
jobs as they have threads, and share a database that may be their bottleneck. Deterministic: chance comes from a seed.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, pairwise

from pgqueue.scaling import Controller, Policy, Sample

SAMPLE_SECONDS = 2.0
START_SECONDS = 2.5

Trace = list[tuple[float, float]]  # jobs: when they fall due, how long they take


@dataclass
class Process:
    ready_at: float
    room: int
    held: int = 0
    retired: bool = False
    full_since: float | None = None
    full: float = 0.0

    def note(self, now: float) -> None:
        """Add up how long it has had no room."""
        if self.full_since is not None:
            self.full += now - self.full_since
        self.full_since = now if self.held >= self.room else None


@dataclass
class Told:
    """What came of a trace."""

    counts: list[tuple[float, int]] = field(default_factory=list)  # (time, processes wanted) at each change
    waits: list[tuple[float, float]] = field(default_factory=list)  # (when it fell due, seconds until a process had it)
    reasons: list[str] = field(default_factory=list)
    process_seconds: float = 0.0

    @property
    def most(self) -> int:
        return max(wanted for _, wanted in self.counts)

    @property
    def last(self) -> int:
        return self.counts[-1][1]

    @property
    def worst_wait(self) -> float:
        return max(wait for _, wait in self.waits)

    @property
    def turns(self) -> int:
        """How often growing was followed by shrinking, or the other way round."""
        steps = [b - a for (_, a), (_, b) in pairwise(self.counts)]
        return sum((a > 0) != (b > 0) for a, b in pairwise(steps))

    def at(self, moment: float) -> int:
        return [wanted for at, wanted in self.counts if at <= moment][-1]


class World:
    """Runs a trace. `stranded` jobs are due for ever and nobody can take them; `limit` jobs a second may begin;
    `database` jobs a second can be recorded, whoever runs them.
    """

    def __init__(
        self,
        policy: Policy,
        trace: Trace,
        *,
        threads: int | None = None,
        stranded: int = 0,
        limit: float | None = None,
        database: float | None = None,
    ) -> None:
        self.policy = policy
        self.trace = trace
        self.threads = threads or policy.slots
        self.stranded = stranded
        self.limit = limit
        self.database = database
        self.told = Told()
        self._due: deque[tuple[float, float]] = deque()
        self._processes = [Process(0.0, self.threads) for _ in range(policy.least)]
        self._events: list[tuple[float, int, str, object]] = []
        self._order = count()
        self._recorded_at = 0.0
        self._tokens_at = 0.0
        self._ended = 0
        self._run = 0.0
        self._sampled_at = 0.0

    def run(self, *, seconds: float) -> Told:
        controller = Controller(self.policy, wanted=self.policy.least)
        self.told.counts.append((0.0, controller.wanted))
        for at, service in self.trace:
            self._plan(at, "due", (at, service))
        for turn in range(1, int(seconds / SAMPLE_SECONDS) + 1):
            self._plan(turn * SAMPLE_SECONDS, "sample", None)
        while self._events:
            now, _, kind, what = heapq.heappop(self._events)
            if now > seconds:
                break
            if kind == "due":
                self._due.append(what)  # type: ignore[arg-type]
            elif kind == "end":
                self._end(now, *what)  # type: ignore[misc]
            elif kind == "sample":
                self._obey(now, controller)
            self._claim(now)
        return self.told

    def _plan(self, at: float, kind: str, what: object) -> None:
        heapq.heappush(self._events, (at, next(self._order), kind, what))

    def _obey(self, now: float, controller: Controller) -> None:
        there = [process for process in self._processes if not process.retired]
        ready = [process for process in there if process.ready_at <= now]
        for process in ready:
            process.note(now)
        elapsed = now - self._sampled_at
        sample = Sample(
            at=now,
            ready=len(self._due) + self.stranded,
            lag=now if self.stranded else now - self._due[0][0] if self._due else 0.0,
            processes=len(ready),
            starting=len(there) - len(ready),
            held=sum(process.held for process in there),
            ended=self._ended,
            run_seconds=self._run,
            busy=sum(process.full for process in ready) / elapsed / len(ready) if ready else 0.0,
        )
        for process in ready:
            process.full = 0.0
        self._ended, self._run, self._sampled_at = 0, 0.0, now
        self.told.process_seconds += elapsed * len(there)
        before, decision = controller.wanted, controller.decide(sample)
        if decision.wanted != before:
            self.told.counts.append((now, decision.wanted))
            self.told.reasons.append(f"{now:.0f}: {before} -> {decision.wanted}: {decision.reason}")
        for _ in range(decision.wanted - len(there)):
            self._processes.append(Process(now + START_SECONDS, self.threads))
            self._plan(now + START_SECONDS, "ready", None)
        for process in sorted(there, key=lambda process: process.held)[: max(len(there) - decision.wanted, 0)]:
            process.retired = True

    def _claim(self, now: float) -> None:
        while self._due and self._may_begin(now):
            open_ = [p for p in self._processes if p.ready_at <= now and not p.retired and p.held < p.room]
            if not open_:
                return
            process = max(open_, key=lambda p: p.room - p.held)
            at, service = self._due.popleft()
            self.told.waits.append((at, now - at))
            process.held += 1
            process.note(now)
            if self.limit is not None:
                self._tokens_at = max(self._tokens_at, now - 1.0) + 1 / self.limit
            end = now + service
            if self.database is not None:
                self._recorded_at = end = max(self._recorded_at, end) + 1 / self.database
            self._plan(end, "end", (process, end - now))

    def _may_begin(self, now: float) -> bool:
        return self.limit is None or self._tokens_at <= now

    def _end(self, now: float, process: Process, took: float) -> None:
        process.held -= 1
        process.note(now)
        if process.held == 0 and process.retired:
            self._processes.remove(process)
        if not process.retired:
            self._ended += 1
            self._run += took


def arrivals(
    rate_at: Callable[[float], float], *, seconds: float, service: float, seed: int = 1, most: float = 200.0
) -> Trace:
    """Jobs that come by chance (a Poisson process thinned to `rate_at(t)`), of exponentially distributed lengths."""
    return list(_arrivals(rate_at, seconds, service, random.Random(seed), most))


def _arrivals(
    rate_at: Callable[[float], float], seconds: float, service: float, chance: random.Random, most: float
) -> Iterator[tuple[float, float]]:
    at = 0.0
    while (at := at + chance.expovariate(most)) < seconds:
        if chance.random() * most < rate_at(at):
            yield at, chance.expovariate(1 / service)
