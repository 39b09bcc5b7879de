"""What handlers log: it carries their job, and is kept with their attempts."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from pgqueue import App
from pgqueue.logs import JobFilter
from tests.support.jobs import KINDS, QUICKLY
from tests.support.waiting import wait_until
from tests.worker.conftest import Jobs, Start

log = logging.getLogger("shop")


class Heard(logging.Handler):
    """Keeps the records of the shop's loggers."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def heard() -> Iterator[Heard]:
    handler = Heard()
    handler.addFilter(JobFilter())
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield handler
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def kept(conn: "psycopg.Connection[Any]", job: int) -> list[tuple[int, list[str]]]:
    """The messages of each attempt, as the view shows them."""
    rows = conn.execute(
        "select attempt, lines from pgqueue.attempt_logs where job_id = %s order by attempt, logged_at", [job]
    )
    return [(attempt, [line.get("message", line) for line in lines]) for attempt, lines in rows.fetchall()]


@pytest.mark.parametrize("kind", KINDS)
def test_what_any_kind_of_handler_logs_is_kept_with_its_attempt(
    jobs_app: App, start: Start, the: Jobs, conn: "psycopg.Connection[Any]", kind: str
) -> None:
    handle = jobs_app.tasks[f"say.{kind}"].enqueue(lines=["one", "token=abc"])

    start(jobs_app)
    the.wait(handle, "succeeded")

    assert kept(conn, handle.id) == [(1, ["one", "token=***"])]


def test_records_carry_their_job_in_tasks_and_threads_that_a_handler_starts(
    app: App, start: Start, the: Jobs, heard: Heard
) -> None:
    @app.task(name="walk", queue="feet")
    async def walk() -> None:
        log.info("self")
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(log.info, "thread"))

    handle = walk.enqueue()
    worker = start(app)
    the.wait(handle, "succeeded")

    for record in heard.records:
        said = {name: getattr(record, name) for name in ("job", "task", "queue", "attempt", "worker")}
        assert said == {"job": handle.id, "task": "walk", "queue": "feet", "attempt": 1, "worker": worker.id}
    assert [record.getMessage() for record in heard.records] == ["self", "thread"]


def test_what_a_handler_left_behind_is_not_taken_for_the_next_job(
    app: App, start: Start, the: Jobs, conn: "psycopg.Connection[Any]", heard: Heard
) -> None:
    go = threading.Event()
    left: list[Any] = []

    async def ghost() -> None:
        while not go.is_set():  # noqa: ASYNC110 - set by another job's thread of control
            await asyncio.sleep(0.001)
        log.info("boo")

    @app.task
    async def leaves() -> None:
        left.append(asyncio.create_task(ghost()))

    @app.task
    async def meets() -> None:
        log.info("here")
        go.set()
        await left[0]

    first = leaves.enqueue()
    start(app, concurrency=1)
    the.wait(first, "succeeded")
    second = meets.enqueue()
    the.wait(second, "succeeded")

    assert [(record.getMessage(), record.job) for record in heard.records] == [("here", second.id), ("boo", first.id)]  # type: ignore[attr-defined]
    assert kept(conn, second.id) == [(1, ["here"])]
    assert kept(conn, first.id) == []  # its attempt was settled before


def test_each_attempt_has_its_own_lines(app: App, start: Start, the: Jobs, conn: "psycopg.Connection[Any]") -> None:
    @app.task(max_attempts=3, backoff=QUICKLY)
    async def fails(ctx: Any) -> None:
        log.warning("try %s", ctx.attempt)
        raise ValueError("no")

    handle = fails.enqueue()
    start(app)
    the.wait(handle, "dead")

    assert kept(conn, handle.id) == [(1, ["try 1"]), (2, ["try 2"]), (3, ["try 3"])]


def test_handlers_that_log_nothing_leave_no_row(
    app: App, start: Start, the: Jobs, conn: "psycopg.Connection[Any]"
) -> None:
    @app.task(max_attempts=1)
    async def fails() -> None:
        log.debug("below the level")
        raise ValueError("no")

    handle = fails.enqueue()
    start(app)
    the.wait(handle, "dead")

    assert conn.execute("select count(*) from pgqueue.attempt_lines").fetchone() == (0,)


def test_a_task_says_from_which_level_on(app: App, start: Start, the: Jobs, conn: "psycopg.Connection[Any]") -> None:
    @app.task(capture_logs="debug")
    async def talks() -> None:
        log.debug("fine")

    @app.task(capture_logs="off")
    async def silent() -> None:
        log.error("loud")

    jobs = [talks.enqueue(), silent.enqueue()]
    start(app, capture_logs="error")
    for job in jobs:
        the.wait(job, "succeeded")

    assert [kept(conn, job.id) for job in jobs] == [[(1, ["fine"])], []]


def test_capturing_off_installs_nothing(app: App, start: Start) -> None:
    before = list(logging.getLogger().handlers)

    start(app, capture_logs="off")

    assert logging.getLogger().handlers == before


def test_lines_of_an_attempt_that_completed_in_its_own_transaction(
    app: App, start: Start, the: Jobs, dsn: str, conn: "psycopg.Connection[Any]"
) -> None:
    @app.task
    def pays(ctx: Any) -> None:
        log.info("paying")
        with psycopg.connect(dsn) as own:
            ctx.complete(own)

    handle = pays.enqueue()
    start(app)
    the.wait(handle, "succeeded")
    wait_until(lambda: kept(conn, handle.id) == [(1, ["paying"])])


def test_the_last_words_of_a_process_that_is_killed(
    jobs_app: App, start: Start, the: Jobs, conn: "psycopg.Connection[Any]"
) -> None:
    handle = jobs_app.tasks["say.killed"].enqueue(lines=["going", "gone"])

    start(jobs_app)
    the.wait(handle, "dead")

    assert kept(conn, handle.id) == [(1, ["going", "gone"])]


def test_a_zombies_lines_are_nobodys(
    app: App, start: Start, the: Jobs, conn: "psycopg.Connection[Any]", connect: Any
) -> None:
    began, go = threading.Event(), threading.Event()

    @app.task
    def slow() -> None:
        log.info("from the grave")
        began.set()
        go.wait(20)

    handle = slow.enqueue()
    worker = start(app)
    assert began.wait(20)
    conn.execute("update pgqueue.queued_jobs set token = token + 2, attempt = attempt + 1 where id = %s", [handle.id])
    go.set()
    worker.stop()
    worker.join()

    assert kept(conn, handle.id) == []


def test_lines_that_the_database_refuses_do_not_hold_their_job_up(
    app: App, start: Start, the: Jobs, conn: "psycopg.Connection[Any]"
) -> None:
    conn.execute("alter table pgqueue.attempt_lines add constraint bad check (attempt < 0)")

    @app.task
    async def talks() -> int:
        log.info("hello")
        return 7

    handle = talks.enqueue()
    start(app)
    the.wait(handle, "succeeded")

    assert kept(conn, handle.id) == []


def test_removing_a_job_removes_its_lines(app: App, start: Start, the: Jobs, conn: "psycopg.Connection[Any]") -> None:
    @app.task
    async def talks() -> None:
        log.info("hello")

    handle = talks.enqueue()
    start(app)
    the.wait(handle, "succeeded")
    conn.execute("select pgqueue.remove(%s)", [handle.id])

    assert kept(conn, handle.id) == []
