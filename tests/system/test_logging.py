"""The log of a fleet, in both formats, and what `pgq jobs show` prints of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import App
from tests.support.command import pgq
from tests.support.jobs import KINDS
from tests.support.jobs import app as jobs

if TYPE_CHECKING:
    import psycopg

ROOT = str(Path(__file__).parents[2])
pytestmark = pytest.mark.system


@pytest.fixture
def shop(dsn: str) -> Iterator[App]:
    jobs.configure(dsn=dsn, schema="pgqueue")
    yield jobs
    jobs.close()


def work(dsn: str, **variables: str) -> str:
    done = pgq("work", "tests.support.jobs:app", "--burst", PGQ_DSN=dsn, PYTHONPATH=ROOT, **variables)
    assert done.status == 0, done.err
    return done.err


def test_every_line_of_every_kind_of_handler_is_an_object_with_its_job(shop: App, dsn: str) -> None:
    ids = {shop.tasks[f"say.{kind}"].enqueue(lines=["hello", "token=abc"]).id: kind for kind in KINDS}

    lines = [json.loads(line) for line in work(dsn, PGQ_LOG_FORMAT="json", PGQ_LOG_LEVEL="debug").splitlines()]

    said = [line for line in lines if line["logger"] == "shop.spoken"]
    assert sorted((line["job"], line["task"], line["message"]) for line in said) == sorted(
        (job, f"say.{kind}", message) for job, kind in ids.items() for message in ("hello", "token=***")
    )
    assert {(line["queue"], line["attempt"], line["level"]) for line in said} == {("default", 1, "info")}
    (worker,) = {line["worker"] for line in said}
    assert any(line["message"] == "registered" and line["worker"] == worker for line in lines)


def test_the_console_says_the_same_and_the_job_shows_its_lines(shop: App, dsn: str) -> None:
    job = shop.tasks["say.cpu"].enqueue(lines=["hello \x1b[31m", "password: abc"]).id

    err = work(dsn)
    shown = pgq("jobs", "show", str(job), PGQ_DSN=dsn).out
    as_json = pgq("jobs", "show", str(job), "--json", PGQ_DSN=dsn).json["logs"]

    assert f"shop.spoken: password: *** job={job} task=say.cpu queue=default attempt=1 worker=" in err
    assert "\x1b" not in err + shown
    assert "log of attempt 1:\n" in shown
    assert "INFO    shop.spoken: password: ***\n" in shown
    assert [(one["attempt"], [line["message"] for line in one["lines"]]) for one in as_json] == [
        (1, ["hello \x1b[31m", "password: ***"])
    ]


def test_capturing_can_be_off(shop: App, dsn: str, conn: "psycopg.Connection[Any]") -> None:
    for kind in ("async", "cpu"):
        shop.tasks[f"say.{kind}"].enqueue(lines=["hello"])

    assert work(dsn, PGQ_CAPTURE_LOGS="off").count("shop.spoken: hello") == 2

    assert conn.execute("select count(*) from pgqueue.attempt_logs").fetchone() == (0,)


def test_a_level_that_is_none_is_usage(dsn: str) -> None:
    done = pgq("work", "tests.support.jobs:app", "--capture-logs", "loud", PGQ_DSN=dsn)

    assert done.status == 2
    assert done.err.startswith("pgq: capture_logs: must be one of debug, info, warning, error, critical, off")
