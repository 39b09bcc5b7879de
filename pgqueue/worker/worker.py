"""One worker process: puts its parts together, starts them, and ends them in order. The path of a job is in
`stepper.py`.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from pgqueue import capture
from pgqueue.worker.alone import Quarantine
from pgqueue.worker.crew import Crew
from pgqueue.worker.link import Link
from pgqueue.worker.overseer import Overseer
from pgqueue.worker.rounds import Rounds
from pgqueue.worker.settle import Outbox
from pgqueue.worker.stepper import Stepper
from pgqueue.worker.vitals import Vitals, vitals
from pgqueue.worker.wake import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pgqueue.app import App
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
    ) -> None:
        """Take the settings; nothing is opened.

        `app_spec` (MODULE:APP) is needed for cpu tasks only. `on_suspects` asks a supervisor for a process that runs
        alone what has to run alone; without one this worker does it whenever it has nothing else.
        """
        self.app = app
        self.options = options
        self._app_spec = app_spec
        self._on_ready = on_ready
        self._on_alive = on_alive
        self._ask_for_quarantine = on_suspects
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
        crew = self.crew = Crew(self.app, self.options, outbox, link=link, app_spec=self._app_spec)
        listener = self._make_listener(link)
        stepper = self._stepper = self._make_stepper(link, crew, outbox, listener)
        self._vitals = partial(vitals, link, crew, stepper, self.options)
        overseer = Overseer(crew, link, self.options, on_alive=self._on_alive, recycle=stepper.recycle)
        services: list[asyncio.Task[None]] = []
        capturing = self._capture(link)
        try:
            await link.open()
            services.append(asyncio.create_task(overseer.run(), name="overseer"))
            if listener is not None:
                services.append(asyncio.create_task(listener.run(), name="listener"))
            self._on_ready()
            self._catch_up(stepper)
            await stepper.run()
        finally:
            for service in services:
                service.cancel()
            await asyncio.gather(*services, return_exceptions=True)
            if listener is not None:
                await listener.close()
            await crew.close()
            await link.close(outbox)
            if capturing is not None:
                logging.getLogger().removeHandler(capturing)
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

    def vitals(self) -> Vitals:
        """How it is. From any thread."""
        return self._vitals()

    @property
    def recycled(self) -> bool:
        """Whether it stopped because of max_jobs or max_memory: a supervisor starts another."""
        return self._stepper is not None and self._stepper.drain.recycled

    def _queues(self) -> Mapping[str, int]:
        """The queues to serve with their weights."""
        named = sorted({"default", *(task.queue for task in self.app.tasks.values())})
        return self.options.queues or dict.fromkeys(named, 1)

    def _capture(self, link: Link) -> logging.Handler | None:
        """Keep what handlers log, for their attempts; nothing when nobody wants it."""
        levels = (task.capture_level for task in self.app.tasks.values())
        handler = capture.handler_for(
            self.options.capture_logs, levels, self.app.masking, mine=lambda scope: scope.worker == link.worker_id
        )
        if handler is not None:
            logging.getLogger().addHandler(handler)
        return handler

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
        if listener is not None:
            listener.on_wake = stepper.wake
        return stepper

    def _catch_up(self, stepper: Stepper) -> None:
        """What was asked for before there was anything to ask."""
        if self._quiet:
            stepper.quiet()
        for _ in range(self._stops):
            stepper.stop()
