"""What a load needs: the numbers behind a decision, from one moment's measurements.

Little's law (J. D. C. Little, "A Proof for the Queuing Formula L = lambda W", Operations Research 9, 1961): jobs that
arrive at a rate of lambda and take W seconds each keep lambda * W slots busy on average. A backlog of B jobs is gone
within the target lag T when B / T more can be run a second. A queue grows without bound as its utilisation nears one
(the 1 / (1 - rho) of M/M/c, L. Kleinrock, "Queueing Systems", 1975): so there is some headroom, more of it before a
process is taken away than before one is added, and what lies between the two is left alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pgqueue.errors import ConfigError

GROW_UTILISATION = 0.85
SHRINK_UTILISATION = 0.6
ROUNDING = 0.02  # of a process: a demand of 3.01 is three


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the user wants.

    least, most      bounds of the number of processes
    slots            jobs that one process runs at the same time, at most
    target_lag       seconds that a due job may wait: a backlog is to be gone within this
    shrink_after     seconds for which fewer processes have to be enough before any is taken away
    settle           seconds that a change has to show its effect before the next one
    """

    least: int = 1
    most: int = 1
    slots: int = 100
    target_lag: float = 30.0
    shrink_after: float = 60.0
    settle: float = 4.0

    def __post_init__(self) -> None:
        if self.least < 0:
            raise ConfigError(f"the least number of processes must be at least 0, got {self.least}")
        if self.most < max(self.least, 1):
            raise ConfigError(f"the most processes must be at least {max(self.least, 1)}, got {self.most}")
        if self.slots < 1:
            raise ConfigError(f"the slots of a process must be at least 1, got {self.slots}")
        for name in ("target_lag", "shrink_after", "settle"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(f"{name.replace('_', ' ')}: must be more than 0 seconds, got {value:g}")

    def clamp(self, processes: int) -> int:
        """The number nearest to this one that is allowed."""
        return max(self.least, min(self.most, processes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What was measured.

    arrivals      jobs a second that fall due
    waiting       jobs that are due and could be claimed, if there was room
    held          jobs that are claimed
    service       mean seconds that a job takes; None: none has ended yet
    efficiency    the part of a process's slots that it can fill: 1 for handlers that only wait, less for threads, CPU
                  and overhead
    """

    arrivals: float
    waiting: int
    held: int
    service: float | None
    efficiency: float = 1.0


@dataclass(frozen=True, slots=True)
class Demand:
    """Processes: `grow` when there are fewer than this, `shrink` when there are more than that; grow <= shrink."""

    grow: int
    shrink: int
    arrivals: float
    backlog: float


def demand(load: Load, policy: Policy) -> Demand:
    """Return what a load needs, without bounds.

    The parts `arrivals` and `backlog` are in processes. Jobs that will hold their slots beyond the target lag (by the
    exponential law, a part of exp(-T / W) of those that run) count as what they are, whatever the mean says. A backlog
    never needs more slots than it has jobs.
    """
    service = policy.target_lag if load.service is None else max(load.service, 1e-6)
    slots = max(policy.slots * load.efficiency, 1e-3)  # those that are of use
    arriving = (load.held if load.service is None else load.arrivals * service) / slots
    draining = min(load.waiting * service / policy.target_lag, load.waiting) / slots
    pinned = load.held * math.exp(-policy.target_lag / service) / slots
    return Demand(
        grow=_whole(max(arriving / GROW_UTILISATION, pinned) + draining),
        shrink=_whole(max(arriving / SHRINK_UTILISATION, pinned) + draining),
        arrivals=max(arriving, pinned),
        backlog=draining,
    )


def _whole(processes: float) -> int:
    return math.ceil(processes - ROUNDING)
