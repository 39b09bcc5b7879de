"""Runs sync handlers in threads. A thread cannot be ended from outside: it is told to stop through `ctx.cancelled`, and
reported as stuck when it does not listen. One whose job is over its timeout is given up then: its job is settled
without it, and another thread takes its place (at most as many as there are places).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from pgqueue.logs import SCOPE
from pgqueue.worker.judge import Sink, bound, finish, judge
from pgqueue.worker.stacks import stack_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pgqueue.context import Context
    from pgqueue.tracing import Tracer
    from pgqueue.worker.attempt import Attempt

log = logging.getLogger(__name__)


class ThreadPool:
    """Runs sync handlers, at most `size` at a time, in daemon threads that are started when needed."""

    def __init__(
        self,
        size: int,
        sink: Sink,
        context_for: Callable[[Attempt], Context],
        on_end: Callable[[], None],
        *,
        tracer: Tracer | None = None,
    ) -> None:
        self._size = size
        self._sink = sink
        self._context_for = context_for
        self._on_end = on_end
        self._tracer = tracer
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Attempt | None] = queue.SimpleQueue()
        self._results: deque[tuple[Attempt, Any, BaseException | None, Context | None]] = deque()
        self._collecting = False
        self._threads: list[threading.Thread] = []
        self._waiting: set[Attempt] = set()
        self._clean = contextvars.copy_context()
        self._stuck: set[Attempt] = set()
        self._given_up: set[Attempt] = set()
        self.active: set[Attempt] = set()
        self.quick = 0

    def room(self) -> int:
        """How many more jobs it can be given now."""
        return self._size - self.held()

    def held(self) -> int:
        """How many jobs it has."""
        return len(self.active) + len(self._waiting)

    def submit(self, attempts: Iterable[Attempt]) -> None:
        """Take attempts, to be run in this order."""
        for attempt in attempts:
            if bound(self._sink, attempt) is None:
                self._on_end()
                continue
            self._waiting.add(attempt)
            self._queue.put(attempt)
            if len(self._threads) - len(self._given_up) < min(self._size, self.held()):
                thread = threading.Thread(target=self._work, name=f"pgqueue-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def withdraw(self) -> list[Attempt]:
        """Give back what has not started."""
        taken: list[Attempt] = []
        while True:
            try:
                attempt = self._queue.get_nowait()
            except queue.Empty:
                return taken
            if attempt is not None:
                self._waiting.discard(attempt)
                taken.append(attempt)

    def stop(self, attempt: Attempt, reason: str) -> None:
        """Ask a running handler to stop; it has to look at `ctx.cancelled`."""
        attempt.stop_reason = reason
        attempt.deadline = min(attempt.deadline, time.monotonic())  # from then on it can become stuck

    def waiting(self) -> list[Attempt]:
        """What has not started."""
        return list(self._waiting)

    def give_up_stuck(self, now: float, grace_seconds: float) -> list[tuple[Attempt, str]]:
        """Look, once an attempt, which threads ignore that their time is over, and where they are. Returns those, with
        their stacks, whose job is over its timeout: it is not the pool's any more, and its thread's answer will be
        dropped. Of the others the log tells: a request to cancel may still be honoured.
        """
        given_up: list[tuple[Attempt, str]] = []
        for attempt in tuple(self.active):
            if attempt.stop_reason is None or attempt in self._stuck or now < attempt.deadline + grace_seconds:
                continue
            stack = stack_of(attempt.stopper)
            if attempt.stop_reason == "timeout" and len(self._given_up) < self._size:
                self._given_up.add(attempt)
                self.active.discard(attempt)
                given_up.append((attempt, stack))
                continue
            self._stuck.add(attempt)
            said = {"job": attempt.id, "task": attempt.task.name, "reason": attempt.stop_reason, "stack": stack}
            advice = "job is stuck: its thread ignores ctx.cancelled; look at it in loops, or use cpu=True"
            log.error(advice, extra=said)
        return given_up

    def _work(self) -> None:
        while (attempt := self._queue.get()) is not None:
            self.active.add(attempt)
            self._waiting.discard(attempt)
            attempt.stopper = threading.get_ident()
            attempt.begin(time.monotonic())
            context = self._context_for(attempt) if attempt.task.wants_ctx else None
            value, error = None, None
            try:
                value = self._clean.copy().run(self._call, attempt, context)
            except BaseException as raised:  # noqa: BLE001 - judged on the loop, never swallowed
                error = raised
            self._results.append((attempt, value, error, context))
            if not self._collecting:
                self._collecting = True
                try:
                    self._loop.call_soon_threadsafe(self._collect)
                except RuntimeError:  # the loop is closed: the process is ending, the lease decides
                    return

    def _call(self, attempt: Attempt, context: Context | None) -> Any:
        """Run the handler, in a context of its own that nobody sees afterwards."""
        if attempt.stopped:  # while it waited for a thread
            raise asyncio.CancelledError
        SCOPE.set(attempt)
        if self._tracer is not None:
            attempt.trace = self._tracer.enter(attempt)
        args, kwargs = attempt.task.bind(attempt.arguments())
        if context is None:
            return attempt.task.run_target(*args, **kwargs)
        return attempt.task.run_target(context, *args, **kwargs)

    def _collect(self) -> None:
        self._collecting = False
        while self._results:
            attempt, value, error, context = self._results.popleft()
            if attempt in self._given_up:
                self._given_up.discard(attempt)
                log.warning("the thread of a job that was given up has ended after all", extra={"job": attempt.id})
            elif error is None:
                finish(self._sink, attempt, value, context)
            else:
                judge(self._sink, attempt, error, skip=2)
            self.active.discard(attempt)
            self._stuck.discard(attempt)
            self._on_end()

    async def close(self) -> None:
        """Let idle threads end; those that are stuck end with the process."""
        for _ in self._threads:
            self._queue.put(None)
