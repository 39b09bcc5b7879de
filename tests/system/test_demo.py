"""`pgq demo` tells its story, leaves nothing behind, and would notice if it were not true."""

import io
import os
import signal
import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from email.message import EmailMessage
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.console import Console

from pgqueue import demo
from pgqueue.demo import checks
from pgqueue.demo.bureau import BURST, Bureau, score
from pgqueue.demo.nights import change_after
from pgqueue.demo.payments import Payments
from pgqueue.demo.signup import SignUps
from pgqueue.demo.smtp import MailServer
from pgqueue.demo.story import CHAPTERS, promises
from pgqueue.demo.world import MARK, OWN_QUEUE, world
from pgqueue.errors import ConfigError
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(180)]

PGQ = [sys.executable, "-c", "from pgqueue.cli import main; main()"]
SCHEMAS = "select array_agg(nspname::text order by 1) from pg_namespace where nspname !~ '^pg_'"
WORKERS = (
    "select count(*) from pg_stat_activity where application_name like 'pgq work%' and datname = current_database()"
)

# What could have gone wrong, by chapter, and which of its promises, by their place, are then broken.
DAMAGE: dict[str, dict[str, tuple[str, set[int]]]] = {
    "signup": {
        "a mail was never sent": (
            "delete from demo.smtp_log where email = 'visitor-001@example.invalid'",
            {0},
        ),
        "a second mail instead of the same one again": (
            "insert into demo.smtp_log select email, 250, 'another', now() from demo.signups limit 1",
            {0},
        ),
        "a sign-up was lost": (
            "delete from demo.signups where email = 'visitor-001@example.invalid'",
            {0},
        ),
        "a mail to somebody who left": (
            "insert into demo.smtp_log values ('visitor-000@example.invalid', 250, 'one', now())",
            {1},
        ),
        "a job of somebody who left": (
            """select pgqueue_demo.enqueue('anything', '{"email": "visitor-000@example.invalid"}', queue => 'mail')""",
            {1, 6},
        ),
        "a refused mail was given up": (
            "delete from demo.smtp_log where email = 'visitor-005@example.invalid' and code = 250",
            {0, 2},
        ),
        "a line was imported twice": (
            "insert into demo.imported select line, sku, name, price from demo.imported where line = 5000",
            {3},
        ),
        "a line was not imported": (
            "delete from demo.imported where line = 5000",
            {3},
        ),
        "a line was imported wrongly": (
            "update demo.imported set price = price + 1 where line = 5000",
            {3},
        ),
        "no worker was killed": (
            "delete from demo.killed_workers",
            {4},
        ),
        "the poison job is back": (
            "select pgqueue_demo.redrive(queue => 'photos')",
            {5, 6},
        ),
    },
    "video": {
        "a file is not what the film was": (
            "update demo.media set faithful = false where file = 'harbour.gif'",
            {0},
        ),
        "a file was never made": (
            "delete from demo.media where file = 'harbour.gif'",
            {0},
        ),
        "people were told twice": (
            "insert into demo.notices select film, transcript, thumbnails from demo.notices limit 1",
            {1},
        ),
        "nobody was told": (
            "delete from demo.notices where film = 'harbour'",
            {1},
        ),
        "something else was heard": (
            "update demo.notices set transcript = 'The sheep leaves at dawn.' where film = 'harbour'",
            {1},
        ),
        "there were no films": (
            "delete from demo.films",
            {0, 1, 2},
        ),
    },
    "accounts": {
        "an account is still there": (
            "insert into demo.accounts values (7, 'Person 7', false)",
            {0},
        ),
        "an order of a deleted account is left": (
            (
                "alter table demo.orders drop constraint orders_account_id_fkey; "
                "insert into demo.orders values (7, 'glue')"
            ),
            {0},
        ),
        "a file of a deleted account is left": (
            "insert into demo.account_files values (7)",
            {0},
        ),
        "an account that was to stay is gone": (
            "delete from demo.orders where account_id = 230; delete from demo.accounts where id = 230",
            {0},
        ),
        "an order of one who stays is gone": (
            "delete from demo.orders where account_id = 230 and item = 'glue'",
            {0},
        ),
        "a callback ran twice": (
            (
                "insert into demo.deletion_reports "
                "select batch, event, accounts_left, at from demo.deletion_reports limit 1"
            ),
            {1},
        ),
        "a callback did not run": (
            "delete from demo.deletion_reports where batch = 'contested' and event = 'failed'",
            {1},
        ),
        "the wrong callback ran": (
            "update demo.deletion_reports set event = 'success' where batch = 'contested' and event = 'failed'",
            {1},
        ),
        "a callback ran before the last deletion had ended": (
            "update demo.deletion_reports set at = at - interval '1 hour' where event = 'success'",
            {1},
        ),
    },
    "nights": {
        "a night was left out": (
            "delete from demo.daily_sales where day = (select day from demo.calendar where changes)",
            {0},
        ),
        "a night came twice": (
            "insert into demo.daily_sales select day, sales, amount, tick from demo.daily_sales limit 1",
            {0},
        ),
        "the day of 23 or 25 hours was cut at the wrong ends": (
            "update demo.daily_sales set sales = 24 where day = (select day from demo.calendar where changes)",
            {0},
        ),
        "a night had a job too many": (
            "select pgqueue_demo.enqueue('anything', queue => 'nights')",
            {0},
        ),
    },
    "payments": {
        "a card was charged twice": (
            (
                "insert into demo.ledger (purchase_id, entry, goods, money) "
                "select purchase_id, entry, goods, money from demo.ledger where purchase_id = 1 and entry = 'charge'"
            ),
            {0},
        ),
        "a purchase was not sent": (
            "delete from demo.ledger where purchase_id = 1 and entry = 'courier'",
            {0},
        ),
        "a refund never came": (
            "delete from demo.ledger where purchase_id = 3 and entry = 'refund'",
            {1},
        ),
        "what was done was undone in the order in which it was done": (
            (
                "update demo.ledger set entry = case entry when 'refund' then 'release' else 'refund' end "
                "where purchase_id = 3 and entry in ('refund', 'release')"
            ),
            {1},
        ),
    },
    "api": {
        "a request within the limit was refused": (
            "update demo.api_log set status = 429, score = null where person = 'person-7' and api_key = 'careful'",
            {1, 3},
        ),
        "the server refuses nobody": (
            "delete from demo.api_log where status = 429",
            {0},
        ),
        "a request was never made": (
            "delete from demo.api_log where person = 'person-7' and api_key = 'careful'",
            {1, 3},
        ),
        "the limit let all go at once": (
            "update demo.api_log set at_seconds = at_seconds / 100 where api_key = 'careful'",
            {1},
        ),
        "too many were started in a second": (
            "update pgqueue_demo.finished_jobs set started_at = date_trunc('day', started_at) where queue = 'api'",
            {2},
        ),
        "a job returned another score": (
            "update demo.api_log set score = score + 1 where person = 'person-7' and api_key = 'careful'",
            {3},
        ),
    },
}


