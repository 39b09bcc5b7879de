"""One worker process: joins wake, claim, execute and settle, and survives what happens around them.

The path of a job is in `_steps`: every turn settles what has ended and claims what there is room for, in one round trip; between
turns the pools run what was claimed. Everything else here is about starting, losing the database, and stopping.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue.worker import claim as claims
from pgqueue.worker.alone import Quarantine
from pgqueue.worker.attempt import TASK, Attempt
from pgqueue.worker.crew import Crew
from pgqueue.worker.lease import Request
from pgqueue.worker.link import Link
from pgqueue.worker.overseer import Overseer
from pgqueue.worker.rounds import Pace, Rounds
from pgqueue.worker.session import backoff, draw_token
from pgqueue.worker.settle import NOTHING, Batch, Outbox
from pgqueue.worker.wake import Listener, poll_gap

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.app import App
    from pgqueue.worker.claim import Lane
    from pgqueue.worker.options import WorkerOptions

log = logging.getLogger(__name__)

# A worker says that it sleeps only after so long without a job, and that it is busy after so long with jobs: under a steady load
# neither producers nor workers pay for notifications.
IDLE_SECONDS = 0.010
BUSY_SECONDS = 0.020
PASS_TIMEOUT_SECONDS = 5.0
UNWIND_SECONDS = 1.0  # what handlers have to end themselves once the shutdown timeout is over


class Worker:
    """Claims and runs the jobs of an App's tasks until it is told to stop."""

    def __init__(
        self,
        app: App,
        options: WorkerOptions,
        *,
        app_spec: str | None = None,
        on_ready: Callable[[], None] = lambda: None,
        on_alive: Callable[[], None] = lambda: None,
        on_suspects: Callable[[], None] | None = None,
    ) -> None:
        """`app_spec` (MODULE:APP) is needed for cpu tasks only. `on_suspects` asks a supervisor for a process that runs alone
        what has to run alone; without one this worker does it whenever it has nothing else.
        """
        self.app = app
        self.options = options
        self._app_spec = app_spec
        self._on_ready = on_ready
        self._on_alive = on_alive
        self._ask_for_quarantine = on_suspects
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Work until told to stop. Returns the exit status: 0, or 1 when the shutdown deadline passed.

        Raises psycopg.Error when the database cannot be reached at the start; later on it waits for it.
        """
        self._start()
        try:
            await self._link.open()
            self._tasks.append(asyncio.create_task(self._overseer.run(), name="overseer"))
            if self._listener is not None:
                self._tasks.append(asyncio.create_task(self._listener.run(), name="listener"))
            self._on_ready()
            await self._steps()
        finally:
            await self._end()
        return int(self._overran)

    def stop(self) -> None:
        """Claim nothing more, let running jobs end until the shutdown timeout, hand the rest back. Again: hand back at once."""
        now = time.monotonic()
        self._deadline = now if self._draining else now + self.options.shutdown_timeout_seconds
        if not self._draining:
            log.info("draining", extra={"running": self._crew.held()})
        self._draining = True
        self._crew.hand_back_waiting(self._outbox)
        self._signal.set()

    def quiet(self) -> None:
        """Claim nothing more, but go on running."""
        self._quiet = True
        log.info("quiet: no more jobs are claimed")

    # The start.

    def _start(self) -> None:
        options = self.options
        self._signal = asyncio.Event()
        self._outbox = Outbox()
        self._draining = self._quiet = self._overran = self._recycled = False
        self._deadline = float("inf")
        self._woken = True
        self._claimed = self._turn = 0
        self._found_at = self._busy_since = float("-inf")
        self._looked_at = float("-inf")
        self._pace = Pace()
        self._link = Link(self.app, options, queues=[], on_cancel=self._cancel_requested, on_lost=self._lost)
        self._crew = Crew(self.app, options, self._outbox, link=self._link, on_end=self._ended, app_spec=self._app_spec)
        queues = dict(options.queues) or dict.fromkeys(sorted({"default", *self._crew.queues()}), 1)
        self._link.queues = list(queues)
        self._link.running = self._crew.running
        strict = options.strict and bool(options.queues)
        self._rounds = Rounds({queue: self._crew.lanes(queue) for queue in queues}, queues, strict=strict)
        self._listener = None
        if options.listen:
            self._listener = Listener(
                options.listen_dsn or self.app.dsn,
                self.app.schema,
                queues,
                on_wake=self._wake,
                on_control=self._link.beat_now,
            )
            self._link.listener_pid = lambda: self._listener.pid if self._listener else None
        self._quarantine = Quarantine(
            list(queues), self._link, only=options.only_suspects, ask=self._ask_for_quarantine
        )
        self._overseer = Overseer(self._crew, self._link, options, on_alive=self._on_alive, recycle=self._recycle)

    def _wake(self) -> None:
        self._woken = True
        self._signal.set()

    def _ended(self) -> None:
        if not self._signal.is_set():
            self._signal.set()

    # The path of a job.

    async def _steps(self) -> None:
        while not self._over():
            if not self._link.ready and not await self._restore():
                continue
            self._signal.clear()
            now = time.monotonic()
            if self._woken:
                self._woken = False
                self._rounds.begin()
            batch = self._outbox.take()
            lane = self._next_lane(now) if self._may_claim(now) else None
            if lane is None and batch and self._may_claim(now):
                self._rounds.begin()
                lane = self._next_lane(now)
            if lane is not None or batch:
                await self._step(lane, batch)
            elif self._may_run(now) and self._quarantine.wants_one(now, held=self._crew.held()):
                await self._take_suspect()
            elif self._finished(now):
                return
            else:
                await self._idle(time.monotonic())

    async def _step(self, lane: Lane | None, batch: Batch) -> None:
        limit = self._limit(lane) if lane is not None else 0
        full = lane is not None and self._in_place(lane)
        token = draw_token()
        claim = lane.params(full=full, limit=limit) if lane is not None else claims.NO_CLAIM
        sent = time.monotonic()
        self._pace.observe(sent, self._crew.quick())
        try:
            reply = claims.read(await self._link.step(token, claim, claims.batch_params(batch)))
        except (psycopg.Error, OSError) as error:
            self._outbox.restore()
            await self._failed(error, batch)
            return
        self._outbox.recorded()
        took = time.monotonic() - sent
        self._pace.trip(took)
        if reply.stale:
            log.warning("attempts had lost their lease when they were settled", extra={"jobs": reply.stale})
        if reply.lost:
            self._lost(self._link.worker_id)
        elif lane is not None:
            self._claimed_from(lane, reply, token, limit=limit, full=full, took=took)

    def _claimed_from(
        self, lane: Lane, reply: claims.Reply, token: int, *, limit: int, full: bool, took: float
    ) -> None:
        now = time.monotonic()
        full = full or reply.seen is not None
        filled = claims.take(lane, reply, limit=limit, full=full)
        if full:
            lane.passed_at, lane.pass_seconds = now, took
        lane.due_at = now + _seconds(reply.clock, reply.next_due) if reply.next_due is not None else float("inf")
        self._quarantine.noticed(lane.queue, waiting=reply.suspects)
        if reply.jobs:
            self._take_on(lane, reply.jobs, token, now)
        if filled:
            self._rounds.begin()
        else:
            self._rounds.leave_lane()

    def _take_on(self, lane: Lane, rows: list[Any], token: int, now: float) -> None:
        """Hand claimed rows to the crew."""
        if self._found_at + IDLE_SECONDS < now:
            self._busy_since = now
        self._found_at = now
        self._rounds.found = True
        self._claimed += len(rows)
        tasks = self.app.tasks
        self._crew.submit([Attempt(row, tasks[row[TASK]], lane.queue, token) for row in rows])
        if self.options.max_jobs is not None and self._claimed >= self.options.max_jobs:
            self._recycle("max_jobs")
        if self._listener is not None and self._listener.asleep and now - self._busy_since > BUSY_SECONDS:
            self._tasks.append(asyncio.create_task(self._listener.awake()))

    # Where to claim from.

    def _may_run(self, now: float) -> bool:
        return not self._draining and not self._quiet and self._link.lease.remaining(now) > 0

    def _may_claim(self, now: float) -> bool:
        return self._may_run(now) and not self._quarantine.holds_claims(now, held=self._crew.held())

    def _next_lane(self, now: float) -> Lane | None:
        rounds = self._rounds
        while True:
            while (lane := rounds.current()) is not None:
                if self._limit(lane) > 0 and (not rounds.sweeping or self._in_place(lane)):
                    self._pass_elsewhere(lane, now)
                    return lane
                rounds.leave_lane()
            if rounds.sweeping or rounds.found or not rounds.all():
                rounds.sweeping = rounds.found = False
                return None
            self._looked_at = now
            rounds.begin(sweep=True)

    def _limit(self, lane: Lane) -> int:
        crew, options = self._crew, self.options
        room = min(lane.pool.room(), options.concurrency - crew.held())
        if lane.pool is crew.loop_pool:
            room += self._pace.allowance()
        if options.max_jobs is not None:
            room = min(room, options.max_jobs - self._claimed)
        return min(room, options.step_size)

    def _in_place(self, lane: Lane) -> bool:
        """Whether the next claim from this lane is a full pass on the worker's own connection."""
        if self._rounds.sweeping:
            return lane.cheap or (self.options.burst and not lane.passing)
        return lane.cheap and lane.wants_pass(time.monotonic())

    def _pass_elsewhere(self, lane: Lane, now: float) -> None:
        """Have a costly full pass made on the lease's connection, off the path of the jobs."""
        if lane.cheap or not lane.wants_pass(now) or self.options.burst:
            return
        lane.passing = True
        loop, token, limit = asyncio.get_running_loop(), draw_token(), max(1, self._limit(lane))
        params = self._link.step_params(token, lane.params(full=True, limit=limit), claims.batch_params(NOTHING))

        def answered(rows: list[tuple[Any, ...]] | BaseException) -> None:
            loop.call_soon_threadsafe(self._passed, lane, rows, token, limit, now)

        self._link.ask(Request("step", params, answered, PASS_TIMEOUT_SECONDS))

    def _passed(
        self, lane: Lane, rows: list[tuple[Any, ...]] | BaseException, token: int, limit: int, sent: float
    ) -> None:
        now = time.monotonic()
        lane.passing = False
        if isinstance(rows, BaseException):
            lane.passed_at, lane.pass_seconds = now, now - sent
            if not isinstance(rows, psycopg.errors.QueryCanceled):
                self._link.uncertain.add(token)
            log.info("a full pass did not end in time", extra={"queue": lane.queue, "seconds": round(now - sent, 2)})
        else:
            reply = claims.read(rows)
            if not reply.lost:
                self._claimed_from(lane, reply, token, limit=limit, full=True, took=now - sent)
        self._signal.set()

    # Jobs that have to run alone.

    async def _take_suspect(self) -> None:
        token = draw_token()
        try:
            found = await self._quarantine.claim(token, tasks=sorted(self.app.tasks))
        except (psycopg.Error, OSError) as error:
            await self._failed(error)
            return
        if found is not None:
            queue, row = found
            self._claimed += 1
            self._found_at = time.monotonic()
            self._crew.submit([Attempt(row, self.app.tasks[row[TASK]], queue, token, alone=True)])

    # Nothing to do.

    async def _idle(self, now: float) -> None:
        if (
            self._listener is not None
            and now - self._found_at > IDLE_SECONDS
            and self._may_claim(now)
            and await self._listener.sleep()
        ):
            self._woken = True  # what was enqueued before the locks were taken notified nobody: look once more
            return
        wait = 0.25 if self._draining else self.options.poll_interval_seconds
        if self._may_claim(now):
            gap = poll_gap(now - self._found_at, self.options.poll_interval_seconds)
            due = min((lane.due_at for lane in self._rounds.all()), default=float("inf"))
            wait = min(wait, max(0.0, min(self._looked_at + gap, due) - now))
        try:
            await asyncio.wait_for(self._signal.wait(), max(wait, 0.0005))
        except TimeoutError:
            self._woken = True

    def _over(self) -> bool:
        """Whether draining has come to its end, or to its deadline."""
        if not self._draining:
            return False
        if self._crew.held() == 0 and not self._outbox:
            return True
        now = time.monotonic()
        if now < self._deadline:
            return False
        self._overran = True
        self._crew.stop_all("shutdown")
        return now >= self._deadline + UNWIND_SECONDS

    def _finished(self, now: float) -> bool:
        """Whether a burst is over: everything that was due has been looked for since the last job was found, and has ended."""
        if self._crew.held() or self._outbox or self._draining:
            return False
        if self.options.only_suspects:
            return self._quarantine.idle(now)
        if not self.options.burst or self._woken or not self._may_claim(now):
            return False
        if self._looked_at <= self._found_at:
            self._woken = True
            return False
        return self._quarantine.idle(now) and not any(lane.passing for lane in self._rounds.all())

    def _recycle(self, why: str) -> None:
        if not self._draining:
            log.info("this process has done its share", extra={"why": why})
            self._recycled = True
            self.stop()

    @property
    def recycled(self) -> bool:
        """Whether it stopped because of max_jobs or max_memory: a supervisor starts another."""
        return self._recycled

    # What can go wrong.

    def _cancel_requested(self, jobs: list[int]) -> None:
        self._crew.stop_jobs(jobs, "cancelled")

    def _lost(self, worker_id: int) -> None:
        """Declared lost: others have our jobs. Stop the handlers, and begin again as a new worker."""
        if worker_id != self._link.worker_id:
            return
        log.error("this worker was declared lost; its handlers are stopped", extra={"worker": worker_id})
        self._crew.stop_all("lease lost")
        self._crew.drop_waiting()
        self._link.forget()
        self._wake()

    async def _failed(self, error: psycopg.Error | OSError, batch: Batch = NOTHING) -> None:
        """A statement failed: the connection broke, which `_restore` mends, or the server refused it."""
        if self._link.broken or not isinstance(error, psycopg.Error) or error.sqlstate is None:
            log.warning("the database connection failed", extra={"error": str(error).strip()})
            self._link.abort()
            return
        self._link.refused()
        log.error("a statement was refused", extra={"sqlstate": error.sqlstate, "error": error.diag.message_primary})
        if batch:
            self._outbox.refused(error.sqlstate)
        await asyncio.sleep(0.1)

    async def _restore(self) -> bool:
        """Connect again, find out what was claimed, take on those jobs. False: it has to be tried again, or not any more."""
        try:
            found = await self._link.restore()
        except (psycopg.Error, OSError) as error:
            log.warning("the database is away", extra={"error": str(error).strip(), "turn": self._turn})
            await backoff(self._turn)
            self._turn += 1
            return False
        self._turn = 0
        self._wake()
        for queue, token, row in found:
            attempt = Attempt(row, self.app.tasks[row[TASK]], queue, token)
            if self._may_run(time.monotonic()):
                self._crew.submit([attempt])
            else:
                self._outbox.ended(attempt, "released")
        return True

    # The end.

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener is not None:
            await self._listener.close()
        await self._crew.close()
        await self._link.close(self._outbox.take(10_000))


def _seconds(clock: str, due: str) -> float:
    """The time from one of the database's times to another."""
    from datetime import datetime

    return max(0.0, (datetime.fromisoformat(due) - datetime.fromisoformat(clock)).total_seconds())
