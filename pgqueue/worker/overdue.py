"""Threads that ignore that the time of their job is over. A thread cannot be ended, so the process has to be: its job
is settled as timed out in the thread's absence, and the process drains and lets another take its place.

The thread goes on for as long as the process does; the token of its attempt is worth nothing any more (I4). The outcome
goes through the lease's connection, with a bound: a thread that holds its job's row locked in a transaction of its own
(ctx.guard) must not hold up the outcomes of others.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from pgqueue.codec import storable
from pgqueue.telling import reason_of
from pgqueue.worker import claim as claims
from pgqueue.worker.attempt import TRACEBACK_LIMIT
from pgqueue.worker.incident import Incident
from pgqueue.worker.judge import judge
from pgqueue.worker.lease import Request
from pgqueue.worker.settle import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgqueue.worker.attempt import Attempt
    from pgqueue.worker.link import Link

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.5  # for a settling; the heartbeat waits meanwhile
AGAIN_SECONDS = 1.0


class Overdue:
    """Settles the attempts of threads that were given up."""

    def __init__(self, link: Link, *, ended: Callable[[Attempt, str, dict[str, str] | None], None]) -> None:
        """`ended` is called on the loop, with each outcome and error, once it is in the database."""
        self._link = link
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._open: set[Attempt] = set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._open)

    def give_up(self, attempt: Attempt, stack: str, *, seconds: float) -> None:
        """Report a thread that is over its time by so much, and settle its attempt."""
        self._link.notes.report(
            Incident(
                kind="thread_overdue",
                detail=f"the thread of job {attempt.id} ({attempt.task.name}) ignores ctx.cancelled: its time is over",
                jobs=[attempt.id],
                stack=stack,
                since_seconds=seconds,
            )
        )
        self._open.add(attempt)
        _Settling(self, attempt, stack).begin()

    def send(self, settling: _Settling) -> None:
        """Send an outcome over the lease's connection; again later when that could not take it."""

        def answered(rows: object) -> None:
            self._link.on_loop(self._answered, settling, rows)

        params = self._link.step_params(1, claims.NO_CLAIM, claims.batch_params(settling.batch))
        self._link.ask(Request("step", params, answered, TIMEOUT_SECONDS))

    def _answered(self, settling: _Settling, rows: object) -> None:
        if isinstance(rows, BaseException):
            said = {"job": settling.attempt.id, "error": reason_of(rows)}
            log.warning("the outcome of an overdue thread could not be recorded yet", extra=said)
            self._loop.call_later(AGAIN_SECONDS, self.send, settling)
            return
        self._open.discard(settling.attempt)
        self._ended(settling.attempt, settling.outcome, settling.error)


class _Settling:
    """What an attempt came to whose handler is not there to say it: a sink of one outcome."""

    def __init__(self, overdue: Overdue, attempt: Attempt, stack: str) -> None:
        self._overdue = overdue
        self._outbox = Outbox()
        self._stack = stack
        self.attempt = attempt
        self.outcome = ""
        self.error: dict[str, str] | None = None

    def begin(self) -> None:
        judge(self, self.attempt, asyncio.CancelledError())
        self.batch = self._outbox.take()
        self._overdue.send(self)

    def succeeded(self, attempt: Attempt, result: str | None = None) -> None:
        """Not what an overdue thread comes to."""
        raise NotImplementedError

    def verify(self, attempt: Attempt) -> None:
        """Not what an overdue thread comes to."""
        raise NotImplementedError

    def ended(self, attempt: Attempt, outcome: str, *, error: dict[str, str] | None = None, **more: Any) -> None:
        """Take the outcome: failed, or dead, by its timeout."""
        self.outcome = outcome
        self.error = {**(error or {}), "traceback": storable(self._stack, TRACEBACK_LIMIT)}
        self._outbox.ended(attempt, outcome, error=self.error, **more)
