"""Where a fleet answers probes and scrapes. I/O-free."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where a fleet answers; None: nowhere. Both may be one port."""

    health: int | None = None
    metrics: int | None = None
    host: str = "0.0.0.0"  # noqa: S104 - probes come from outside of a container

    def __bool__(self) -> bool:
        return bool(self.wanted())

    def wanted(self) -> set[int]:
        """The ports to listen on."""
        return {port for port in (self.health, self.metrics) if port is not None}
