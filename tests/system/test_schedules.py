"""Schedules with real processes: the commands, and eight workers that tick while some of them are killed."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.sql.engine import column, scalar
from tests.support.command import pgq
from tests.support.fleet import Fleet
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
Conn = psycopg.Connection[Any]
Work = Callable[..., Fleet]
SECOND = timedelta(seconds=1)


def test_a_schedule_from_the_command_line(dsn: str, conn: Conn) -> None:
    add = ("schedules", "add", "nightly", "reports.build", "--cron", "0 2 * * *", "--timezone", "Europe/Berlin")
    made = pgq(*add, "--args", '{"n": 7}', "-q", "reports", "--missed", "all", "--missed-limit", "3", PGQ_DSN=dsn)
    assert (made.status, made.out, made.err) == (0, 'schedule "nightly" was created\n', "")
    again = pgq(*add, "--args", '{"n": 8}', "--json", PGQ_DSN=dsn)
    assert again.json == {"schedule": "nightly", "verdict": "changed"}
    assert pgq("schedules", "add", "often", "t", "--every", "90s", "--jitter", "5s", PGQ_DSN=dsn).status == 0

    ran = pgq("schedules", "run", "nightly", PGQ_DSN=dsn)
    query = "select task, args, queue, meta from pgqueue.jobs where id = %s"
    row = conn.execute(query, [int(ran.out)]).fetchone()
    assert row == ("reports.build", {"n": 8}, "default", {"schedule": "nightly"})
    assert pgq("schedules", "run", "nightly", "--json", PGQ_DSN=dsn).json["id"] == int(ran.out) + 1

    paused = [pgq("schedules", "pause", "nightly", PGQ_DSN=dsn).out for _ in range(2)]
    assert paused == ['schedule "nightly" is paused\n', 'schedule "nightly" is already paused\n']
    table = pgq("schedules", "ls", PGQ_DSN=dsn).out.splitlines()
    assert [line.split()[0] for line in table] == ["name", "nightly", "often"]
    assert "0 2 * * *" in table[1]
    assert "every 1m30s" in table[2]
    first, second = pgq("schedules", "ls", "--json", PGQ_DSN=dsn).json
    assert (first["name"], first["paused"], first["cron"], first["every"]) == ("nightly", True, "0 2 * * *", None)
    assert (second["every"], second["jitter"], second["error"]) == (90, 5, None)
    assert pgq("schedules", "resume", "nightly", "--json", PGQ_DSN=dsn).json["changed"] is True

    assert pgq("schedules", "rm", "nightly", PGQ_DSN=dsn).out == 'schedule "nightly" removed\n'
    assert column(conn, "select name from pgqueue.schedules") == ["often"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("add", "s", "t", "--cron", "0 25 * * *"), 2, 'cron "0 25 * * *": Bad hour'),
        (("add", "s", "t", "--cron", "@daily", "--timezone", "Mars/Base"), 2, 'timezone "Mars/Base"'),
        (("add", "s", "t"), 2, "--cron or --every"),
        (("add", "s", "t", "--cron", "@daily", "--every", "1h"), 2, "--cron or --every"),
        (("add", "s", "t", "--every", "10ms"), 2, "at least a second"),
        (("add", "s", "t", "--every", "1h", "--missed", "perhaps"), 2, "missed: must be skip, once or all"),
        (("add", "s", "t", "--every", "1h", "--args", "[]"), 2, "--args: must be a JSON object"),
        (("run", "s"), 1, 'there is no schedule "s"; there are none yet'),
        (("pause", "s"), 1, 'there is no schedule "s"'),
        (("resume", "s"), 1, 'there is no schedule "s"'),
        (("rm", "s"), 1, 'there is no schedule "s"'),
    ],
)
def test_what_the_commands_refuse(dsn: str, words: tuple[str, ...], status: int, said: str) -> None:
    refused = pgq("schedules", *words, PGQ_DSN=dsn)

    assert (refused.status, refused.out) == (status, "")
    assert said in refused.err
    assert refused.err.count("\n") == 1


def test_a_bad_expression_from_sql_is_shown(dsn: str, conn: Conn, work: Work) -> None:
    conn.execute("select pgqueue.schedule('bad', 'noop', cron => '0 25 * * *')")
    conn.execute("select pgqueue.schedule('good', 'noop', every => '1 s')")
    work().ready()

    wait_until(lambda: scalar(conn, "select count(*) from pgqueue.schedule_ticks") >= 2)

    listed = {row["name"]: row for row in pgq("schedules", "ls", "--json", PGQ_DSN=dsn).json}
    assert "Bad hour" in listed["bad"]["error"]
    assert listed["good"]["error"] is None
    assert "Bad hour" in pgq("schedules", "ls", PGQ_DSN=dsn).out


def test_pgq_work_declares_what_the_code_says(dsn: str, conn: Conn, work: Work, tmp_path: Path) -> None:
    (tmp_path / "cleaning.py").write_text(
        "from datetime import timedelta\nfrom pgqueue import App\napp = App()\n"
        '@app.schedule("0 2 * * *", timezone="Europe/Berlin", name="nightly", args={"days": 7})\n'
        '@app.schedule(every=timedelta(hours=1), name="hourly")\n'
        '@app.task(name="clean", queue="house")\ndef clean(days: int = 1) -> None: ...\n'
    )
    fleet = work(app="cleaning:app", cwd=tmp_path)
    fleet.ready()

    assert column(conn, "select name from pgqueue.schedules where in_code and queue = 'house' order by 1") == [
        "hourly",
        "nightly",
    ]
    wait_until(lambda: scalar(conn, "select bool_and(next_at > now()) from pgqueue.schedules"))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_i10_eight_processes_that_tick_and_are_killed_make_one_job_a_tick(conn: Conn, work: Work) -> None:
    behind = 3000
    make = "select pgqueue.schedule('often', 'noop', every => '1 s', missed => 'all', missed_limit => 10000)"
    conn.execute(make)
    fleet = work("--processes", "8", "-c", "20", "--lease", "3")
    fleet.ready(8, timeout=60)
    wait_until(lambda: scalar(conn, "select count(*) from pgqueue.schedule_ticks") >= 2, timeout=20)
    conn.execute("update pgqueue.job_schedules set next_at = next_at - make_interval(secs => %s)", [behind])

    killed, until = 0, time.monotonic() + 12
    while time.monotonic() < until:
        time.sleep(random.uniform(0.05, 0.8))  # some in the middle of the catch-up, which takes a second or two
        for pid in random.sample(fleet.workers(), min(2, len(fleet.workers()))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    wait_until(lambda: scalar(conn, "select next_at > now() from pgqueue.job_schedules"), timeout=30)
    conn.execute("select pgqueue.pause_schedule('often')")
    left = "select count(*) from pgqueue.jobs where state not in ('succeeded', 'dead')"
    wait_until(lambda: scalar(conn, left) == 0, timeout=60)

    ticks = column(conn, "select tick_at from pgqueue.schedule_ticks order by 1")
    told = "select meta ->> 'tick', count(*), min(id) from pgqueue.jobs group by 1 order by 1"
    jobs = conn.execute(told).fetchall()
    print(f"{len(ticks)} ticks, {sum(row[1] for row in jobs)} jobs, {killed} processes killed")
    assert killed > 10
    assert len(ticks) >= behind + 10
    assert ticks == [ticks[0] + n * SECOND for n in range(len(ticks))]
    assert [row[1] for row in jobs] == [1] * len(ticks)
    assert [row[2] for row in jobs] == column(conn, "select job_id from pgqueue.schedule_ticks order by tick_at")
    states = dict(conn.execute("select state, count(*) from pgqueue.jobs group by 1").fetchall())
    assert json.dumps(states) == json.dumps({"succeeded": len(ticks)})
