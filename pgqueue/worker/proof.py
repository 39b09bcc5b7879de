"""Handlers that said `complete`: their attempts are kept here until it is known whether that transaction committed.

After execute, before settle: one that committed is settled already, one that did not has failed. Takes no lock.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import psycopg

from pgqueue.telling import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgqueue.worker.attempt import Attempt
    from pgqueue.worker.link import Link

log = logging.getLogger(__name__)

RECHECK_SECONDS = 0.05
AGAIN_SECONDS = 0.5  # after the database could not be asked


class Proof:
    """Attempts whose end lies in their handlers' transactions."""

    def __init__(self, link: Link, *, committed: Callable[[Attempt], None], refuted: Callable[[Attempt], None]) -> None:
        self._link = link
        self._committed = committed
        self._refuted = refuted
        self._open: list[Attempt] = []
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._open)

    def find(self, attempt: Attempt) -> None:
        """Take one more, and look until all are known."""
        self._open.append(attempt)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._look())

    def close(self) -> None:
        """Stop looking: who is left is rescued, or has committed."""
        if self._task is not None:
            self._task.cancel()

    async def _look(self) -> None:
        while self._open:
            asked = list(self._open)
            try:
                params = {"ids": [a.id for a in asked], "tokens": [a.token for a in asked]}
                states: dict[int, str] = dict(await self._link.run("lease_states", params))
            except (psycopg.Error, OSError) as error:
                log.info("cannot look whether handlers' transactions have committed", extra={"error": reason_of(error)})
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            for attempt in asked:
                self._judge(attempt, states.get(attempt.id))
            if self._open:
                await asyncio.sleep(RECHECK_SECONDS)

    def _judge(self, attempt: Attempt, lease: str | None) -> None:
        if lease is None:
            self._open.remove(attempt)
            self._committed(attempt)
        elif lease == "held":  # its transaction was rolled back; "open": it may still commit
            self._open.remove(attempt)
            self._refuted(attempt)
