"""Supervises the worker processes of one command: starts them, watches that they live, replaces them, and passes
signals on.

It touches no database and runs no handler, so that nothing a job does can stop it. Each child says on a pipe that its
loop turns; one that has not done so for a lease is killed, its jobs are rescued by the others.

    TERM, INT   drain all; a second one hands back at once        HUP   replace the processes one by one
    TSTP        claim nothing more                                USR1  dump stacks
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pgqueue.worker.child_process import ChildProcess
from pgqueue.worker.desk import Desk
from pgqueue.worker.ports import Ports
from pgqueue.worker.settings import RECYCLED

if TYPE_CHECKING:
    from types import FrameType

    from pgqueue.worker.options import WorkerOptions

log = logging.getLogger(__name__)

STARTUP_FAILURES = frozenset({2, 3, 4, 5})
RESTART_FIRST_SECONDS = 0.2
RESTART_MOST_SECONDS = 10.0
HEALTHY_SECONDS = 2.0  # a child that lived this long starts the restart backoff anew
GRACE_SECONDS = 3.0  # beyond the shutdown timeout, before a child is killed
START_SECONDS = 60.0
RELOAD_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class FleetOptions:
    """A command's worth of worker processes."""

    app: str
    dsn: str
    schema: str
    worker: WorkerOptions
    processes: int = 1
    debug: bool = False
    reload: bool = False
    log_level: str | None = "info"
    log_format: str | None = "console"
    ports: Ports = field(default_factory=Ports)


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
        }
        self._desk = Desk(options.ports, options.worker.lease_seconds) if options.ports else None
        self._children: list[ChildProcess] = []
        self._selector = selectors.DefaultSelector()
        self._stopping = 0
        self._kill_at = float("inf")
        self._status = 0
        self._proven = False  # a child has become ready: what fails from now on is tried again
        self._restart_at: list[float] = []
        self._failures = 0
        self._quarantine_at = 0.0
        self._quarantine_failures = 0
        self._rolling: list[ChildProcess] = []
        self._received: list[int] = []
        self._quiet = False
        self._started_at = time.time()
        self._reload_at = 0.0

    def run(self) -> int:
        """Supervise until the last child has ended."""
        wake_r, wake_w = os.pipe()
        os.set_blocking(wake_w, False)
        previous_wakeup = signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        self._selector.register(wake_r, selectors.EVENT_READ)
        previous = {number: signal.signal(number, self._signal) for number in self._signals()}
        try:
            if self._desk is not None:
                self._desk.open()
            self._start()
            for _ in range(self._options.processes - 1):
                self._start(wait=True)  # the first one alone says what is wrong with the app or the database
            while self._children or self._restart_at:
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
            if self._desk is not None:
                self._desk.close()
            self._selector.close()
            os.close(wake_r)
            os.close(wake_w)
        return self._status

    @staticmethod
    def _signals() -> tuple[signal.Signals, ...]:
        return (signal.SIGTERM, signal.SIGINT, signal.SIGTSTP, signal.SIGHUP, signal.SIGUSR1)

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
        self._restart_at.clear()
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
        child.start()
        if self._desk is not None:
            self._desk.admit(child)
        self._children.append(child)
        self._selector.register(child.status_fd, selectors.EVENT_READ, child)

    def _heard(self, child: ChildProcess) -> None:
        events = child.read()
        if b"R" in events:
            log.info("worker process ready", extra={"pid": child.pid})
            self._became_ready(child)
        if b"S" in events and self._may_quarantine():
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

    def _look_after(self, now: float) -> None:
        for child in list(self._children):
            status = child.ended()
            if status is not None:
                self._children.remove(child)
                self._selector.unregister(child.status_fd)
                child.close()
                self._ended(child, status, now)
            elif child.silent_for(now) > (self._options.worker.lease_seconds if child.ready else START_SECONDS):
                log.error("a worker process makes no progress and is killed", extra={"pid": child.pid})
                child.kill()
        if now >= self._kill_at:
            for child in self._children:
                log.error("a worker process did not stop in time and is killed", extra={"pid": child.pid})
                child.kill()
                self._status = self._status or 1
        while self._restart_at and now >= self._restart_at[0]:
            self._restart_at.pop(0)
            self._start(linger_seconds=1.5 * self._options.worker.lease_seconds)  # what the dead one held is still due
        if self._options.reload and now >= self._reload_at:
            self._reload_at = now + RELOAD_SECONDS
            self._reload()

    def _ended(self, child: ChildProcess, status: int, now: float) -> None:
        if self._stopping:
            # Killed by TERM: it had not begun to work, or it would have drained.
            if status not in {0, RECYCLED, -signal.SIGTERM} and not child.killed:
                self._status = max(self._status, status if status > 0 else 1)
            return
        if child.dismissed or (status == 0 and self._options.worker.burst and not child.only_suspects):
            return
        if child.only_suspects:
            self._quarantine_ended(child, status, now)
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
        self._failures = 0 if now - child.started_at > HEALTHY_SECONDS else self._failures + 1
        delay = min(RESTART_FIRST_SECONDS * 2 ** min(self._failures, 10), RESTART_MOST_SECONDS)
        log.error(
            "a worker process ended and is started again",
            extra={"pid": child.pid, "status": status, "in_seconds": delay},
        )
        self._restart_at.append(now + delay)
        self._restart_at.sort()

    def _may_quarantine(self) -> bool:
        there = any(child.only_suspects for child in self._children)
        return not there and not self._stopping and time.monotonic() >= self._quarantine_at

    def _quarantine_ended(self, child: ChildProcess, status: int, now: float) -> None:
        """The process for suspects is done, or was killed by one of them: that is its purpose. One that cannot even
        start is tried again ever more slowly.
        """
        if child.ready:
            self._quarantine_failures = 0
            log.info("the process for suspects has ended", extra={"pid": child.pid, "status": status})
            return
        self._quarantine_failures += 1
        delay = min(RESTART_FIRST_SECONDS * 2 ** min(self._quarantine_failures, 10), RESTART_MOST_SECONDS)
        self._quarantine_at = now + delay
        log.error("the process for suspects cannot start", extra={"status": status, "again_in_seconds": delay})

    def _reload(self) -> None:
        """Replace the processes when a source file below the current directory has changed."""
        newest = max(
            (path.stat().st_mtime for path in Path.cwd().rglob("*.py") if ".venv" not in path.parts), default=0.0
        )
        if newest > self._started_at:
            self._started_at = newest
            self._roll()
