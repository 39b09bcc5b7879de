"""The entry of one worker process: loads the app, runs the loop, turns signals into requests, tells the supervisor
how it is.

Started by `fleet.py` with its settings as JSON in the environment and a pipe on which it writes one byte per event: `R`
ready, `.` alive, `S` suspects wait, `X` another has to take its place, `I<id>;` its id in the database; and what
`pulse.py` tells of its load. On another pipe come findings about other processes, to be recorded, a JSON object a line
(coroner.py); its end means that the
supervisor is gone: then it drains.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue.errors import AppImportError, ConfigError, DatabaseUnavailable, MigrationsPending, VersionTooOld
from pgqueue.telling import place_of
from pgqueue.worker import logs
from pgqueue.worker.alarm import Alarm
from pgqueue.worker.load import load_app
from pgqueue.worker.options import WorkerOptions
from pgqueue.worker.pulse import Pulse
from pgqueue.worker.reporter import Reporter
from pgqueue.worker.settings import RECYCLED, SETTINGS
from pgqueue.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pgqueue.app import App

log = logging.getLogger("pgqueue.worker.main")  # it is run as __main__

ALARM_PART = 0.5  # of the lease: so long may no Python run before all stacks are dumped without it
USAGE, APP, DATABASE, MIGRATIONS = 2, 3, 4, 5


def main() -> int:
    """Run one worker process. Returns its exit status."""
    settings = json.loads(os.environ.pop(SETTINGS))
    pipe = Pipe(settings["status_fd"], settings["lifeline_fd"])
    faulthandler.enable()
    try:
        if settings["log_level"]:
            logs.configure(settings["log_level"], settings["log_format"])
        if settings["wait"] and not pipe.may_go():
            return 0
        app = load_app(settings["app"], settings["cwd"])
        app.configure(dsn=settings["dsn"], schema=settings["schema"])
        logs.mask_with(app.masking)
        if settings["options"]["otel"]:
            from pgqueue.otel import instrument

            instrument(app)
        reporter = Reporter(settings["report_fd"]) if settings.get("reports") else None
        worker_options = WorkerOptions(**settings["options"])
        alarm = Alarm(settings["stacks_fd"], ALARM_PART * worker_options.lease_seconds)
        return run(app, worker_options, settings["app"], pipe, alarm, reporter, scaled=settings["scaled"])
    except Exception as error:  # noqa: BLE001 - the outermost edge: one line and a status
        if settings["debug"]:
            traceback.print_exc()
        return report(error)


def report(error: BaseException) -> int:
    """Say what is wrong in one line, and return the exit status that goes with it."""
    said = " ".join(str(error).split()) or type(error).__name__
    sys.stderr.write(f"pgq: {said}\n")
    match error:
        case AppImportError():
            return APP
        case ConfigError():
            return USAGE
        case DatabaseUnavailable() | psycopg.OperationalError():
            return DATABASE
        case MigrationsPending() | VersionTooOld():
            return MIGRATIONS
        case _:
            return 1


class Pipe:
    """The way to the supervisor."""

    def __init__(self, status_fd: int, lifeline_fd: int) -> None:
        self._status_fd = status_fd
        self.lifeline_fd = lifeline_fd
        os.set_blocking(status_fd, False)

    def tell(self, event: bytes) -> None:
        """Write an event; a supervisor that is gone or slow is no reason to stop."""
        try:
            os.write(self._status_fd, event)
        except (BlockingIOError, BrokenPipeError):
            log.debug("the supervisor does not listen")

    def may_go(self) -> bool:
        """Wait until the supervisor says so; False when it is gone."""
        return os.read(self.lifeline_fd, 1) != b""

    def watch(self, on_line: Callable[[dict[str, Any]], None], on_end: Callable[[], object]) -> None:
        """Call, from a thread, `on_line` with what the supervisor says, and `on_end` when it is gone."""
        threading.Thread(target=self._wait, args=(on_line, on_end), name="pgqueue-lifeline", daemon=True).start()

    def _wait(self, on_line: Callable[[dict[str, Any]], None], on_end: Callable[[], object]) -> None:
        with open(self.lifeline_fd, "rb", closefd=False) as lines:
            for line in lines:
                on_line(json.loads(line.removeprefix(b"g")))
        on_end()


def run(
    app: App,
    options: WorkerOptions,
    spec: str,
    pipe: Pipe,
    alarm: Alarm | None = None,
    reporter: Reporter | None = None,
    *,
    scaled: bool = False,
) -> int:
    """Check the database, then work until told to stop."""
    check_schema(app)

    def ready() -> None:
        if reporter is not None:
            reporter.turned()  # what holds the loop up from now on is lag
            reporter.report()
        pipe.tell(b"R")

    def alive() -> None:
        for turned in turns:
            turned()
        pipe.tell(b".")

    suspects = None if options.burst or options.only_suspects else lambda: pipe.tell(b"S")
    worker = Worker(
        app,
        options,
        app_spec=spec,
        on_ready=ready,
        on_alive=alive,
        on_suspects=suspects,
        on_stuck=lambda: pipe.tell(b"X"),
        on_registered=lambda worker_id: pipe.tell(b"I%d;" % worker_id),
        alarm=alarm,
    )
    turns = [reporter.turned] if reporter is not None else []
    if scaled:
        pulse = Pulse(lambda: worker.crew, pipe.tell)
        app.observers.add(pulse)
        turns.append(pulse.tick)

    async def work() -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        loop.add_signal_handler(signal.SIGTSTP, worker.quiet)
        loop.add_signal_handler(signal.SIGUSR1, dump_stacks)
        pipe.watch(worker.note, lambda: loop.call_soon_threadsafe(worker.stop))
        return await worker.run()

    if reporter is not None:
        reporter.watch(worker)
    try:
        with runner() as loop_runner:
            status = run_to_end(loop_runner.get_loop(), work())
    finally:
        if reporter is not None:
            reporter.close()
    return RECYCLED if worker.recycled and status == 0 else status


def run_to_end(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, int]) -> int:
    """Run the loop until the work is done, also through what handlers throw at it.

    asyncio lets SystemExit and KeyboardInterrupt of any task or callback through the loop, besides telling them to
    whoever awaits that task. Those of a handler are caught; those of a task that a handler started get here, and must
    not take the process down, with its neighbours, as often as the job is tried.
    """
    task = loop.create_task(work)
    while True:
        try:
            return loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt) as thrown:
            if task.done():
                raise
            log.error("something that a handler started wanted to end the worker", extra={"error": place_of(thrown)})


def runner() -> asyncio.Runner:
    """A runner with uvloop's loop where that is installed (the `speed` extra)."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def check_schema(app: App) -> None:
    """Raises DatabaseUnavailable, MigrationsPending or VersionTooOld."""
    from pgqueue import migrate

    if migrate.pending(app.dsn, app.schema):
        raise MigrationsPending(f'migrations of schema "{app.schema}" are pending: run `pgq migrate`')


def dump_stacks() -> None:
    """Write the stacks of all threads and tasks to stderr."""
    faulthandler.dump_traceback(all_threads=True)
    for task in asyncio.all_tasks():
        sys.stderr.write(f"Task {task.get_name()}:\n")
        awaiting: Any = task.get_coro()
        while (frame := getattr(awaiting, "cr_frame", None)) is not None:  # get_stack sees the outermost only
            sys.stderr.writelines(traceback.format_list(traceback.extract_stack(frame, limit=1)))
            awaiting = awaiting.cr_await
    sys.stderr.flush()


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # threads that are stuck in a handler must not keep the process
