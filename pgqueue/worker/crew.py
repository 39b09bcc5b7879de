"""The pools of a worker: which task runs where, what runs now, and how it is stopped."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pgqueue.context import Context
from pgqueue.worker.claim import Lane, Room
from pgqueue.worker.execute import LoopPool
from pgqueue.worker.greeting import hello
from pgqueue.worker.judge import NotCompleted, judge
from pgqueue.worker.overdue import Overdue
from pgqueue.worker.processes import ProcessPool
from pgqueue.worker.progress import Progress
from pgqueue.worker.proof import Proof
from pgqueue.worker.series import Series
from pgqueue.worker.threads import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

    from pgqueue.app import App
    from pgqueue.worker.attempt import Attempt
    from pgqueue.worker.link import Link
    from pgqueue.worker.options import WorkerOptions
    from pgqueue.worker.settle import Outbox

log = logging.getLogger(__name__)

Pool = LoopPool | ThreadPool | ProcessPool
STUCK_GRACE_SECONDS = 5.0  # or half a lease, whichever is shorter: it has to be noticed within one
STALLED_SECONDS = 0.5


class Crew:
    """Everything that runs attempts in this process."""

    def __init__(
        self,
        app: App,
        options: WorkerOptions,
        outbox: Outbox,
        *,
        link: Link,
        app_spec: str | None,
    ) -> None:
        self._app = app
        self._outbox = outbox
        self._link = link
        self.on_end: Callable[[], None] = lambda: None
        self.incoming = 0  # jobs for the loop that are claimed and not yet given to it
        self._progress = Progress()
        self._series = Series(self._to_pools, self.hand_back)
        self._proof = Proof(link, committed=self._committed, refuted=self._refuted)
        self._overdue = Overdue(link, ended=self._given_up)
        self.on_given_up: Callable[[], None] = lambda: None
        self._grace_seconds = min(STUCK_GRACE_SECONDS, 0.5 * options.lease_seconds)
        self._concurrency = options.concurrency
        self._reserved = 0
        several = len({(task.is_async, task.cpu) for task in app.tasks.values()}) > 1
        self.loop_pool = LoopPool(
            options.concurrency,
            self,
            self._context,
            lambda: self.on_end(),  # noqa: PLW0108 - it is set later
            may_start=self._may_start if several else None,
            tracer=app.tracer,
        )
        threads = min(options.threads, options.concurrency)
        self.thread_pool = ThreadPool(threads, self, self._context, self._ended, tracer=app.tracer)
        self._pools: list[Pool] = [self.loop_pool, self.thread_pool]
        self._process_pool: ProcessPool | None = None
        if any(task.cpu for task in app.tasks.values()):
            size = min(options.cpu_processes, options.concurrency)
            greeting = hello(app, app_spec, capture_logs=options.capture_logs)
            self._process_pool = ProcessPool(
                size, self, greeting, self._progress.report, self._ended, tracer=app.tracer
            )
            self._pools.append(self._process_pool)

    def _ended(self) -> None:
        self.loop_pool.kick()
        self.on_end()

    def _may_start(self) -> bool:
        others = self.thread_pool.held() + (self._process_pool.held() if self._process_pool is not None else 0)
        return others + len(self.loop_pool.active) + self._reserved < self._concurrency

    def reserve(self, jobs: int) -> None:
        """Keep room for what a claim under way may bring for another pool than the loop's: nothing else may take it."""
        self._reserved = jobs
        if not jobs:
            self.loop_pool.kick()

    def room(self, pool: Room) -> int:
        """How many more jobs a pool can be given now, within the concurrency of the process.

        What waits for the loop has no claim on the others' room: it starts when there is some.
        """
        others = sum(other.held() for other in self._pools if other is not self.loop_pool) + len(self._proof)
        if pool is not self.loop_pool:
            return min(pool.room(), self._concurrency - others - len(self.loop_pool.active))
        return self._concurrency - others - self.loop_pool.held() - self.incoming

    def lanes(self, queue: str) -> list[Lane]:
        """The lanes of a queue: one for each kind of handler that the app has."""
        tasks: dict[Pool, list[str]] = {}
        for name, task in self._app.tasks.items():
            tasks.setdefault(self._pool(task), []).append(name)
        return [Lane(queue, pool, names) for pool, names in tasks.items()]

    def submit(self, attempts: Iterable[Attempt]) -> None:
        """Hand attempts to the pools of their tasks, order kept; of those of one message group one at a time."""
        self._to_pools(self._series.begin(attempts))

    def _to_pools(self, attempts: Iterable[Attempt]) -> None:
        parts: dict[Pool, list[Attempt]] = {}
        for attempt in attempts:
            parts.setdefault(self._pool(attempt.task), []).append(attempt)
        for pool, part in parts.items():
            pool.submit(part)

    def _pool(self, task: Any) -> Pool:
        if task.is_async:
            return self.loop_pool
        if task.cpu and self._process_pool is not None:
            return self._process_pool
        return self.thread_pool

    def held(self) -> int:
        """How many jobs are here, waiting or running, or unproven."""
        elsewhere = self.incoming + len(self._proof) + len(self._overdue) + len(self._series)
        return sum(pool.held() for pool in self._pools) + elsewhere

    def holds(self) -> list[Attempt]:
        """The jobs that are here, whatever their state."""
        pools = (attempt for pool in self._pools for attempt in (*tuple(pool.active), *pool.waiting()))
        return [*pools, *self._proof, *self._overdue, *self._series.waiting()]

    def full(self) -> bool:
        """Whether it runs as many jobs as it may."""
        return self.held() - len(self._series) >= self._concurrency

    def crowded(self) -> bool:
        """Whether jobs of some kind find no room here."""
        return any(self.room(pool) <= 0 for pool in self._pools)

    def running(self) -> int:
        """How many jobs run now. From any thread."""
        return sum(len(pool.active) for pool in self._pools)

    def active(self) -> list[Attempt]:
        """These jobs. From any thread."""
        return [attempt for pool in self._pools for attempt in tuple(pool.active)]

    def series_length(self) -> int:
        """How many jobs of one message group to claim at once."""
        return self._series.length

    def quick(self) -> int:
        """How many quick jobs have ended on the loop."""
        return self.loop_pool.quick

    # Stopping.

    def stop_jobs(self, jobs: Iterable[int], reason: str) -> None:
        """Stop these jobs, running or waiting."""
        wanted = set(jobs)
        for pool in self._pools:
            for attempt in [*pool.active, *pool.waiting()]:
                if attempt.id in wanted and attempt.stop_reason is None:
                    pool.stop(attempt, reason)
        self._series.stop(wanted, reason)

    def stop_all(self, reason: str) -> None:
        """Stop everything that runs."""
        for pool in self._pools:
            for attempt in tuple(pool.active):
                if attempt.stop_reason != reason:
                    pool.stop(attempt, reason)

    def stop_overdue(self, now: float) -> None:
        """Stop what has run longer than its timeout."""
        for attempt in self.active():
            if now > attempt.deadline and attempt.stop_reason is None:
                self._pool(attempt.task).stop(attempt, "timeout")
        for attempt, stack in self.thread_pool.give_up_stuck(now, self._grace_seconds):
            self._overdue.give_up(attempt, stack, seconds=now - attempt.deadline)
            self.on_given_up()

    def _given_up(self, attempt: Attempt, outcome: str, error: dict[str, str] | None) -> None:
        if self._app.observers:
            self._app.observers.tell(attempt.ended(outcome, (error or {}).get("type")))
        self._series.ended(attempt, again=outcome == "failed")
        self._ended()

    def hand_back(self, attempts: Iterable[Attempt]) -> None:
        """Hand back what was never given to a pool."""
        for attempt in attempts:
            if self._app.observers:
                self._app.observers.tell(attempt.ended("released"))
            self._outbox.ended(attempt, "released")

    def hand_back_stalled(self, now: float) -> None:
        """Hand back what was claimed for quick handlers when these turn out to be slow: others may have room."""
        if self.loop_pool.stalled_for(now) > STALLED_SECONDS:
            self.hand_back(self.loop_pool.withdraw())
            self.on_end()

    def hand_back_waiting(self) -> None:
        """Hand back what has not started, as far as it is still ours."""
        for pool in self._pools:
            self.hand_back(pool.withdraw())
        self.hand_back(self._series.withdraw())

    def drop_waiting(self) -> None:
        """Forget what has not started: others have it."""
        for pool in self._pools:
            pool.withdraw()
        self._series.withdraw()

    async def close(self) -> None:
        """End the pools."""
        for pool in self._pools:
            await pool.close()
        self._proof.close()

    # The sink of outcomes.

    def succeeded(self, attempt: Attempt, result: str | None = None) -> None:
        """Take a success."""
        if self._app.observers:
            self._app.observers.tell(attempt.ended("succeeded"))
        if attempt.lines is not None:
            self._outbox.logged(attempt)
        self._outbox.succeeded(attempt, result)
        if attempt.group is not None:
            self._series.ended(attempt, again=False)

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
        if outcome == "dead":
            kind = (error or {}).get("type")
            log.warning("job is dead", extra={**attempt.log_fields(), "error": kind})
        if self._app.observers:
            self._app.observers.tell(attempt.ended(outcome, (error or {}).get("type")))
        if attempt.lines is not None:
            self._outbox.logged(attempt)
        self._outbox.ended(attempt, outcome, delay=delay, error=error, alone=alone)
        if attempt.group is not None:
            self._series.ended(attempt, again=outcome in {"failed", "snoozed", "released", "lost"})

    def verify(self, attempt: Attempt) -> None:
        """Find out whether the handler's transaction, in which it said `complete`, has committed."""
        self._proof.find(attempt)

    def _committed(self, attempt: Attempt) -> None:
        if self._app.observers:
            self._app.observers.tell(attempt.ended("succeeded"))
        if attempt.lines is not None:
            self._outbox.logged(attempt)
        self._series.ended(attempt, again=False)
        self.on_end()

    def _refuted(self, attempt: Attempt) -> None:
        judge(self, attempt, NotCompleted("ctx.complete was called, but its transaction was not committed"))
        self.on_end()

    # What handlers see.

    def _context(self, attempt: Attempt) -> Context:
        return Context(
            job_id=attempt.id,
            token=attempt.token,
            read_job=attempt.info,
            client=self._app.client,
            encode=attempt.task.encode_result,
            report=lambda fraction, note: self._progress.report(attempt, fraction, note),
            stop=lambda: attempt.stop_reason,
            is_async=attempt.task.is_async,
        )

    async def send_progress(self) -> None:
        """Send the latest progress of each job that reported. Raises psycopg.Error."""
        for attempt in await self._progress.send(self._link, self.active()):
            if attempt.stop_reason is None:
                self._pool(attempt.task).stop(attempt, "lease lost")
