"""One worker process: puts its parts together, starts them, and ends them in order. The path of a job is in
`stepper.py`.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from pgqueue import capture
from pgqueue.worker.alone import Quarantine
from pgqueue.worker.crew import Crew
from pgqueue.worker.incident import Incident
from pgqueue.worker.link import Link
from pgqueue.worker.overseer import Overseer
from pgqueue.worker.rounds import Rounds
from pgqueue.worker.settle import Outbox
from pgqueue.worker.stepper import Stepper
from pgqueue.worker.vitals import Vitals, vitals
from pgqueue.worker.wake import Listener
from pgqueue.worker.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pgqueue.app import App
    from pgqueue.worker.alarm import Alarm
    from pgqueue.worker.notes import Notes
    from pgqueue.worker.options import WorkerOptions

log = logging.getLogger(__name__)


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
        on_stuck: Callable[[], None] | None = None,
        on_registered: Callable[[int], None] = lambda _: None,
        alarm: Alarm | None = None,
    ) -> None:
        """Take the settings; nothing is opened.

        `app_spec` (MODULE:APP) is needed for cpu tasks only. `on_suspects` asks a supervisor for a process that runs
        alone what has to run alone; without one this worker does it whenever it has nothing else. `on_stuck` asks it
        for another process in place of this one, which drains, because a thread cannot be stopped; without one this
        worker goes on with another thread. `alarm` dumps stacks without Python.
        """
        self.app = app
        self.options = options
        self._app_spec = app_spec
        self._on_ready = on_ready
        self._on_alive = on_alive
        self._ask_for_quarantine = on_suspects
        self._on_stuck = on_stuck
        self._on_registered = on_registered
        self._notes: Notes | None = None
        self._alarm = alarm
        self._stepper: Stepper | None = None
        self._vitals: Callable[[], Vitals] = Vitals
        self.crew: Crew | None = None  # since it runs
        self._stops = 0
        self._quiet = False

    async def run(self) -> int:
        """Work until told to stop. Returns the exit status: 0, or 1 when the shutdown deadline passed.

        Raises psycopg.Error when the database cannot be reached at the start; later on it waits for it.
        """
        outbox = Outbox()
        link = Link(self.app, self.options, outbox, queues=list(self._queues()))
        link.on_registered = self._on_registered
        link.on_late = self._ask_for_quarantine or link.on_late
        self._notes = link.notes
        crew = self.crew = Crew(self.app, self.options, outbox, link=link, app_spec=self._app_spec)
        listener = self._make_listener(link)
        stepper = self._stepper = self._make_stepper(link, crew, outbox, listener)
        self._vitals = partial(vitals, link, crew, stepper, self.options)
        overseer = Overseer(
            crew, link, self.options, on_alive=self._on_alive, recycle=stepper.recycle, give_up=self._give_up
        )
        watch = self._make_watch(link, crew)
        services: list[asyncio.Task[None]] = []
        stop_capturing = self._capture(link)
        try:
            await link.open()
            services.append(asyncio.create_task(overseer.run(), name="overseer"))
            watch.start()
            if listener is not None:
                services.append(asyncio.create_task(listener.run(), name="listener"))
            self._on_ready()
            self._catch_up(stepper)
            await stepper.run()
        finally:
            watch.stop()
            for service in services:
                service.cancel()
            await asyncio.gather(*services, return_exceptions=True)
            if listener is not None:
                await listener.close()
            await crew.close()
            await link.close(outbox)
            stop_capturing()
        return int(stepper.drain.overran)

    def stop(self) -> None:
        """Claim nothing more, let running jobs end until the shutdown timeout, hand the rest back. Again: at once."""
        self._stops += 1
        if self._stepper is not None:
            self._stepper.stop()

    def quiet(self) -> None:
        """Claim nothing more, but go on running."""
        self._quiet = True
        if self._stepper is not None:
            self._stepper.quiet()

    def note(self, finding: Mapping[str, Any]) -> None:
        """Record what a supervisor found out about another process: the fields of an Incident. From any thread."""
        if self._notes is not None:
            self._notes.record(Incident(**finding))

    def vitals(self) -> Vitals:
        """How it is. From any thread."""
        return self._vitals()

    @property
    def recycled(self) -> bool:
        """Whether it stopped because of max_jobs or max_memory: a supervisor starts another."""
        return self._stepper is not None and self._stepper.drain.recycled

    def _give_up(self, why: str) -> None:
        """This process cannot go on: hand back at once what it holds."""
        if self._stepper is not None:
            self._stepper.recycle(why)
            self._stepper.stop()
            self._stepper.stop()

    def _be_replaced(self) -> None:
        """A thread of this process cannot be stopped."""
        if self._on_stuck is not None and self._stepper is not None and not self._stepper.drain.begun:
            self._on_stuck()
            self._stepper.recycle("thread_overdue")

    def _make_watch(self, link: Link, crew: Crew) -> Watch:
        loop = asyncio.get_running_loop()
        return Watch(
            self.options.lease_seconds,
            loop_turned_at=lambda: link.turned_at,
            running=crew.active,
            on_loop=lambda: crew.loop_pool.on_loop(asyncio.current_task(loop)),
            report=link.notes.report,
            recovered=link.notes.recovered,
            alarm=self._alarm,
        )

    def _queues(self) -> Mapping[str, int]:
        """The queues to serve with their weights."""
        named = sorted({"default", *(task.queue for task in self.app.tasks.values())})
        return self.options.queues or dict.fromkeys(named, 1)

    def _capture(self, link: Link) -> Callable[[], None]:
        """Keep what handlers log, for their attempts, until the returned function is called."""
        levels = (task.capture_level for task in self.app.tasks.values())
        handler = capture.handler_for(
            self.options.capture_logs, levels, self.app.masking, mine=lambda scope: scope.worker == link.worker_id
        )
        return capture.install(handler) if handler is not None else lambda: None

    def _make_listener(self, link: Link) -> Listener | None:
        if not self.options.listen:
            return None
        listener = Listener(self.options.listen_dsn or self.app.dsn, self.app.schema, link.queues)
        listener.on_control = link.beat_now
        link.listener_pid = lambda: listener.pid
        return listener

    def _make_stepper(self, link: Link, crew: Crew, outbox: Outbox, listener: Listener | None) -> Stepper:
        queues = self._queues()
        lanes = {queue: crew.lanes(queue) for queue in queues}
        rounds = Rounds(lanes, queues, strict=self.options.strict and bool(self.options.queues))
        quarantine = Quarantine(list(queues), link, only=self.options.only_suspects, ask=self._ask_for_quarantine)
        stepper = Stepper(self.app, self.options, link, crew, outbox, rounds, quarantine, listener)
        link.running = crew.running
        link.holds = crew.holds
        link.on_undone = lambda jobs: crew.stop_jobs(jobs, "lease lost")
        link.on_lost = stepper.lost
        link.on_cancel = lambda jobs: crew.stop_jobs(jobs, "cancelled")
        crew.on_end = stepper.ended
        crew.on_given_up = self._be_replaced
        if listener is not None:
            listener.on_wake = stepper.wake
        return stepper

    def _catch_up(self, stepper: Stepper) -> None:
        """What was asked for before there was anything to ask."""
        if self._quiet:
            stepper.quiet()
        for _ in range(self._stops):
            stepper.stop()
