"""What a supervisor is told: which worker processes, how many, and what else they come with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pgqueue.worker.ports import Ports

if TYPE_CHECKING:
    from pgqueue.scaling import Policy
    from pgqueue.worker.options import WorkerOptions


@dataclass(frozen=True, kw_only=True)
class FleetOptions:
    """A command's worth of worker processes."""

    app: str
    dsn: str
    schema: str
    worker: WorkerOptions
    processes: int = 1
    debug: bool = False
    reload: bool = False
    log_level: str | None = "info"
    log_format: str | None = "console"
    ports: Ports = field(default_factory=Ports)
    scaling: Policy | None = None
