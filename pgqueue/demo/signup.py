"""Chapter one: sign-ups and their mails, a poison job, a price list, and a worker that is killed half way."""

from __future__ import annotations

import csv
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pgqueue.demo import fleet, shop
from pgqueue.demo.checks import Check
from pgqueue.demo.fleet import Fleet
from pgqueue.demo.smtp import MailServer
from pgqueue.demo.stage import Chapter
from pgqueue.errors import PgQueueError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from pgqueue.demo.stage import Stage

VISITORS = 150
LINES = 10_000
UPLOADED_TWICE = 2_000
PATIENCE_SECONDS = 60.0  # then the checks say what is missing
LOOK_SECONDS = 0.2
COMMAND = "pgq work pgqueue.demo.shop:app --processes 2 --lease 2 -q mail,photos,import -c 50"
SETTLE_SECONDS = 0.1  # for what a frozen worker had sent before

_LEFT = """
select count(*) from pgqueue.jobs
where queue in ('mail', 'photos', 'import') and state not in ('succeeded', 'cancelled', 'dead')"""
_POISON = "select state, attempt from pgqueue.jobs where queue = 'photos'"
_BUSIEST = """
select w.id, w.pid, count(j.id) as jobs
from pgqueue.workers w join pgqueue.jobs j on j.worker_id = w.id and j.state = 'running' and j.queue = 'import'
where w.alive group by w.id, w.pid order by jobs desc limit 1"""
_HELD = "select count(*) from pgqueue.jobs where worker_id = %s and state = 'running'"

# What the outside world knows, for the checks: who came, what the file said, whom the mail server answered what.
WITNESSES = """
create table demo.visitors (email text primary key, stays boolean not null);
create table demo.price_list (line integer not null, sku text not null, name text not null, price numeric not null);
create table demo.smtp_log (email text not null, code integer not null, message_id text, at timestamptz not null);
create table demo.killed_workers (worker_id bigint not null, pid integer not null, jobs_in_hand bigint not null);
"""

CHECKS = (
    Check(
        "Each committed sign-up got its mail",
        """
        select count(*) > 0 and bool_and(s.id is not null and coalesce(m.messages, 0) = 1),
               format('%s sign-ups, %s of them mailed, %s of these more than once',
                      count(s.id), count(m.mails), count(*) filter (where m.mails > 1))
        from demo.visitors v
        left join demo.signups s using (email)
        left join (select email, count(*) as mails, count(distinct message_id) as messages
                   from demo.smtp_log where code = 250 group by email) m using (email)
        where v.stays""",
    ),
    Check(
        "No sign-up that was rolled back left a trace",
        """
        select count(*) > 0 and count(s.id) + count(j.id) + count(m.email) = 0,
               format('%s rolled back: %s rows, %s jobs, %s mails', count(*), count(s.id), count(j.id), count(m.email))
        from demo.visitors v
        left join demo.signups s using (email)
        left join pgqueue.jobs j on j.queue = 'mail' and j.args ->> 'email' = v.email
        left join demo.smtp_log m on m.email = v.email
        where not v.stays""",
    ),
    Check(
        "Each mail that the server refused was tried again until it was taken",
        """
        select count(*) > 0 and bool_and(taken),
               format('%s refusals to %s addresses, %s taken in the end; %s attempts failed, backed off and came back',
                      sum(refusals), count(*), count(*) filter (where taken),
                      (select count(*) from pgqueue.attempts a join pgqueue.jobs j on j.id = a.job_id
                       where a.outcome = 'failed' and j.queue = 'mail'))
        from (select email, count(*) filter (where code <> 250) as refusals, bool_or(code = 250) as taken
              from demo.smtp_log group by email) m
        where refusals > 0""",
    ),
    Check(
        "Each line of the price list was imported exactly once, through a kill -9",
        """
        select count(l.line) > 0 and bool_and(l.line is not null and coalesce(i.times, 0) = 1),
               format('%s lines in the file, %s imported as they are there, %s more than once, %s that are not in it',
                      count(l.line), count(*) filter (where l.line is not null and i.times > 0),
                      count(*) filter (where i.times > 1), count(*) filter (where l.line is null))
        from demo.price_list l
        full join (select line, sku, name, price, count(*) as times from demo.imported group by 1, 2, 3, 4) i
          using (line, sku, name, price)""",
    ),
    Check(
        "What the killed worker held was finished by others",
        """
        select count(*) > 0 and bool_and(j.state in ('succeeded', 'dead')) and not bool_or(w.alive),
               format('worker %s, pid %s, was killed with %s jobs in hand: %s attempts were lost, %s of these ended',
                      min(k.worker_id), min(k.pid), min(k.jobs_in_hand), count(*),
                      count(*) filter (where j.state in ('succeeded', 'dead')))
        from demo.killed_workers k
        join pgqueue.workers w on w.id = k.worker_id
        join pgqueue.attempts a on a.worker_id = k.worker_id and a.outcome = 'lost'
        join pgqueue.jobs j on j.id = a.job_id""",
    ),
    Check(
        "The poison job, which kills every worker that runs it, is in the dead letters",
        """
        select count(*) > 1 and bool_and(j.state = 'dead'),
               format('job %s is %s after %s attempts, each of which took a worker with it: %s',
                      min(j.id), min(j.state), count(a.attempt), min(j.error ->> 'message'))
        from pgqueue.jobs j
        join pgqueue.attempts a on a.job_id = j.id
        where j.queue = 'photos'""",
    ),
    Check(
        "Every other job succeeded, and nothing is left over",
        """
        select count(*) > 0 and bool_and(state = case when queue = 'photos' then 'dead' else 'succeeded' end),
               format('%s jobs: %s succeeded, %s dead, %s in any other state', count(*),
                      count(*) filter (where state = 'succeeded'), count(*) filter (where state = 'dead'),
                      count(*) filter (where state not in ('succeeded', 'dead')))
        from pgqueue.jobs where queue in ('mail', 'photos', 'import')""",
    ),
)


