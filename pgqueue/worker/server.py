"""Which server a connection leads to: what a failover, a restart or a restore changes. No I/O.

The system identifier names the cluster, the timeline grows with each promotion of a standby, the start tells a
restart. Managed services may keep the first two to themselves; then only a restart is seen.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Server:
    """A run of a server."""

    system: int | None
    timeline: int | None
    started_at: str

    def replaced(self, before: Server) -> bool:
        """Whether this is another timeline or another cluster than `before`, as far as both tell."""
        if self.timeline is None or before.timeline is None:
            return False
        return (self.system, self.timeline) != (before.system, before.timeline)


@dataclass(frozen=True, slots=True)
class Witness:
    """How far the log of a server went when it acknowledged a heartbeat, and when that was by its clock."""

    lsn: str | None
    at: str
