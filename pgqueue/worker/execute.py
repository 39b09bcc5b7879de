"""Runs async handlers on the event loop. Comes after claim, before settle; touches no database.

They run in long-lived slots: a slot is a task that takes one attempt after the other, so that a job costs no task of
its own (1 us against 3 to 5), and `asyncio.timeout`, task groups and cancellation work in handlers as in any task. A
handler that leaves context variables changed retires its slot, so that no job sees another's context. Whose job it is
stands in a variable (`logs.SCOPE`), set anew for each rather than a holder that the slot fills: what a handler leaves
running must not be taken for the next job. That costs 0.3 us of the 7 us that a job takes here.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from pgqueue.logs import SCOPE
from pgqueue.telling import place_of
from pgqueue.worker.judge import Sink, bound, finish, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pgqueue.context import Context
    from pgqueue.tracing import Tracer
    from pgqueue.worker.attempt import Attempt

log = logging.getLogger(__name__)

# How long a slot may go on without letting the loop turn, when handlers never wait (the claim's answer is waiting
# meanwhile).
SLICE_SECONDS = 0.002
# Handlers that end within this count for what one round trip lets finish: a full step takes about as long.
QUICK_SECONDS = 0.01


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
        tracer: Tracer | None = None,
    ) -> None:
        """`may_start` is asked before each job when pools of other kinds share the process's concurrency."""
        self._size = size
        self._sink = sink
        self._context_for = context_for
        self._on_end = on_end
        self._may_start = may_start
        self._tracer = tracer
        self._ready: deque[Attempt] = deque()
        self._parked: list[asyncio.Future[None]] = []
        self._slots: set[asyncio.Task[None]] = set()
        self._waking = False
        self._clean = contextvars.copy_context()
        self._begun_at = float("-inf")  # when the last job began, or the first of those waiting came
        self.active: set[Attempt] = set()
        self.quick = 0  # jobs that ended within QUICK_SECONDS, so far

    def on_loop(self, task: asyncio.Task[object] | None) -> Attempt | None:
        """The attempt whose handler this task runs. Called from any thread."""
        return next((attempt for attempt in tuple(self.active) if attempt.stopper is task), None)

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
            log.error("a slot ended by an error of pgqueue", extra={"error": place_of(error)})
        self._wake_one()

    async def _slot(self) -> None:
        me = asyncio.current_task()
        ready = self._ready
        enter, copy = SCOPE.set, contextvars.copy_context
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
                enter(attempt)
                before = copy()
                await self._run(attempt, now)
                if copy() != before:
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
            if self._tracer is not None:
                attempt.trace = self._tracer.enter(attempt)
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
                if attempt.trace is not None:
                    attempt.trace.leave()
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
