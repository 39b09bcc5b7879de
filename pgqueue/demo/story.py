"""What happens in the demo, scene by scene, and in the end whether every promise was kept.

Everything that is started here ends here, in the reverse order, whether the story ends well, badly, or by a signal:
workers, mail server, schemas or the throw-away server, temporary files.
"""

from __future__ import annotations

import csv
import random
import signal
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgqueue.demo import checks, fleet, shop
from pgqueue.demo.fleet import Fleet
from pgqueue.demo.show import Show
from pgqueue.demo.smtp import MailServer
from pgqueue.demo.world import World, world
from pgqueue.errors import PgQueueError
from pgqueue.schema import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from psycopg import Connection
    from rich.console import Console

VISITORS = 150
LINES = 10_000
UPLOADED_TWICE = 2_000
PATIENCE_SECONDS = 60.0  # then the checks say what is missing
LOOK_SECONDS = 0.2
SETTLE_SECONDS = 0.1  # for what a frozen worker had sent before
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_LEFT = "select count(*) from pgqueue.jobs where state not in ('succeeded', 'cancelled', 'dead')"
_POISON = "select state, attempt from pgqueue.jobs where queue = 'photos'"
_BUSIEST = """
select w.id, w.pid, count(j.id) as jobs
from pgqueue.workers w join pgqueue.jobs j on j.worker_id = w.id and j.state = 'running' and j.queue = 'import'
where w.alive group by w.id, w.pid order by jobs desc limit 1"""
_HELD = "select count(*) from pgqueue.jobs where worker_id = %s and state = 'running'"


