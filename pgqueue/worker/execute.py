"""Runs attempts and judges how they ended. Comes after claim, before settle; touches no database.

`judge` is the one place where an exception becomes an outcome. `LoopPool` runs async handlers in long-lived slots: a
slot is a task that takes one attempt after the other, so that a job costs no task of its own (1 us against 3 to 5),
and `asyncio.timeout`, task groups and cancellation work in handlers as in any task. A handler that leaves context
variables changed retires its slot, so that no job sees another's context.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from pgqueue.errors import ArgumentError, LeaseLost
from pgqueue.outcome import Answer, Cancel, Discard, Snooze
from pgqueue.worker.attempt import ARGS, EXPIRED, FAILURES, MAX_ATTEMPTS, Attempt, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

    from pgqueue.context import Context

log = logging.getLogger(__name__)

# How long a slot may go on without letting the loop turn, when handlers never wait (the claim's answer is waiting
# meanwhile).
SLICE_SECONDS = 0.002
# Handlers that end within this count for what one round trip lets finish: a full step takes about as long.
QUICK_SECONDS = 0.01


class Sink(Protocol):
    """Where outcomes go."""

    def succeeded(self, attempt: Attempt, result: str | None = None) -> None:
        """Take a success."""
        ...

    def ended(
        self,
        attempt: Attempt,
        outcome: str,
        *,
        delay: timedelta | None = None,
        error: dict[str, str] | None = None,
        alone: bool = False,
    ) -> None:
        """Take any other outcome."""
        ...

    def verify(self, attempt: Attempt) -> None:
        """Find out whether the transaction in which a handler said `complete` has committed."""
        ...


class TimedOut(Exception):  # noqa: N818 - what history shows as the error's type
    """The handler took longer than its timeout."""


def finish(sink: Sink, attempt: Attempt, value: Any, context: Context | None) -> None:
    """Judge a handler that returned."""
    if context is not None and context.completed:
        sink.verify(attempt)
    elif value is None:
        sink.succeeded(attempt)
    elif isinstance(value, Answer):
        judge(sink, attempt, value)
    else:
        try:
            result = attempt.task.encode_result(value)
        except ArgumentError as error:  # its work is done: trying again would do it twice
            sink.ended(attempt, "dead", error=describe(error))
            return
        sink.succeeded(attempt, result)


def judge(sink: Sink, attempt: Attempt, error: BaseException, *, skip: int = 0) -> None:
    """Judge a handler that raised, or answered with an Answer; `skip` of our own frames are left out of the
    traceback.
    """
    if isinstance(error, Snooze):
        sink.ended(attempt, "snoozed", delay=error.for_)
    elif isinstance(error, Cancel):
        sink.ended(attempt, "cancelled", error={"type": "Cancelled", "message": error.reason or ""})
    elif isinstance(error, Discard):
        sink.ended(attempt, "dead", error={"type": "Discard", "message": error.reason or ""})
    elif isinstance(error, LeaseLost) or attempt.stop_reason in {"shutdown", "lease lost"}:
        sink.ended(attempt, "released")
    elif attempt.stop_reason == "cancelled":
        sink.ended(attempt, "cancelled", error={"type": "Cancelled", "message": "cancelled on request"})
    else:
        if attempt.stop_reason == "timeout" and isinstance(error, asyncio.CancelledError):
            error = _timed_out(attempt, error)
        _failed(sink, attempt, error, describe(error, skip=skip))


def _timed_out(attempt: Attempt, cause: BaseException) -> TimedOut:
    seconds = attempt.deadline - attempt.started
    return TimedOut(f"the handler took longer than its timeout of {seconds:g} s").with_traceback(cause.__traceback__)


def _failed(sink: Sink, attempt: Attempt, error: BaseException, description: dict[str, str]) -> None:
    failures = attempt.row[FAILURES] + 1
    try:
        delay = attempt.task.delay_before_retry(failures, error, max_attempts=attempt.row[MAX_ATTEMPTS])
    except Exception as broken:
        log.exception("the backoff of a task failed", extra={"task": attempt.task.name, "job": attempt.id})
        description["message"] += f" (and its backoff raised {type(broken).__name__}: {broken})"
        delay = None
    log.info(
        "job failed",
        extra={
            "job": attempt.id,
            "task": attempt.task.name,
            "failures": failures,
            "error": description["type"],
            "final": delay is None,
        },
    )
    if delay is None:
        sink.ended(attempt, "dead", error=description)
    else:
        sink.ended(attempt, "failed", delay=delay, error=description)


def failed_remotely(sink: Sink, attempt: Attempt, error: BaseException, description: dict[str, str]) -> None:
    """Judge a failure in another process, told by its description and an exception that policies can look at."""
    _failed(sink, attempt, error, description)


def bound(sink: Sink, attempt: Attempt) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The handler's arguments; None when there is nothing to run: expired, or arguments that do not fit the code."""
    if attempt.stop_reason == "cancelled":
        sink.ended(attempt, "cancelled", error={"type": "Cancelled", "message": "cancelled on request"})
        return None
    if attempt.row[EXPIRED]:
        sink.ended(attempt, "expired")
        return None
    if attempt.row[ARGS] is None:
        sink.ended(
            attempt,
            "dead",
            error={"type": "ArgumentsMissing", "message": "the row of its arguments is gone from job_args"},
        )
        return None
    try:
        return attempt.task.bind(attempt.arguments())
    except ArgumentError as error:
        sink.ended(attempt, "dead", error=describe(error))
    except Exception as error:  # noqa: BLE001 - a model's own validator may raise anything: it will not get better
        sink.ended(attempt, "dead", error=describe(error))
    return None