class SignUps(Chapter):
    """The scenes, in the order in which they are told. Its workers are its own: nobody else's jobs die with them."""

    tables = (shop.TABLES, WITNESSES)
    checks = CHECKS

    def __init__(self, stage: Stage) -> None:
        """Take the stage."""
        super().__init__(stage)
        self._show = stage.show
        self._conn = stage.conn
        self._mail = MailServer(_refusals)
        self._workers = Fleet(COMMAND, stage.made, log=stage.folder / "shop.log")
        self._committed = 0
        self._poisonous = True

    def open(self, servers: ExitStack) -> Mapping[str, str]:
        """Start the mail server, and workers."""
        made = self.stage.made
        shop.app.configure(dsn=made.dsn, schema=made.schema)
        servers.enter_context(self._mail)
        self._workers.add(**{shop.SMTP_PORT: str(self._mail.port)})
        servers.enter_context(self._workers)
        self._show.say(f"workers: {COMMAND}")
        return {}

    def begin(self) -> None:
        """Let it all happen, until a worker was killed half way."""
        self._sign_ups()
        self._poison()
        self._upload()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self._look()[1] < LINES // 2:
            time.sleep(LOOK_SECONDS)
        self._kill_a_worker()

    def go_on(self) -> bool:
        """Look at mails, lines and the poison job."""
        return self._look()[0] > 0

    def testify(self) -> None:
        """Put the mail server's log where the checks can see it."""
        with self._conn.cursor() as cursor, cursor.copy("copy demo.smtp_log from stdin") as copy:
            for delivery in self._mail.log:
                message_id = delivery.mail and delivery.mail["Message-ID"]
                copy.write_row([delivery.email, delivery.code, message_id, delivery.at])

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
        file = _price_list(self.stage.folder / "prices.csv")
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

    def _kill_a_worker(self) -> None:
        """Kill a worker with jobs in hand: it is frozen first, so that what it holds can be counted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            self._workers.check()
            row = self.stage.ask(_BUSIEST)
            if row is None or not fleet.freeze(row[1]):
                time.sleep(SETTLE_SECONDS / 10)
                continue
            time.sleep(SETTLE_SECONDS)
            held = self.stage.ask(_HELD, [row[0]])[0]
            if held:
                fleet.kill(row[1])
                self._conn.execute("insert into demo.killed_workers values (%s, %s, %s)", [row[0], row[1], held])
                self._show.say(f"kill -9 {row[1]}: a worker with {held} jobs in hand", style="yellow")
                return
            fleet.thaw(row[1])
        raise PgQueueError(f"no worker was found at work to be killed; they said:\n{self._workers.last_words()}")

    def _look(self) -> tuple[int, int]:
        """Move the bars; returns how many jobs are left, and how many lines are imported."""
        self._workers.check()
        imported = self.stage.ask("select count(*) from demo.imported")[0]
        left = LINES - imported or self.stage.ask(_LEFT)[0]  # the history is asked in the end only: it is longer
        self._show.bar("mails accepted", self._mail.count(accepted=True), self._committed)
        self._show.bar("lines imported", imported, LINES)
        self._watch_poison()
        return left, imported

    def _watch_poison(self) -> None:
        if self._poisonous and (found := self.stage.ask(_POISON)) and found[0] == "dead":
            self._poisonous = False
            self._show.say(f"the poison job is a dead letter, after {found[1]} attempts", style="yellow")


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
