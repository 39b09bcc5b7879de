"""How running handlers are stopped: at their timeout, on request, and when the worker drains."""

import asyncio
import logging
import threading
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from pgqueue import App, Context
from pgqueue.errors import LeaseLost
from pgqueue.worker import crew
from tests.support.jobs import KINDS, QUICKLY
from tests.support.ledger import Ledger
from tests.support.waiting import wait_until
from tests.worker.conftest import Connect, Jobs, Start


def test_a_thread_that_was_told_to_stop_and_returns_nothing_has_not_done_its_work(
    app: App, start: Start, the: Jobs
) -> None:
    @app.task(timeout=timedelta(seconds=0.2), max_attempts=1)
    def stops(ctx: Context, answer: str | None) -> str | None:
        wait_until(lambda: ctx.cancelled)
        return answer

    nothing, done = stops.enqueue(None), stops.enqueue("done all the same")
    start(app)

    assert the.wait(nothing, "dead")["error"]["type"].endswith("TimedOut")
    assert the.wait(done, "succeeded")["result"] == "done all the same"


def test_an_async_handler_is_cancelled_at_its_timeout(app: App, start: Start, the: Jobs) -> None:
    seen: list[str] = []

    @app.task(timeout=timedelta(seconds=0.2), max_attempts=2, backoff=QUICKLY)
    async def slow() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    handle = slow.enqueue()
    start(app)

    dead = the.wait(handle, "dead")
    assert seen == ["cancelled", "cancelled"]
    assert dead["error"]["type"].endswith("TimedOut")
    assert "0.2 s" in dead["error"]["message"]
    assert "await asyncio.sleep(30)" in dead["error"]["traceback"]


def test_a_cpu_handler_is_killed_at_its_timeout(jobs_app: App, start: Start, the: Jobs, ledger: Ledger) -> None:
    task = jobs_app.tasks["hold.cpu"].using(timeout=timedelta(seconds=0.3), max_attempts=1)
    handle = task.enqueue(seconds=30)
    start(jobs_app)

    dead = the.wait(handle, "dead")

    assert dead["error"]["type"].endswith("TimedOut")
    run = ledger.read(job=handle.id)
    assert run[-1].kind == "alive"
    assert run[-1].at - run[0].at < 2
    assert the.wait(jobs_app.tasks["add.cpu"].enqueue(a=1, b=1), "succeeded")["result"] == 2


def test_a_thread_is_told_of_its_timeout(jobs_app: App, start: Start, the: Jobs, ledger: Ledger) -> None:
    task = jobs_app.tasks["hold.thread"].using(timeout=timedelta(seconds=0.2), max_attempts=1)
    handle = task.enqueue(seconds=30)
    start(jobs_app)

    assert the.wait(handle, "dead")["error"]["message"] == "told to stop: timeout"


def test_a_thread_over_its_timeout_that_does_not_listen_is_given_up_and_its_answer_refused(
    app: App, start: Start, the: Jobs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "STUCK_GRACE_SECONDS", 0.1)
    release, ended = threading.Event(), threading.Event()
    seen: list[str] = []

    @app.task(timeout=timedelta(seconds=0.1), max_attempts=2, backoff=QUICKLY)
    def deaf(ctx: Context) -> str:
        if ctx.attempt == 2:
            return "another"
        release.wait(20)
        try:
            with psycopg.connect(app.dsn) as conn:
                ctx.complete(conn, "a zombie's")
        except LeaseLost:
            seen.append("refused")
        ended.set()
        return "after all"

    handle = deaf.enqueue()
    with caplog.at_level(logging.ERROR):
        start(app, threads=1)
        the.wait(handle, "succeeded")  # while the only thread is still there
    release.set()
    assert ended.wait(10)

    assert seen == ["refused"]
    assert the.attempts(handle) == [(1, "failed"), (2, "succeeded")]
    assert the[handle]["result"] == "another"
    ((kind, jobs, stack),) = the.conn.execute("select kind, jobs, stack from pgqueue.worker_incidents").fetchall()
    assert (kind, jobs) == ("thread_overdue", [handle.id])
    assert "deaf" in stack.split("Event.wait")[1]
    error = the.errors(handle)[0]
    assert error is not None
    assert (error["type"], error["traceback"]) == ("TimedOut", stack)
    assert len([record for record in caplog.records if "stuck" in record.getMessage()]) == 1