class LoopPool:
    """Runs async handlers on the event loop, at most `size` at a time."""

    def __init__(
        self,
        size: int,
        sink: Sink,
        context_for: Callable[[Attempt], Context],
        on_end: Callable[[], None],
        *,
        may_start: Callable[[], bool] | None = None,
    ) -> None:
        """`may_start` is asked before each job when pools of other kinds share the process's concurrency."""
        self._size = size
        self._sink = sink
        self._context_for = context_for
        self._on_end = on_end
        self._may_start = may_start
        self._ready: deque[Attempt] = deque()
        self._parked: list[asyncio.Future[None]] = []
        self._slots: set[asyncio.Task[None]] = set()
        self._waking = False
        self._clean = contextvars.copy_context()
        self._begun_at = float("-inf")  # when the last job began, or the first of those waiting came
        self.active: set[Attempt] = set()
        self.quick = 0  # jobs that ended within QUICK_SECONDS, so far

    def room(self) -> int:
        """How many more jobs it can be given now."""
        return self._size - len(self.active) - len(self._ready)

    def held(self) -> int:
        """How many jobs it has."""
        return len(self.active) + len(self._ready)

    def submit(self, attempts: Iterable[Attempt]) -> None:
        """Take attempts, to be run in this order."""
        if not self._ready:
            self._begun_at = time.monotonic()
        self._ready.extend(attempts)
        self._wake_one()

    def stalled_for(self, now: float) -> float:
        """How long jobs have been waiting here without any that began, in seconds."""
        return now - self._begun_at if self._ready else 0.0

    def waiting(self) -> list[Attempt]:
        """What has not started."""
        return list(self._ready)

    def withdraw(self) -> list[Attempt]:
        """Give back what has not started."""
        waiting = list(self._ready)
        self._ready.clear()
        return waiting

    def stop(self, attempt: Attempt, reason: str) -> None:
        """Cancel a running handler."""
        attempt.stop_reason = reason
        if attempt in self.active:
            attempt.stopper.cancel()

    def kick(self) -> None:
        """Another pool has ended a job: perhaps one may start here."""
        self._wake_one()

    def _wake_one(self) -> None:
        if self._waking or not self._ready or (self._may_start is not None and not self._may_start()):
            return
        if self._parked:
            self._parked.pop().set_result(None)
        elif len(self._slots) < self._size:
            slot = asyncio.get_running_loop().create_task(self._slot(), context=self._clean.copy())
            self._slots.add(slot)
            slot.add_done_callback(self._slot_ended)
        else:
            return
        self._waking = True

    def _slot_ended(self, slot: asyncio.Task[None]) -> None:
        self._slots.discard(slot)
        if not slot.cancelled() and (error := slot.exception()) is not None:
            log.error("a slot ended by an error of pgqueue", exc_info=error)
        self._wake_one()

    async def _slot(self) -> None:
        me = asyncio.current_task()
        clean = contextvars.copy_context()
        ready = self._ready
        while True:
            self._waking = False
            slice_ends = time.monotonic() + SLICE_SECONDS
            while ready and (self._may_start is None or self._may_start()):
                attempt = ready.popleft()
                self._wake_one()
                attempt.stopper = me
                now = time.monotonic()
                if now > slice_ends:
                    ready.appendleft(attempt)
                    await asyncio.sleep(0)
                    slice_ends = time.monotonic() + SLICE_SECONDS
                    continue
                await self._run(attempt, now)
                if contextvars.copy_context() != clean:
                    return
            parked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._parked.append(parked)
            await parked

    async def _run(self, attempt: Attempt, now: float) -> None:
        arguments = bound(self._sink, attempt)
        if arguments is not None:
            attempt.begin(now)
            self._begun_at = now
            self.active.add(attempt)
            args, kwargs = arguments
            context = self._context_for(attempt) if attempt.task.wants_ctx else None
            try:
                if context is None:
                    value = await attempt.task.run_target(*args, **kwargs)
                else:
                    value = await attempt.task.run_target(context, *args, **kwargs)
                finish(self._sink, attempt, value, context)
            except BaseException as error:  # noqa: BLE001 - whatever it raises is judged
                self._caught(attempt, error, context)
            finally:
                self.active.discard(attempt)
                me: asyncio.Task[None] = attempt.stopper
                while me.cancelling():  # also when the handler swallowed it: the next job's task groups must not see it
                    me.uncancel()
            if time.monotonic() - now < QUICK_SECONDS:
                self.quick += 1
        self._on_end()

    def _caught(self, attempt: Attempt, error: BaseException, context: Context | None) -> None:
        if isinstance(error, asyncio.CancelledError) and attempt.stop_reason is None and self._closing:
            raise error
        if context is not None and context.completed:
            log.warning("a handler raised after complete", extra={"job": attempt.id, "error": type(error).__name__})
        judge(self._sink, attempt, error, skip=1)

    _closing = False

    async def close(self) -> None:
        """End the slots. Handlers that still run are cancelled and not waited for."""
        self._closing = True
        for slot in self._slots:
            slot.cancel()
        if self._slots:
            await asyncio.wait(self._slots, timeout=0.5)
