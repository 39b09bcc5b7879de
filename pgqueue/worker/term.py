"""How long a worker may be sure of its jobs. I/O-free."""

from __future__ import annotations

# Handlers are stopped this part of the lease before it ends: time to unwind before anyone can take their jobs.
MARGIN = 0.2


class Lease:
    """How long this worker may be sure of its jobs, by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = float("-inf")

    def extend(self, since: float) -> None:
        """A heartbeat that was sent then, or said that the loop turned then, has been recorded."""
        self._until = max(self._until, since + self.seconds)

    def drop(self) -> None:
        """The lease is gone."""
        self._until = float("-inf")

    @property
    def until(self) -> float | None:
        """When it is over unless it is extended; None: there is none."""
        return self._until if self._until > float("-inf") else None

    def remaining(self, now: float) -> float:
        """Seconds until handlers have to be stopped; negative: they must not run."""
        return self._until - MARGIN * self.seconds - now