def test_an_overdue_thread_that_holds_its_jobs_row_does_not_hold_up_the_outcomes_of_others(
    app: App, start: Start, the: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "STUCK_GRACE_SECONDS", 0.1)
    release, guarded = threading.Event(), threading.Event()

    @app.task(timeout=timedelta(seconds=0.3), max_attempts=1)
    def deaf(ctx: Context) -> None:
        with psycopg.connect(app.dsn) as conn:
            ctx.guard(conn)
            guarded.set()
            release.wait(30)

    @app.task
    async def other() -> None: ...

    handle = deaf.enqueue()
    start(app)
    assert guarded.wait(10)
    noted = "select count(*) from pgqueue.worker_incidents where kind = 'thread_overdue'"
    wait_until(lambda: the.conn.execute(noted).fetchall() == [(1,)])
    try:
        the.wait(other.enqueue(), "succeeded", 5)
        assert the[handle]["state"] == "running"
    finally:
        release.set()

    assert the.wait(handle, "dead")["error"]["type"] == "TimedOut"


def test_a_cancelled_thread_that_does_not_listen_is_reported_as_stuck(
    app: App, start: Start, the: Jobs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "STUCK_GRACE_SECONDS", 0.1)
    release = threading.Event()

    @app.task
    def deaf() -> None:
        release.wait(20)

    handle = deaf.enqueue()
    with caplog.at_level(logging.ERROR):
        start(app)
        the.wait(handle, "running")
        app.cancel(handle.id)
        try:
            wait_until(lambda: any("stuck" in record.getMessage() for record in caplog.records), 5)
        finally:
            release.set()

    (stuck,) = [record for record in caplog.records if "stuck" in record.getMessage()]
    assert "deaf" in stuck.__dict__["stack"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cancelled_job_stops_within_a_second(
    jobs_app: App, start: Start, the: Jobs, ledger: Ledger, kind: str
) -> None:
    handle = jobs_app.tasks[f"hold.{kind}"].enqueue()
    start(jobs_app)
    wait_until(lambda: ledger.read("alive"))

    began = time.monotonic()
    found = jobs_app.cancel(handle.id)

    cancelled = the.wait(handle, "cancelled")
    assert found == "running"
    assert time.monotonic() - began < 1
    assert cancelled["error"]["message"] == "cancelled on request"
    assert the.attempts(handle) == [(1, "cancelled")]
    assert ledger.read()[-1].at < began + 1


def test_a_cpu_job_that_is_cancelled_while_its_process_starts_is_not_run(
    jobs_app: App, start: Start, the: Jobs, ledger: Ledger
) -> None:
    handle = jobs_app.tasks["hold.cpu"].enqueue(seconds=5)
    start(jobs_app)
    the.wait(handle, "running")

    jobs_app.cancel(handle.id)

    the.wait(handle, "cancelled", timeout=4)
    assert len(ledger.read("alive")) < 50


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_job_that_is_claimed_and_not_started_can_be_cancelled(app: App, start: Start, the: Jobs, kind: str) -> None:
    ran: list[int] = []

    @app.task(name="async")
    async def one(number: int, seconds: float) -> None:
        ran.append(number)
        await asyncio.sleep(seconds)

    @app.task(name="thread")
    def one_thread(number: int, seconds: float) -> None:
        ran.append(number)
        time.sleep(seconds)

    worker = start(app, threads=1, concurrency=1)
    assert worker.worker._stepper is not None
    worker.worker._stepper._crew.room = lambda pool: 2  # type: ignore[method-assign] # claims take more than can start
    first, second = (app.tasks[kind].enqueue(number=number, seconds=0.7) for number in (1, 2))
    the.wait(first, "running")
    the.wait(second, "running")

    app.cancel(second.id)

    the.wait(second, "cancelled")
    the.wait(first, "succeeded")
    assert ran == [1]


def test_a_cancel_that_comes_after_success_changes_nothing(app: App, start: Start, the: Jobs) -> None:
    @app.task
    async def quick() -> int:
        return 1

    handle = quick.enqueue()
    start(app)
    the.wait(handle, "succeeded")

    assert app.cancel(handle.id) == "succeeded"
    assert the[handle]["state"] == "succeeded"


def test_stop_lets_running_jobs_end_and_claims_no_more(app: App, start: Start, the: Jobs) -> None:
    begun, release = threading.Event(), threading.Event()

    @app.task
    async def running() -> str:
        begun.set()
        while not release.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        return "ended"

    first = running.enqueue()
    worker = start(app)
    assert begun.wait(10)

    worker.stop()
    wait_until(lambda: worker.worker._stepper is not None and worker.worker._stepper.drain.begun)
    second = running.enqueue()
    release.set()

    assert worker.join() == 0
    assert the[first]["result"] == "ended"
    assert (the[second]["state"], the[second]["attempt"]) == ("ready", 0)
    assert the.conn.execute("select count(*) from pgqueue.workers").fetchall() == [(0,)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_outlives_the_shutdown_timeout_is_handed_back_without_a_failure(
    jobs_app: App, start: Start, the: Jobs, ledger: Ledger, kind: str
) -> None:
    handle = jobs_app.tasks[f"hold.{kind}"].enqueue()
    worker = start(jobs_app, shutdown_timeout_seconds=0.2)
    wait_until(lambda: ledger.read("alive"))

    worker.stop()

    assert worker.join() == 1
    job = the[handle]
    assert (job["state"], job["failures"], job["losses"]) == ("ready", 0, 0)
    assert the.attempts(handle) == [(1, "released")]
    ended = len(ledger.read())
    assert not ledger.read("end")
    time.sleep(0.1)
    assert len(ledger.read()) == ended


def test_a_second_stop_hands_back_at_once(jobs_app: App, start: Start, the: Jobs, ledger: Ledger) -> None:
    handle = jobs_app.tasks["hold.async"].enqueue()
    worker = start(jobs_app, shutdown_timeout_seconds=30)
    wait_until(lambda: ledger.read("alive"))

    began = time.monotonic()
    worker.stop()
    worker.stop()
    worker.join()

    assert time.monotonic() - began < 2
    assert the.attempts(handle) == [(1, "released")]


def test_a_stop_while_recycling_still_waits_for_running_jobs(app: App, start: Start, the: Jobs) -> None:
    release = threading.Event()

    @app.task
    async def running() -> None:
        while not release.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)

    handle = running.enqueue()
    worker = start(app, max_jobs=1, shutdown_timeout_seconds=10)
    the.wait(handle, "running")
    wait_until(lambda: worker.worker.recycled)

    worker.stop()
    stopped = threading.Event()
    assert worker.loop is not None
    worker.loop.call_soon_threadsafe(lambda: worker.loop and worker.loop.call_later(0.2, stopped.set))
    assert stopped.wait(5)
    release.set()

    assert worker.join() == 0
    assert the.attempts(handle) == [(1, "succeeded")]


def test_a_stop_before_the_first_step_ends_the_worker(app: App, the: Jobs) -> None:
    from pgqueue.worker.options import WorkerOptions
    from pgqueue.worker.worker import Worker

    @app.task
    async def never() -> None: ...

    handle = never.enqueue()
    worker = Worker(app, WorkerOptions())
    worker.stop()

    assert asyncio.run(worker.run()) == 0
    assert the[handle]["attempt"] == 0


def test_what_a_claim_brings_after_the_stop_is_handed_back_and_never_starts(
    app: App, start: Start, the: Jobs, conn: psycopg.Connection[Any], connect: Connect
) -> None:
    """I16. A lock on the worker's row holds a claim up, so that it is on its way when the worker is told to stop."""
    started: list[int] = []
    release = threading.Event()

    @app.task
    async def note(n: int) -> None:
        started.append(n)
        while not release.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)

    first = note.enqueue(1)
    worker = start(app, concurrency=1)
    the.wait(first, "running")
    second = note.enqueue(2)
    with connect(autocommit=False) as other:
        other.execute("select from pgqueue.worker_processes where id = %s for update", [worker.id])
        release.set()
        claiming = "select true from pg_stat_activity where wait_event_type = 'Lock' and query like '%step(%'"
        wait_until(lambda: conn.execute(claiming).fetchone() == (True,))
        worker.call(worker.worker.stop)
        wait_until(lambda: worker.worker._stepper is not None and worker.worker._stepper.drain.asked)
        other.commit()

    assert worker.join() == 0
    assert started == [1]
    assert the.attempts(second) in ([(1, "released")], [])  # a busy machine may give the claim up before it is through
    assert the[second]["state"] == "ready"


def test_quiet_claims_no_more_and_goes_on_running(app: App, start: Start, the: Jobs) -> None:
    release = threading.Event()

    @app.task
    async def running() -> None:
        while not release.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)

    first = running.enqueue()
    worker = start(app, poll_interval_seconds=0.05)
    the.wait(first, "running")

    worker.call(worker.worker.quiet)
    wait_until(lambda: worker.worker._quiet)
    second = running.enqueue()
    release.set()

    the.wait(first, "succeeded")
    assert worker.alive
    assert the[second]["attempt"] == 0