def broken_promises(conn: psycopg.Connection[Any]) -> set[tuple[str, int]]:
    return {
        (chapter, place)
        for chapter in CHAPTERS
        for place, verdict in enumerate(checks.run(conn, OWN_QUEUE, promises([chapter])))
        if not verdict.holds
    }


def damage_everything(conn: psycopg.Connection[Any]) -> None:
    """Do each damage by itself, see what the checks make of it, and undo it."""
    assert broken_promises(conn) == set()
    for chapter, damages in DAMAGE.items():
        for name, (statement, expected) in damages.items():
            with conn.transaction(force_rollback=True):
                conn.execute(statement.encode())

                broken = broken_promises(conn)

            assert broken == {(chapter, place) for place in expected}, name
    conn.execute("delete from demo.imported where line = 1")


def environment(**variables: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}
    return clean | variables


@contextmanager
def demo_at_work(conn: psycopg.Connection[Any], dsn: str, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A demo in the user's database, from the moment at which its workers are at work."""
    env = environment(PGQ_DSN=dsn, TMPDIR=str(tmp_path))
    with subprocess.Popen([*PGQ, "demo"], env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: conn.execute(WORKERS).fetchone() != (0,), timeout=30)
            yield process
        finally:
            process.kill()


def test_the_demo_keeps_its_promises_on_a_server_of_its_own(tmp_path: Path) -> None:
    begun, others = time.monotonic(), os.getloadavg()[0] / (os.cpu_count() or 1)

    done = subprocess.run(
        [*PGQ, "demo"], env=environment(TMPDIR=str(tmp_path)), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"all {len(promises())} promises were kept" in done.stdout
    assert done.stdout.count("\nok ") == len(promises())
    assert "\x1b" not in done.stdout, "plain lines in a pipe"
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - begun < 30 * (1 + others), "30 s, and what others on this machine took from it"


@pytest.mark.parametrize("chapter", list(CHAPTERS)[1:])
def test_a_chapter_can_be_played_by_itself(chapter: str, dsn: str, tmp_path: Path) -> None:
    env = environment(PGQ_DSN=dsn, TMPDIR=str(tmp_path))

    done = subprocess.run([*PGQ, "demo", "--only", chapter], env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"all {len(promises([chapter]))} promises were kept" in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_chapter_that_there_is_not_is_an_error() -> None:
    done = subprocess.run(
        [*PGQ, "demo", "--only", "video,cooking"], env=environment(), capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (
        2,
        'pgq: the demo has no chapter "cooking"; there are signup, video, accounts, nights, payments, api\n',
    )


def test_a_broken_promise_is_noticed_and_the_users_database_is_left_as_it_was(
    dsn: str, conn: psycopg.Connection[Any]
) -> None:
    mine = conn.execute("select pgqueue.enqueue('mine')").fetchone()
    before = conn.execute(SCHEMAS).fetchone()

    status = demo.run(dsn, console=Console(file=io.StringIO()), before_checks=damage_everything)

    assert status == 1
    assert conn.execute(SCHEMAS).fetchone() == before
    assert conn.execute("select id from pgqueue.jobs where state = 'ready'").fetchall() == [mine]
    assert conn.execute(WORKERS).fetchone() == (0,)


def test_an_interrupted_demo_cleans_up(dsn: str, conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    before = conn.execute(SCHEMAS).fetchone()

    with demo_at_work(conn, dsn, tmp_path) as process:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "cleaned up" in said
    assert conn.execute(SCHEMAS).fetchone() == before
    assert conn.execute(WORKERS).fetchone() == (0,)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_came_during_a_finalizer_is_not_forgotten(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    def begin(_: Payments) -> None:
        Gone()

    monkeypatch.setattr(Payments, "begin", begin)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    assert demo.run(dsn, only=["payments"], console=Console(quiet=True)) == 128 + signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_the_workers_of_a_killed_demo_end_and_the_next_demo_drops_its_schemas(
    dsn: str, conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    before = conn.execute(SCHEMAS).fetchone()

    with demo_at_work(conn, dsn, tmp_path) as process:
        process.kill()
        process.wait()

    wait_until(lambda: conn.execute(WORKERS).fetchone() == (0,), timeout=60)
    assert conn.execute(SCHEMAS).fetchone() != before
    with world(dsn, *SignUps.tables):
        assert conn.execute("select count(*) from demo.visitors").fetchone() == (0,)
    assert conn.execute(SCHEMAS).fetchone() == before


@pytest.mark.parametrize("name", ["demo", OWN_QUEUE])
def test_a_schema_of_somebody_else_is_not_touched(name: str, dsn: str, conn: psycopg.Connection[Any]) -> None:
    conn.execute(f'create schema "{name}"')

    with pytest.raises(ConfigError, match=f'schema "{name}"'):
        demo.run(dsn, console=Console(quiet=True))

    assert conn.execute("select count(*) from pg_namespace where nspname = %s", [name]).fetchone() == (1,)


def test_a_demo_waits_for_the_session_of_one_that_was_killed(dsn: str) -> None:
    with psycopg.connect(dsn) as killed:
        killed.execute("select pg_advisory_lock(hashtextextended('pgq demo', 0))")
        ends = threading.Timer(1, killed.close)
        ends.start()

        with world(dsn, *SignUps.tables) as (made, _):
            assert made.schema == OWN_QUEUE
        ends.join()


def test_two_demos_do_not_share_a_database(dsn: str, conn: psycopg.Connection[Any]) -> None:
    with world(dsn), pytest.raises(ConfigError, match="another"):
        demo.run(dsn, console=Console(quiet=True))

    assert conn.execute("select obj_description(to_regnamespace('demo'))").fetchone() != (MARK,)


def deliver(server: MailServer, address: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Message-ID"] = "shop@example.invalid", address, "<1@example.invalid>"
    with smtplib.SMTP("127.0.0.1", server.port, local_hostname="localhost", timeout=5) as client:
        client.send_message(mail)


def test_the_mail_server_refuses_at_first_and_takes_it_later() -> None:
    refusals: Callable[[str], int] = {"ada@example.invalid": 1}.get  # type: ignore[assignment]
    with MailServer(lambda address: refusals(address) or 0) as server:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            deliver(server, "ada@example.invalid")
        deliver(server, "ada@example.invalid")
        deliver(server, "bob@example.invalid")

    assert refused.value.recipients["ada@example.invalid"][0] == 450
    assert [(entry.email[:3], entry.code) for entry in server.log] == [("ada", 450), ("ada", 250), ("bob", 250)]
    assert server.log[1].mail is not None
    assert server.log[1].mail["Message-ID"] == "<1@example.invalid>"


def ask_score(server: Bureau, key: str) -> tuple[int, bytes]:
    client = HTTPConnection("127.0.0.1", server.port, timeout=5)
    client.request("GET", "/scores/ada", headers={"X-Api-Key": key})
    answer = client.getresponse()
    status, body = answer.status, answer.read()
    client.close()
    return status, body


def test_the_bureau_refuses_who_asks_too_often_and_nobody_else() -> None:
    with Bureau() as server:
        answers = [ask_score(server, "hasty") for _ in range(3 * BURST)]
        other = ask_score(server, "other")

    assert [status for status, _ in answers[:BURST]] == [200] * BURST
    assert 429 in {status for status, _ in answers}
    assert other == (200, str(score("ada")).encode())
    assert [(entry.key, entry.status) for entry in server.log if entry.key == "hasty"] == [
        ("hasty", status) for status, _ in answers
    ]


@pytest.mark.parametrize(
    ("day", "change"), [("2026-11-22", "2027-03-28"), ("2027-03-27", "2027-03-28"), ("2027-03-28", "2027-10-31")]
)
def test_the_month_is_the_one_in_which_the_clocks_change(day: str, change: str) -> None:
    assert change_after(date.fromisoformat(day)) == date.fromisoformat(change)
