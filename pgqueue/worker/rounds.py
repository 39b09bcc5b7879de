"""Which lane to claim from next, and how many jobs. I/O-free; comes before claim.

A round tries each lane until it is empty: in strict order, or in an order drawn by weight. A claim that was filled starts a new
round. After a round that found nothing comes one of full passes, as far as they are cheap.

How many: the free room of the lane's pool, plus, for handlers that end within a round trip, what one round trip lets finish.
Slow jobs are never hoarded: only attempts quicker than QUICK_SECONDS count.
"""

from __future__ import annotations

import math
import random
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pgqueue.worker.claim import Lane

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
