"""The path of a job through a worker: every turn settles what has ended and claims what there is room for, in one round
trip; between turns the crew runs what was claimed. When there is nothing to do it sleeps until it is woken.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import psycopg

from pgqueue.worker import claim as claims
from pgqueue.worker.drain import Drain
from pgqueue.worker.intake import IDLE_SECONDS, Intake
from pgqueue.worker.mend import Mender
from pgqueue.worker.passes import Passes
from pgqueue.worker.rounds import Planner
from pgqueue.worker.session import draw_token
from pgqueue.worker.settle import NOTHING, Batch, Outbox
from pgqueue.worker.wake import Listener, poll_gap

if TYPE_CHECKING:
    from pgqueue.app import App
    from pgqueue.worker.alone import Quarantine
    from pgqueue.worker.claim import Lane
    from pgqueue.worker.crew import Crew
    from pgqueue.worker.link import Link
    from pgqueue.worker.options import WorkerOptions
    from pgqueue.worker.rounds import Rounds

log = logging.getLogger(__name__)

DRAIN_LOOK_SECONDS = 0.25


class Stepper:
    """Sends steps."""

    def __init__(
        self,
        app: App,
        options: WorkerOptions,
        link: Link,
        crew: Crew,
        outbox: Outbox,
        rounds: Rounds,
        quarantine: Quarantine,
        listener: Listener | None,
    ) -> None:
        self._app = app
        self._options = options
        self._link = link
        self._crew = crew
        self._outbox = outbox
        self._planner = Planner(rounds, crew, options)
        self._rounds = rounds
        self._quarantine = quarantine
        self._listener = listener
        self._intake = Intake(app, crew, link, listener)
        self._mender = Mender(link, outbox)
        self._passes = Passes(link, self._planner, self._passed)
        self._signal = asyncio.Event()
        self._woken = True  # somebody said that there may be work
        self._slept = False  # nobody did, but it is time to look
        self._quiet = False
        self._settle_alone = False  # the last step, which claimed too, was refused
        self._began_at = 0.0
        self.drain = Drain(crew, outbox, options.shutdown_timeout_seconds)

    async def run(self) -> None:
        """Send steps until told to stop, or until a burst is over."""
        self._began_at = time.monotonic()
        try:
            await self._steps()
        finally:
            self._intake.close()  # the answer to a full pass may still come: nothing starts after the last step

    async def _steps(self) -> None:
        while not self.drain.over():
            if not self._link.ready and not await self._restored():
                continue
            self._signal.clear()
            now = time.monotonic()
            if self._woken:
                self._rounds.begin()
            elif self._slept:
                self._planner.look_again(now)
            self._woken = self._slept = False
            batch = self._outbox.take()
            lane = self._lane(now, eager=bool(batch))
            if lane is not None or batch:
                await self._step(lane, batch)
            elif self._may_run(now) and self._quarantine.wants_one(now, held=self._crew.held()):
                await self._take_suspect()
            elif self._finished(now):
                return
            else:
                await self._idle(now)

    def _lane(self, now: float, *, eager: bool) -> Lane | None:
        """Where to claim from in this step. `eager`: something is settled anyway, so ask for more in the same trip."""
        if not self._may_claim(now) or (eager and (self._settle_alone or self._outbox.careful)):
            return None
        lane = self._planner.next_lane(now)
        if lane is None and eager:
            self._rounds.begin()
            lane = self._planner.next_lane(now)
        if lane is not None and self._planner.wants_pass_elsewhere(lane, now):
            self._passes.make(lane, now)
        return lane

    async def _step(self, lane: Lane | None, batch: Batch) -> None:
        limit = self._planner.limit(lane) if lane is not None else 0
        full = lane is not None and self._planner.in_place(lane)
        token = draw_token()
        claim = claims.NO_CLAIM
        if lane is not None:
            claim = lane.params(full=full, limit=limit, series=self._planner.series())
        sent = time.monotonic()
        self._planner.pace.observe(sent, self._crew.quick())
        if lane is not None and lane.pool is not self._crew.loop_pool:
            self._crew.reserve(limit)
        try:
            reply = claims.read(await self._link.step(token, claim, claims.batch_params(batch)))
        except (psycopg.Error, OSError) as error:
            self._crew.reserve(0)
            self._outbox.restore()
            self._settle_alone = bool(batch)  # the claim may be to blame: what handlers came to must not be
            await self._mender.failed(error, batch if lane is None else NOTHING)
            return
        self._outbox.recorded(reply.clock)
        self._settle_alone = self._settle_alone and lane is not None
        took = time.monotonic() - sent
        self._planner.pace.trip(took)
        if self._app.observers:
            self._app.observers.tell(reply.event(lane, settled=len(batch), seconds=took))
        if reply.stale:
            log.warning("attempts had lost their lease when they were settled", extra={"jobs": reply.stale})
        if reply.lost:
            self.lost(self._link.worker_id)
        elif lane is not None:
            self._claimed(lane, reply, token, limit=limit, full=full, took=took)
        elif reply.more:
            self._woken = True  # what was settled has set others free
        if lane is not None and lane.pool is not self._crew.loop_pool:
            self._crew.reserve(0)

    def _claimed(self, lane: Lane, reply: claims.Reply, token: int, *, limit: int, full: bool, took: float) -> None:
        now = time.monotonic()
        filled = claims.take(lane, reply, limit=limit, full=full, now=now, took=took)
        self._quarantine.noticed(lane.queue, waiting=reply.suspects)
        if reply.jobs:
            self._rounds.found = True
            self._intake.take_on(lane, reply.jobs, token, now, reply.clock)
            self._count(len(reply.jobs))
        if filled:
            self._rounds.begin()
        else:
            self._rounds.leave_lane()

    def _count(self, jobs: int) -> None:
        self._planner.claimed += jobs
        if self._planner.spent():
            self.recycle("max_jobs")

    def _passed(self, lane: Lane, reply: claims.Reply | None, token: int, limit: int, took: float) -> None:
        """A full pass on the lease's connection has ended, with an answer or without."""
        if reply is not None and self._app.observers:
            self._app.observers.tell(reply.event(lane, settled=0, seconds=took))
        if reply is not None and not reply.lost:
            self._claimed(lane, reply, token, limit=limit, full=True, took=took)
        self._signal.set()

    async def _take_suspect(self) -> None:
        """Claim one job that has to run alone, and run it."""
        token = draw_token()
        try:
            found = await self._quarantine.claim(token, tasks=sorted(self._app.tasks))
        except (psycopg.Error, OSError) as error:
            await self._mender.failed(error, NOTHING)
            return
        if found is not None:
            queue, row = found
            self._intake.found_at = time.monotonic()
            self._intake.take(queue, [row], token, alone=True)
            self._count(1)

    # Nothing to do.

    async def _idle(self, now: float) -> None:
        may_claim = self._may_claim(now)
        quiet_long = now - self._intake.found_at > IDLE_SECONDS and not self._crew.full()
        if self._listener is not None and may_claim and quiet_long and await self._listener.sleep():
            self._woken = True  # what was enqueued before the locks were taken notified nobody: look once more
            return
        wait = DRAIN_LOOK_SECONDS if self.drain.begun else self._options.poll_interval_seconds
        if may_claim:
            gap = poll_gap(now - self._intake.found_at, self._options.poll_interval_seconds)
            due = min((lane.due_at for lane in self._rounds.all()), default=float("inf"))
            wait = min(wait, max(0.0, min(self._planner.looked_at + gap, due) - time.monotonic()))
        try:
            await asyncio.wait_for(self._signal.wait(), max(wait, 0.0005))
        except TimeoutError:
            self._slept = True

    def _may_run(self, now: float) -> bool:
        return not self.drain.begun and not self._quiet and self._link.lease.remaining(now) > 0

    def _may_claim(self, now: float) -> bool:
        return self._may_run(now) and not self._quarantine.holds_claims(now, held=self._crew.held())

    def _finished(self, now: float) -> bool:
        """Whether a burst is over: all that was due has been looked for since the last job was found, and has ended."""
        if self._crew.held() or self._outbox or self.drain.begun:
            return False
        if self._options.only_suspects:
            return self._quarantine.idle(now)
        if not self._options.burst or self._woken or self._slept or not self._may_claim(now):
            return False
        if now - max(self._intake.found_at, self._began_at) < self._options.linger_seconds:
            return False
        if self._planner.looked_at <= self._intake.found_at:
            self._woken = True
            return False
        return self._quarantine.idle(now) and not any(lane.passing for lane in self._rounds.all())

    @property
    def accepting(self) -> bool:
        """Whether it claims jobs: it is neither quiet nor draining. From any thread."""
        return not self._quiet and not self.drain.begun

    # What others tell it.

    def wake(self) -> None:
        """There may be work."""
        self._woken = True
        self._signal.set()

    def ended(self) -> None:
        """An attempt has ended."""
        if not self._signal.is_set():
            self._signal.set()

    def quiet(self) -> None:
        """Claim nothing more, but go on running."""
        self._quiet = True
        log.info("quiet: no more jobs are claimed")

    def stop(self) -> None:
        """Drain; the second time, hand back at once."""
        self.drain.stop()
        self._intake.close()
        self._crew.hand_back_waiting()
        self._signal.set()

    def recycle(self, why: str) -> None:
        """This process has done its share: drain, and let another take its place."""
        if self.drain.recycle(why):
            self._signal.set()

    def lost(self, worker_id: int) -> None:
        """Declared lost: others have our jobs. Stop the handlers, and begin again as a new worker."""
        if worker_id != self._link.worker_id:
            return
        log.error("this worker was declared lost; its handlers are stopped", extra={"worker": worker_id})
        self._crew.stop_all("lease lost")
        self._crew.drop_waiting()
        self._link.forget()
        self.wake()

    async def _restored(self) -> bool:
        """Whether the database is there again; takes on the jobs of claims whose answers were lost."""
        found = await self._mender.restore()
        if found is None:
            return False
        self.wake()
        for queue, token, row in found:
            self._intake.take(queue, [row], token)
        return True
