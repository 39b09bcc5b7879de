"""Jobs that have to run alone: those that were there when a worker died, until it is known which of them kill.

Supervised workers ask for a process that does nothing else (`only`). A worker on its own takes one when it has
nothing else to do, and, when it never runs dry, holds its claims for a moment every now and then. Comes beside claim;
touches the database through `link` only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pgqueue.worker.link import Link

ASK_SECONDS = 1.0
PATIENCE_SECONDS = 1.0  # how long suspects wait for a worker to run dry by itself
HOLD_SECONDS = 2.0  # how long claims are held for them
PAUSE_SECONDS = 10.0  # and how long not, after holding them was in vain
LINGER_SECONDS = 5.0  # how long a process for suspects waits for more of them: it is started before a lease is over
LOOK_SECONDS = 0.1


class Quarantine:
    """Knows which queues have suspects, and when this worker may take one."""

    def __init__(self, queues: list[str], link: Link, *, only: bool, ask: Callable[[], None] | None) -> None:
        self._queues = queues
        self._link = link
        self._only = only
        self._ask = ask
        self._waiting: dict[str, float] = dict.fromkeys(queues, 0.0) if only else {}
        self._running = False
        self._asked_at = self._looked_at = float("-inf")
        self._found_at = time.monotonic()
        self._hold_until = self._pause_until = float("-inf")

    def noticed(self, queue: str, *, waiting: bool) -> None:
        """A claim from this queue has seen suspects, or none."""
        now = time.monotonic()
        if not waiting:
            self._waiting.pop(queue, None)
        elif self._ask is None:
            self._waiting.setdefault(queue, now)
        elif now - self._asked_at > ASK_SECONDS:
            self._asked_at = now
            self._ask()

    def holds_claims(self, now: float, *, held: int) -> bool:
        """Whether ordinary claims have to wait: one runs alone, or waits for this worker to run dry."""
        if self._only:
            return True
        if self._running and held:
            return True
        self._running = False
        if not self._waiting or not held or now < self._pause_until:
            return False
        if now < self._hold_until:
            return True
        if self._hold_until > float("-inf"):  # in vain: its jobs are long
            self._hold_until, self._pause_until = float("-inf"), now + PAUSE_SECONDS
            return False
        if now - min(self._waiting.values()) < PATIENCE_SECONDS:
            return False
        self._hold_until = now + HOLD_SECONDS
        return True

    def wants_one(self, now: float, *, held: int) -> bool:
        """Whether this is the moment to claim a suspect: nothing else is here."""
        return not held and bool(self._waiting) and (not self._only or now - self._looked_at > LOOK_SECONDS)

    async def claim(self, token: int, *, tasks: list[str]) -> tuple[str, Sequence[Any]] | None:
        """Claim one suspect: its queue and its row, or None. Raises psycopg.Error."""
        for queue in list(self._waiting):
            rows = await self._link.claim_alone(queue, token, tasks)
            if rows:
                self._running = True
                self._found_at = time.monotonic()
                self._hold_until = float("-inf")
                return queue, rows[0]
            if not self._only:
                self._waiting.pop(queue, None)
        self._looked_at = time.monotonic()  # nothing: the next look can wait a little
        return None

    def idle(self, now: float) -> bool:
        """Whether no suspect is known to wait."""
        return now - self._found_at > LINGER_SECONDS if self._only else not self._waiting
