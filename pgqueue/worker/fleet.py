"""Supervises the worker processes of one command: starts them, watches that they live, replaces them, and passes
signals on.

It waits for no database and runs no handler, so that nothing a job does can stop it (what scaling reads, a thread asks
for: scaler.py). Each child says on a pipe that its loop turns; one that has not done so for a lease is killed, its jobs
are rescued by the others.

    TERM, INT   drain all; a second one hands back at once        HUP   replace the processes one by one
    TSTP        claim nothing more                                USR1  dump stacks
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pgqueue.worker.child_process import ChildProcess
from pgqueue.worker.coroner import Coroner
from pgqueue.worker.desk import Desk
from pgqueue.worker.restarts import Restarts, Spares
from pgqueue.worker.scaler import Scaler, regular
from pgqueue.worker.settings import RECYCLED
from pgqueue.worker.sources import Sources

if TYPE_CHECKING:
    from types import FrameType

    from pgqueue.worker.fleet_options import FleetOptions

log = logging.getLogger(__name__)

STARTUP_FAILURES = frozenset({2, 3, 4, 5})
GRACE_SECONDS = 3.0  # beyond the shutdown timeout, before a child is killed
START_SECONDS = 60.0
PAUSED_SECONDS = 1.0  # a supervisor that has not looked for so long stood still itself, maybe with all of its machine
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGTSTP, signal.SIGHUP, signal.SIGUSR1)


def run(options: FleetOptions) -> int:
    """Run the fleet until it is told to stop, or all is done. Returns the exit status of the contract."""
    return Fleet(options).run()


class Fleet:
    """The supervisor."""

    def __init__(self, options: FleetOptions) -> None:
        self._options = options
        self._settings = {
            "app": options.app,
            "dsn": options.dsn,
            "schema": options.schema,
            "cwd": str(Path.cwd()),
            "debug": options.debug,
            "log_level": options.log_level,
            "log_format": options.log_format,
            "reports": bool(options.ports),
            "scaled": options.scaling is not None,
        }
        self._scaler = self._make_scaler()
        self._desk = Desk(options.ports, options.worker.lease_seconds) if options.ports else None
        self._children: list[ChildProcess] = []
        self._coroner = Coroner(lambda: self._children, options.worker.lease_seconds)
        self._selector = selectors.DefaultSelector()
        self._stopping = 0
        self._kill_at = float("inf")
        self._status = 0
        self._proven = False  # a child has become ready: what fails from now on is tried again
        self._restarts = Restarts()
        self._spares = Spares()
        self._rolling: list[ChildProcess] = []
        self._received: list[int] = []
        self._quiet = False
        self._sources = Sources()
        self._looked_at = time.monotonic()

    def run(self) -> int:
        """Supervise until the last child has ended."""
        wake_r, wake_w = os.pipe()
        os.set_blocking(wake_w, False)
        previous_wakeup = signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        self._selector.register(wake_r, selectors.EVENT_READ)
        previous = {number: signal.signal(number, self._signal) for number in SIGNALS}
        services = [service for service in (self._desk, self._scaler) if service is not None]
        try:
            for service in services:
                service.open()
            self._start()
            for _ in range(self._options.processes - 1):
                self._start(wait=True)  # the first one alone says what is wrong with the app or the database
            while self._children or self._restarts:
                for key, _ in self._selector.select(timeout=0.1):
                    if key.fd == wake_r:
                        os.read(wake_r, 4096)
                    else:
                        self._heard(key.data)
                while self._received:
                    self._obey(self._received.pop(0))
                self._look_after(time.monotonic())
        finally:
            for child in self._children:
                child.kill()
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(previous_wakeup)
            for service in services:
                service.close()
            self._selector.close()
            os.close(wake_r)
            os.close(wake_w)
        return self._status

    def _make_scaler(self) -> Scaler | None:
        given = self._options
        if given.scaling is None:
            return None
        return Scaler(given.scaling, given.worker, dsn=given.dsn, schema=given.schema, processes=given.processes)

    def _signal(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)  # obeyed between two looks, not in the middle of starting a child

    def _obey(self, number: int) -> None:
        match number:
            case signal.SIGTERM | signal.SIGINT:
                self._stop()
            case signal.SIGHUP:
                self._roll()
            case _:
                self._quiet = self._quiet or number == signal.SIGTSTP
                for child in self._children:
                    if child.ready:  # before that it would be killed by it
                        child.send(signal.Signals(number))

    def _stop(self) -> None:
        self._stopping += 1
        self._restarts.drop()
        self._rolling.clear()
        timeout = self._options.worker.shutdown_timeout_seconds if self._stopping == 1 else 0.0
        self._kill_at = min(self._kill_at, time.monotonic() + timeout + GRACE_SECONDS)
        for child in self._children:
            child.send(signal.SIGTERM)

    def _roll(self) -> None:
        """Replace the processes one by one: each goes when its successor is ready."""
        log.info("replacing the processes one by one")
        leaving = [child.replaces for child in self._children if child.replaces is not None]
        self._rolling = [
            child for child in self._children if not (child.only_suspects or child.dismissed or child in leaving)
        ]
        if not leaving:
            self._roll_next()

    def _roll_next(self) -> None:
        while self._rolling and not self._stopping:
            old = self._rolling.pop(0)
            if old in self._children and not old.dismissed:
                self._start(replaces=old)
                return

    # Children.

    def _start(
        self,
        *,
        only_suspects: bool = False,
        replaces: ChildProcess | None = None,
        wait: bool = False,
        linger_seconds: float = 0.0,
    ) -> None:
        worker = asdict(self._options.worker) | {"only_suspects": only_suspects, "linger_seconds": linger_seconds}
        settings = self._settings | {"options": worker, "wait": wait}
        child = ChildProcess(settings, only_suspects=only_suspects, replaces=replaces)
        try:
            child.start()
        except OSError as error:
            if not self._proven:
                raise
            self._not_started(child, error)
            return
        if self._desk is not None:
            self._desk.admit(child)
        self._children.append(child)
        self._selector.register(child.status_fd, selectors.EVENT_READ, child)

    def _not_started(self, child: ChildProcess, error: OSError) -> None:
        """The system gave no process, memory or descriptor: those that are there go on, and it is tried again."""
        log.error("a worker process could not be started", extra={"error": str(error)})
        if child.only_suspects:
            self._spares.ended(child, 1, time.monotonic())
        elif child.replaces is not None:
            self._rolling.clear()
        else:
            self._restarts.plan(child, 1, time.monotonic())

    def _heard(self, child: ChildProcess) -> None:
        events = child.read()
        if b"R" in events:
            log.info("worker process ready", extra={"pid": child.pid})
            self._became_ready(child)
        if self._scaler is not None:
            self._scaler.heard(child, events)
        if b"X" in events and not (self._stopping or child.only_suspects or child.dismissed):
            self._start(replaces=child)
        if b"S" in events:
            self._start_spare()

    def _start_spare(self) -> None:
        if not self._stopping and self._spares.may_start(self._children, time.monotonic()):
            self._start(only_suspects=True)

    def _became_ready(self, child: ChildProcess) -> None:
        if not self._proven:
            self._proven = True
            for waiting in self._children:
                if waiting.waits:
                    waiting.go()
        if self._quiet:
            child.send(signal.SIGTSTP)
        if child.replaces is not None:
            child.replaces.dismiss()
            child.replaces = None
            self._roll_next()

    def _excuse(self, now: float) -> None:
        missed, self._looked_at = now - self._looked_at, now
        if missed > PAUSED_SECONDS:
            for child in self._children:
                child.excuse(missed)

    def _look_after(self, now: float) -> None:
        self._excuse(now)
        for child in list(self._children):
            status = child.ended()
            if status is not None:
                self._children.remove(child)
                self._selector.unregister(child.status_fd)
                self._coroner.ended(child, status)
                child.close()
                self._ended(child, status, now)
            elif child.silent_for(now) > (self._options.worker.lease_seconds if child.ready else START_SECONDS):
                self._coroner.silent(child, child.silent_for(now))
                child.kill()
            elif self._coroner.doubts(child, now) and not self._options.worker.burst:
                self._start_spare()
        self._coroner.deliver(now)
        if now >= self._kill_at:
            for child in self._children:
                log.error("a worker process did not stop in time and is killed", extra={"pid": child.pid})
                child.kill()
                self._status = self._status or 1
        for _ in range(self._restarts.take(now)):
            self._start(linger_seconds=1.5 * self._options.worker.lease_seconds)  # what the dead one held is still due
        if self._options.reload and self._sources.changed(now):
            self._roll()
        if self._scaler is not None and not (self._stopping or self._quiet):
            self._resize(self._scaler)

    def _resize(self, scaler: Scaler) -> None:
        """Start or let go as many processes as are missing or too many."""
        there = regular(self._children)
        scaler.look(there)
        missing = scaler.wanted - len(there) - len(self._restarts)
        for _ in range(missing):
            self._start(wait=not self._proven)
        for child in scaler.spare(there, -missing - self._restarts.drop(-missing)):
            child.dismiss()

    def _ended(self, child: ChildProcess, status: int, now: float) -> None:
        if self._stopping:
            # Killed by TERM: it had not begun to work, or it would have drained.
            if status not in {0, RECYCLED, -signal.SIGTERM} and not child.killed:
                self._status = max(self._status, status if status > 0 else 1)
            return
        if child.dismissed or (status == 0 and self._options.worker.burst and not child.only_suspects):
            return
        if child.only_suspects:
            self._spares.ended(child, status, now)
            return
        if any(other.replaces is child for other in self._children):
            return  # its successor is on its way
        if not self._proven and status in STARTUP_FAILURES:
            self._status = status
            self._stop()
            return
        if child.replaces in self._children:
            log.error("a successor did not start; the old processes stay", extra={"pid": child.pid, "status": status})
            self._rolling.clear()
            return
        if status == RECYCLED:
            self._start()
            return
        self._restarts.plan(child, status, now)
