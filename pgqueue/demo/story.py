"""What happens in the demo, chapter by chapter, and in the end whether every promise was kept.

Everything that is started here ends here, in the reverse order, whether the story ends well, badly, or by a signal:
workers, servers, schemas or the throw-away server, temporary files.
"""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgqueue.demo import checks
from pgqueue.demo.accounts import Deletions
from pgqueue.demo.api import Scores
from pgqueue.demo.company import FOLDER, app
from pgqueue.demo.fleet import Fleet
from pgqueue.demo.nights import Nights
from pgqueue.demo.payments import Payments
from pgqueue.demo.show import Show
from pgqueue.demo.signup import SignUps
from pgqueue.demo.stage import Stage
from pgqueue.demo.video import Videos
from pgqueue.demo.world import world
from pgqueue.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import FrameType

    from psycopg import Connection
    from rich.console import Console

    from pgqueue.demo.stage import Chapter

CHAPTERS: Mapping[str, type[Chapter]] = {
    "signup": SignUps,
    "video": Videos,
    "accounts": Deletions,
    "nights": Nights,
    "payments": Payments,
    "api": Scores,
}
COMMAND = "pgq work pgqueue.demo.services:app --processes 2 -q video,payments,nights,api,accounts -c 20"
PATIENCE_SECONDS = 60.0  # then the checks say what is missing
LOOK_SECONDS = 0.2
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal asked the demo to end; a KeyboardInterrupt, so that psycopg cancels what it waits for."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def play(
    dsn: str | None,
    *,
    only: Sequence[str] = (),
    console: Console | None,
    before_checks: Callable[[Connection[Any]], None] | None = None,
) -> int:
    """Play these chapters, all if none is named, and return the exit status. Raises ConfigError for an unknown one."""
    chapters = _chosen(only)
    show = Show(console)
    try:
        with _signals() as check, ExitStack() as stack:
            show.say("a database ...")
            made, conn = stack.enter_context(world(dsn, *(sql for name in chapters for sql in CHAPTERS[name].tables)))
            show.say(f"migrated: {made.server}")
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgq-demo-")))
            stage = Stage(show, made, conn, folder, check)
            with show:
                _perform(stage, [CHAPTERS[name](stage) for name in chapters])
            if before_checks is not None:
                before_checks(conn)
            return 0 if _verdicts(stage, chapters) else 1
    except Stopped as stopped:
        show.say("stopped; everything was cleaned up", style="yellow")
        return 128 + stopped.number


def promises(chapters: Iterable[str] = CHAPTERS) -> list[checks.Check]:
    """Return what these chapters promise."""
    return [check for name in chapters for check in CHAPTERS[name].checks]


def _chosen(only: Sequence[str]) -> tuple[str, ...]:
    if unknown := [name for name in only if name not in CHAPTERS]:
        raise ConfigError(f'the demo has no chapter "{unknown[0]}"; there are {", ".join(CHAPTERS)}')
    return tuple(name for name in CHAPTERS if not only or name in only)


def _perform(stage: Stage, chapters: Sequence[Chapter]) -> None:
    """Let them begin one after the other, and go on together."""
    app.configure(dsn=stage.made.dsn, schema=stage.made.schema)
    workers = Fleet(COMMAND, stage.made, log=stage.folder / "services.log")
    with ExitStack() as servers:
        for chapter in chapters:
            if isinstance(chapter, SignUps):  # has workers of its own, some of which it kills
                chapter.open(servers)
                chapter.begin()
        services = [chapter for chapter in chapters if not isinstance(chapter, SignUps)]
        if services:
            _start(stage, services, workers, servers)
        _wait(stage, workers, chapters)
    stage.show.say("nothing is left to do; the workers were told to stop, and did")
    for chapter in chapters:
        chapter.testify()


def _start(stage: Stage, services: Sequence[Chapter], workers: Fleet, servers: ExitStack) -> None:
    for chapter in services:
        workers.add(**chapter.open(servers), **{FOLDER: str(stage.folder)})
    servers.enter_context(workers)
    stage.show.say(f"workers: {COMMAND}")
    for chapter in services:
        chapter.begin()


def _wait(stage: Stage, workers: Fleet, chapters: Sequence[Chapter]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    playing = list(chapters)
    while playing := [chapter for chapter in playing if chapter.go_on()]:
        workers.check()
        if time.monotonic() > deadline:
            stage.show.say(f"gave up waiting; the workers said:\n{workers.last_words()}", style="red")
            return
        time.sleep(LOOK_SECONDS)


def _verdicts(stage: Stage, chapters: Sequence[str]) -> bool:
    show = stage.show
    verdicts = checks.run(stage.conn, stage.made.schema, promises(chapters))
    for verdict in verdicts:
        show.verdict(verdict)
    text, columns, rows = checks.outcomes(stage.conn, stage.made.schema)
    show.line()
    show.line("What the attempts came to", style="bold")
    for line in text.splitlines():
        show.line(f"         {line}", style="dim")
    show.table(columns, rows)
    show.line()
    broken = sum(not verdict.holds for verdict in verdicts)
    if broken:
        show.say(f"{broken} of {len(verdicts)} promises were broken", style="bold red")
    else:
        show.say(f"all {len(verdicts)} promises were kept", style="bold green")
    return not broken


@contextmanager
def _signals() -> Iterator[Callable[[], None]]:
    """Turn the first of the signals that end programs into Stopped, and ignore the rest while things are cleaned up.

    What is lent raises it again: when a signal comes during a finalizer, Python throws away what its handler raises.
    """
    told: list[int] = []

    def check() -> None:
        if told:
            raise Stopped(told[0])

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        told.append(number)
        check()

    if threading.current_thread() is not threading.main_thread():
        yield check
        return

    before = {each: signal.signal(each, stop) for each in _SIGNALS}
    try:
        yield check
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
