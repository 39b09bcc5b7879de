"""How many workers there should be, from what the database has recorded alone: no memory of one's own, so that anybody
may ask, as often as they like. What a controller remembers is in the database: how many workers there are, and what the
last minutes were like.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgqueue.scaling.demand import Load, demand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.scaling.demand import Policy

MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the database knows.

    ready, running   jobs now, of the queues that are not paused; `lag`: seconds that the oldest has been due
    workers          those alive
    ended            attempts that ended in each of the last full minutes, the newest first
    run_seconds      how long they took together
    """

    ready: int
    running: int
    lag: float
    workers: int
    ended: Sequence[int]
    run_seconds: Sequence[float]


@dataclass(frozen=True, slots=True)
class Advice:
    """How many workers, and why. `service` is the mean of a job in seconds, `arrivals` jobs a second."""

    workers: int
    reason: str
    service: float | None
    arrivals: float


def advise(record: Record, policy: Policy) -> Advice:
    """Return how many workers there should be.

    More at once when the last two minutes and the backlog need more; fewer only when the busiest of the minutes would
    have been served by fewer, too.
    """
    service = _service(record)
    arrivals = max((count / MINUTE for count in record.ended[:2]), default=0.0)
    busiest = max((count / MINUTE for count in record.ended), default=0.0)
    efficiency = _efficiency(record, policy, service)
    taken = _is_taken(record)
    common = {"waiting": record.ready if taken else 0, "held": record.running, "service": service}
    up = demand(Load(arrivals=arrivals, efficiency=efficiency, **common), policy)  # type: ignore[arg-type]
    down = demand(Load(arrivals=busiest, efficiency=efficiency, **common), policy)  # type: ignore[arg-type]
    some = int(record.running > 0 or busiest > 0 or (record.ready > 0 and taken))
    wanted = policy.clamp(max(some, up.grow, min(record.workers, down.shrink)))
    took = "?" if service is None else f"{service:.3g}"
    reason = (
        f"{record.workers} alive; {up.arrivals:.2f} for what arrives ({arrivals:.3g}/s of {took} s), {up.backlog:.2f}"
        f" for {record.ready} waiting jobs (the oldest due for {record.lag:.0f} s), {down.shrink} in the busiest minute"
    )
    if not taken:
        reason += "; nobody takes what waits, more workers would not either"
    return Advice(wanted, reason, service, arrivals)


def _service(record: Record) -> float | None:
    ended = sum(record.ended)
    return sum(record.run_seconds) / ended if ended else None


def _is_taken(record: Record) -> bool:
    """Whether there are jobs that run, or ended lately, or nobody who could have taken them."""
    return not record.workers or record.running > 0 or any(record.ended[:2]) or record.lag < MINUTE


def _efficiency(record: Record, policy: Policy, service: float | None) -> float:
    """What part of their slots workers can fill: they show it when a backlog has kept them busy for a full minute and
    more.
    """
    if service is None or not record.workers or record.lag < 2 * MINUTE or not record.ended or not record.ended[0]:
        return 1.0
    used = record.ended[0] / MINUTE * service / record.workers
    return min(max(used, record.running / record.workers) / policy.slots, 1.0)


def slots_of(record_slots: int, workers: int, *, otherwise: int) -> int:
    """The slots of a worker: the mean of those alive, or what else is known."""
    return math.ceil(record_slots / workers) if workers else otherwise