class Stopped(KeyboardInterrupt):
    """A signal asked the demo to end; a KeyboardInterrupt, so that psycopg cancels what it waits for."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def play(
    dsn: str | None, *, console: Console | None, before_checks: Callable[[Connection[Any]], None] | None = None
) -> int:
    """Play the whole demo and return its exit status."""
    show = Show(console)
    try:
        with _signals(), ExitStack() as stack:
            show.say("a database ...")
            made, conn = stack.enter_context(world(dsn))
            show.say(f"migrated: {made.server}")
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgq-demo-")))
            with show:
                Story(show, made, conn, folder).tell()
            if before_checks is not None:
                before_checks(conn)
            return 0 if _verdicts(show, made, conn) else 1
    except Stopped as stopped:
        show.say("stopped; everything was cleaned up", style="yellow")
        return 128 + stopped.number


class Story:
    """The scenes, in the order in which they are told."""

    def __init__(self, show: Show, made: World, conn: Connection[Any], folder: Path) -> None:
        self._show = show
        self._made = made
        self._conn = conn
        self._folder = folder
        self._committed = 0
        self._poisonous = True

    def tell(self) -> None:
        """Let it all happen."""
        shop.app.configure(dsn=self._made.dsn, schema=self._made.schema)
        with MailServer(_refusals) as mail:
            variables = {shop.SMTP_PORT: str(mail.port)}
            with Fleet(self._made, log=self._folder / "workers.log", **variables) as workers:
                self._show.say(f"workers: {fleet.COMMAND}")
                self._sign_ups()
                self._poison()
                self._upload()
                self._wait(workers, mail, until=lambda imported, _: imported >= LINES // 2)
                self._kill_a_worker(workers)
                self._wait(workers, mail, until=lambda _, left: not left)
            self._show.say("nothing is left to do; the workers were told to stop, and did")
            self._testify(mail)

    def _sign_ups(self) -> None:
        """Every third visitor leaves in the middle: their transaction is rolled back."""
        for number in range(VISITORS):
            email, stays = _email(number), number % 3 != 0
            self._conn.execute("insert into demo.visitors values (%s, %s)", [email, stays])
            with suppress(shop.ChangedMind):
                shop.sign_up(self._conn, email, stays=stays)
                self._committed += 1
        self._show.say(
            f"sign-ups: {self._committed} committed, {VISITORS - self._committed} rolled back, "
            "each with its mail in the same transaction"
        )

    def _poison(self) -> None:
        job = shop.resize_photo.using(conn=self._conn).enqueue("holiday.jpg")
        self._show.say(f"a poison job ({job.id}): whatever worker runs it dies at once")

    def _upload(self) -> None:
        """The first upload breaks off; the second one is complete."""
        file = _price_list(self._folder / "prices.csv")
        statement = "copy demo.price_list from stdin (format csv, header)"
        with self._conn.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(file.read_bytes())
        for _ in shop.import_price_list(self._conn, file, first=UPLOADED_TWICE):
            pass
        done = 0
        for count in shop.import_price_list(self._conn, file):
            done += count
            self._show.bar("lines enqueued", done, LINES)
        self._show.say(f"a price list of {LINES:,} lines, a job each; the first {UPLOADED_TWICE:,} were uploaded twice")

    def _kill_a_worker(self, workers: Fleet) -> None:
        """Kill a worker with jobs in hand: it is frozen first, so that what it holds can be counted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            workers.check()
            row = self._ask(_BUSIEST)
            if row is None or not fleet.freeze(row[1]):
                time.sleep(SETTLE_SECONDS / 10)
                continue
            time.sleep(SETTLE_SECONDS)
            held = self._ask(_HELD, [row[0]])[0]
            if held:
                fleet.kill(row[1])
                self._conn.execute("insert into demo.killed_workers values (%s, %s, %s)", [row[0], row[1], held])
                self._show.say(f"kill -9 {row[1]}: a worker with {held} jobs in hand", style="yellow")
                return
            fleet.thaw(row[1])
        raise PgQueueError(f"no worker was found at work to be killed; they said:\n{workers.last_words()}")

    def _wait(self, workers: Fleet, mail: MailServer, *, until: Callable[[int, int], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            workers.check()
            left, imported = self._ask(_LEFT)[0], self._ask("select count(*) from demo.imported")[0]
            self._show.bar("mails accepted", mail.count(accepted=True), self._committed)
            self._show.bar("lines imported", imported, LINES)
            self._watch_poison()
            if until(imported, left):
                return
            time.sleep(LOOK_SECONDS)
        self._show.say(f"gave up waiting; the workers said:\n{workers.last_words()}", style="red")

    def _watch_poison(self) -> None:
        if self._poisonous and (found := self._ask(_POISON)) and found[0] == "dead":
            self._poisonous = False
            self._show.say(f"the poison job is a dead letter, after {found[1]} attempts", style="yellow")

    def _testify(self, mail: MailServer) -> None:
        """Put the mail server's log where the checks can see it."""
        with self._conn.cursor() as cursor, cursor.copy("copy demo.smtp_log from stdin") as copy:
            for delivery in mail.log:
                message_id = delivery.mail and delivery.mail["Message-ID"]
                copy.write_row([delivery.email, delivery.code, message_id, delivery.at])

    def _ask(self, sql: Any, params: list[Any] | None = None) -> Any:
        return self._conn.execute(render(sql, self._made.schema), params).fetchone()


def _email(number: int) -> str:
    return f"visitor-{number:03}@example.invalid"


def _refusals(email: str) -> int:
    """Refuse every fifth visitor once, every tenth twice."""
    number = int(email[len("visitor-") :].partition("@")[0])
    return 2 if number % 10 == 0 else int(number % 5 == 0)


def _price_list(file: Path) -> Path:
    """Write the CSV; commas, quotes and accents included."""
    draw = random.Random(7)  # noqa: S311 - prices, not secrets
    with file.open("w", newline="", encoding="utf-8") as lines:
        rows = csv.writer(lines)
        rows.writerow(["line", "sku", "name", "price"])
        for line in range(1, LINES + 1):
            name = draw.choice(['Screw, "long"', "Écrou", "Hammer; heavy", "Дюбель", "Nail"])
            rows.writerow([line, f"SKU-{line:05}", name, f"{draw.randrange(1, 100_000) / 100:.2f}"])
    return file


def _verdicts(show: Show, made: World, conn: Connection[Any]) -> bool:
    verdicts = checks.run(conn, made.schema)
    for verdict in verdicts:
        show.verdict(verdict)
    text, columns, rows = checks.outcomes(conn, made.schema)
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
def _signals() -> Iterator[None]:
    """Turn the first of the signals that end programs into Stopped, and ignore the rest while things are cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    before = {each: signal.signal(each, stop) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
