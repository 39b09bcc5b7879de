"""Which lane to claim from next, and how many jobs. I/O-free; comes before claim.

A round tries each lane until it is empty: in strict order, or in an order drawn by weight. A claim that was filled
starts a new round. After a round that found nothing comes one of full passes, as far as they are cheap.

How many: the free room of the lane's pool, plus, for handlers that end within a round trip, what one round trip lets
finish. Slow jobs are never hoarded: only attempts quicker than QUICK_SECONDS count.
"""

from __future__ import annotations

import math
import random
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pgqueue.worker.claim import Lane
    from pgqueue.worker.crew import Crew
    from pgqueue.worker.options import WorkerOptions

SMOOTHING_SECONDS = 0.05


class Pace:
    """How many quick jobs a pool ends in a round trip."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._trip = 0.0
        self._ended = 0
        self._at = 0.0

    def observe(self, now: float, ended: int) -> None:
        """Take note that `ended` quick jobs have ended so far."""
        elapsed = now - self._at
        if elapsed <= 0:
            return
        share = 1 - math.exp(-elapsed / SMOOTHING_SECONDS)
        self._rate += share * ((ended - self._ended) / elapsed - self._rate)
        self._ended, self._at = ended, now

    def trip(self, seconds: float) -> None:
        """Take note of a round trip."""
        self._trip += 0.2 * (seconds - self._trip)

    def allowance(self) -> int:
        """Jobs beyond the free room: two round trips' worth, one on its way and one to be run meanwhile."""
        return int(2 * self._rate * self._trip)


class Rounds:
    """The order of claims."""

    def __init__(self, lanes: Mapping[str, Sequence[Lane]], weights: Mapping[str, int], *, strict: bool) -> None:
        """`lanes` are those of each queue, `weights` in the order of the queues."""
        self._lanes = lanes
        self._weights = weights
        self._strict = strict
        self._round: deque[Lane] = deque()
        self.sweeping = False
        self.found = False

    def begin(self, *, sweep: bool = False) -> None:
        """Start a new round; `sweep` for one of full passes."""
        self._round = deque(lane for queue in self._order() for lane in self._lanes[queue])
        self.sweeping = sweep

    def current(self) -> Lane | None:
        """The lane to claim from; None when the round is over."""
        return self._round[0] if self._round else None

    def leave_lane(self) -> None:
        """The current lane is done for this round."""
        if self._round:
            self._round.popleft()

    def all(self) -> list[Lane]:
        """Every lane, in the order of the queues."""
        return [lane for queue in self._weights for lane in self._lanes[queue]]

    def _order(self) -> list[str]:
        """The queues: as given, or drawn by weight without replacement (Efraimidis and Spirakis, 2006)."""
        if self._strict or len(self._weights) == 1:
            return list(self._weights)
        draws = {queue: random.random() ** (1 / weight) for queue, weight in self._weights.items()}  # noqa: S311
        return sorted(draws, key=draws.__getitem__, reverse=True)


class Planner:
    """Decides where the next claim goes and how large it is."""

    def __init__(self, rounds: Rounds, crew: Crew, options: WorkerOptions) -> None:
        self._rounds = rounds
        self._crew = crew
        self._options = options
        self.pace = Pace()
        self._starved: Lane | None = None
        self.claimed = 0  # jobs, so far
        self.looked_at = float("-inf")  # when the last round that looked everywhere began

    def next_lane(self, now: float) -> Lane | None:
        """The lane to claim from; None when the round is over and found nothing, or when there is no room."""
        rounds = self._rounds
        if self._starved is not None and self.limit(self._starved) > 0:
            self._starved = None  # it was passed by for want of room, and comes before those behind it
            rounds.begin(sweep=rounds.sweeping)
        while True:
            while (lane := rounds.current()) is not None:
                if self.limit(lane) <= 0:
                    self._starved = self._starved or lane
                elif not rounds.sweeping or self.in_place(lane):
                    return lane
                rounds.leave_lane()
            if rounds.sweeping or rounds.found:
                rounds.sweeping = rounds.found = False
                return None
            self.looked_at = now
            rounds.begin(sweep=True)

    def look_again(self, now: float) -> None:
        """Start a round because time has passed: with full passes at once, where they cost next to nothing."""
        cheap = all(lane.cheap for lane in self._rounds.all())
        if cheap:
            self.looked_at = now
        self._rounds.begin(sweep=cheap)

    def limit(self, lane: Lane) -> int:
        """How many jobs to claim from a lane now; 0 or less: none."""
        room = self._crew.room(lane.pool)
        if lane.pool is self._crew.loop_pool:
            room += self.pace.allowance()
        if self._options.max_jobs is not None:
            room = min(room, self._options.max_jobs - self.claimed)
        return min(room, self._options.step_size)

    def series(self) -> int:
        """How many jobs of one message group to claim at once, to be run one after the other."""
        return 1 if self._options.max_jobs is not None else min(self._crew.series_length(), self._options.step_size)

    def spent(self) -> bool:
        """Whether this process has claimed all the jobs that it may."""
        return self._options.max_jobs is not None and self.claimed >= self._options.max_jobs

    def in_place(self, lane: Lane) -> bool:
        """Whether the next claim from this lane is a full pass, on the path of the jobs because it costs little."""
        now = time.monotonic()
        if self._rounds.sweeping:
            return lane.wants_pass(now, idle=True) if lane.cheap else self._options.burst and not lane.passing
        return lane.cheap and lane.wants_pass(now)

    def wants_pass_elsewhere(self, lane: Lane, now: float) -> bool:
        """Whether it is time for a full pass that costs too much for the path of the jobs."""
        return not lane.cheap and not self._options.burst and lane.wants_pass(now, idle=self._crew.held() == 0)
