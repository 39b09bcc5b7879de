"""How a worker is, as a value: what its supervisor answers probes with. Read from any thread; takes no lock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pgqueue.worker.overseer import memory_mb

if TYPE_CHECKING:
    from pgqueue.worker.crew import Crew
    from pgqueue.worker.link import Link
    from pgqueue.worker.options import WorkerOptions
    from pgqueue.worker.stepper import Stepper


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """All times are of the monotonic clock, which the processes of a machine share.

    at           when this was true
    lease_until  when the lease ends, unless a heartbeat extends it; None: there is none
    turned_at    when the loop turned last
    connected    registered, with a connection that works
    accepting    claims jobs: neither quiet nor draining
    """

    at: float = field(default_factory=time.monotonic)
    lease_until: float | None = None
    turned_at: float | None = None
    connected: bool = False
    accepting: bool = False
    slots: int = 0
    used: int = 0
    memory_bytes: int = 0


def vitals(link: Link, crew: Crew, stepper: Stepper, options: WorkerOptions) -> Vitals:
    """Look at a worker."""
    return Vitals(
        lease_until=link.lease.until,
        turned_at=link.turned_at,
        connected=link.ready,
        accepting=stepper.accepting,
        slots=options.concurrency,
        used=crew.running(),
        memory_bytes=round(memory_mb() * (1 << 20)),
    )
