"""ctx.guard and ctx.complete: effects and success in one transaction, refused to who has lost the job (I4, I6)."""

import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from pgqueue import App, Fixed, LeaseLost
from tests.support.jobs import QUICKLY
from tests.support.waiting import wait_until
from tests.worker.conftest import Jobs, Start


@pytest.fixture
def effects(the: Jobs) -> Any:
    """A table of the application; called, the numbers in it."""
    the.conn.execute("create table effects (number integer)")
    return lambda: [number for (number,) in the.conn.execute("select number from effects").fetchall()]


def test_complete_in_a_sync_handler_commits_effect_and_success_together(
    app: App, start: Start, the: Jobs, effects: Any
) -> None:
    @app.task
    def pay(ctx: Any) -> str:
        with psycopg.connect(app.dsn) as conn:
            conn.execute("insert into effects values (1)")
            ctx.complete(conn, {"paid": True})
        return "ignored"

    handle = pay.enqueue()
    start(app)

    assert the.wait(handle, "succeeded")["result"] == {"paid": True}
    assert effects() == [1]


def test_complete_in_an_async_handler_commits_effect_and_success_together(
    app: App, start: Start, the: Jobs, effects: Any
) -> None:
    @app.task
    async def pay(ctx: Any) -> None:
        async with await psycopg.AsyncConnection.connect(app.dsn) as conn:
            await ctx.guard(conn)
            await conn.execute("insert into effects values (1)")
            await ctx.complete(conn, 7)

    handle = pay.enqueue()
    start(app)

    assert the.wait(handle, "succeeded")["result"] == 7
    assert effects() == [1]


@pytest.mark.parametrize("is_async", [False, True])
def test_complete_without_commit_is_a_failure_that_says_so(
    app: App, start: Start, the: Jobs, effects: Any, is_async: bool
) -> None:
    @app.task(name="sync", max_attempts=2, backoff=QUICKLY)
    def forgets(ctx: Any) -> None:
        conn = psycopg.connect(app.dsn)
        conn.execute("insert into effects values (1)")
        ctx.complete(conn)
        conn.close()

    @app.task(name="async", max_attempts=2, backoff=QUICKLY)
    async def forgets_async(ctx: Any) -> None:
        conn = await psycopg.AsyncConnection.connect(app.dsn)
        await conn.execute("insert into effects values (1)")
        await ctx.complete(conn)
        await conn.close()

    handle = (forgets_async if is_async else forgets).enqueue()
    start(app)

    dead = the.wait(handle, "dead")
    assert dead["error"]["type"].endswith("NotCompleted")
    assert the.attempts(handle) == [(1, "failed"), (2, "dead")]
    assert effects() == []


def test_a_complete_that_commits_after_the_handler_returned_counts(app: App, start: Start, the: Jobs) -> None:
    kept: list[psycopg.Connection[Any]] = []

    @app.task
    def later(ctx: Any) -> None:
        conn = psycopg.connect(app.dsn)
        ctx.complete(conn, 1)
        kept.append(conn)

    handle = later.enqueue()
    worker = start(app)
    wait_until(lambda: kept)
    the.wait(handle, "running")
    kept[0].commit()
    kept[0].close()

    assert the.wait(handle, "succeeded")["result"] == 1
    worker.stop()
    assert worker.join() == 0
    assert the.attempts(handle) == [(1, "succeeded")]


def test_an_exception_after_a_committed_complete_leaves_the_success(
    app: App, start: Start, the: Jobs, effects: Any
) -> None:
    @app.task(backoff=QUICKLY)
    async def stumbles(ctx: Any) -> None:
        async with await psycopg.AsyncConnection.connect(app.dsn) as conn:
            await conn.execute("insert into effects values (1)")
            await ctx.complete(conn, 1)
        raise ValueError("too late")

    handle = stumbles.enqueue()
    worker = start(app)
    the.wait(handle, "succeeded")
    worker.stop()
    worker.join()

    assert the[handle]["result"] == 1
    assert the.attempts(handle) == [(1, "succeeded")]
    assert effects() == [1]


def test_an_exception_that_rolls_complete_back_is_a_failed_attempt(
    app: App, start: Start, the: Jobs, effects: Any
) -> None:
    @app.task(max_attempts=1)
    def stumbles(ctx: Any) -> None:
        with psycopg.connect(app.dsn) as conn:
            conn.execute("insert into effects values (1)")
            ctx.complete(conn, 1)
            raise ValueError("in time")

    handle = stumbles.enqueue()
    start(app)

    assert the.wait(handle, "dead")["error"]["message"] == "in time"
    assert effects() == []


def test_complete_twice_in_a_transaction_is_a_failed_attempt_and_says_why(
    app: App, start: Start, the: Jobs, effects: Any
) -> None:
    @app.task(max_attempts=2, backoff=Fixed(timedelta(0)))
    async def twice(ctx: Any) -> None:
        async with await psycopg.AsyncConnection.connect(app.dsn) as conn:
            await ctx.complete(conn, 1)
            await ctx.complete(conn, 2)

    @app.task(max_attempts=1)
    def guards_after(ctx: Any) -> None:
        with psycopg.connect(app.dsn) as conn:
            ctx.complete(conn, 1)
            ctx.guard(conn)

    handles = twice.enqueue(), guards_after.enqueue()
    start(app)

    for handle in handles:
        error = the.wait(handle, "dead")["error"]
        assert error["type"] == "LeaseLost"
        assert "ctx.complete was called before, which ends the lease" in error["message"]
    assert the.attempts(handles[0]) == [(1, "failed"), (2, "dead")]


@pytest.mark.parametrize("verb", ["guard", "complete"])
def test_a_zombie_is_refused_and_its_effects_roll_back(
    app: App, start: Start, the: Jobs, effects: Any, verb: str
) -> None:
    go, refused = threading.Event(), threading.Event()

    @app.task
    def pay(ctx: Any) -> None:
        if ctx.attempt == 1:
            go.wait(20)
        with psycopg.connect(app.dsn) as conn:
            conn.execute("insert into effects values (%s)", [ctx.attempt])
            try:
                getattr(ctx, verb)(conn)
            except LeaseLost:
                refused.set()
                raise

    handle = pay.enqueue()
    start(app, lease_seconds=60.0)
    the.wait(handle, "running")
    the.lose_workers()
    start(app)  # what was lost runs alone, and the first worker is not alone with its zombie
    the.wait(handle, "succeeded")
    go.set()

    assert refused.wait(10)
    assert the.attempts(handle) == [(1, "lost"), (2, "succeeded")]
    assert effects() == [2]


def test_a_guarded_job_cannot_be_taken_while_its_transaction_is_open(app: App, start: Start, the: Jobs) -> None:
    guarded, go = threading.Event(), threading.Event()

    @app.task
    def holds(ctx: Any) -> None:
        with psycopg.connect(app.dsn) as conn:
            ctx.guard(conn)
            guarded.set()
            go.wait(20)
            ctx.complete(conn, "mine")

    handle = holds.enqueue()
    start(app, lease_seconds=60.0)
    assert guarded.wait(10)
    the.conn.execute("update pgqueue.worker_processes set heartbeat_at = now() - interval '1 hour'")

    the.conn.execute("select pgqueue.rescue()")

    assert the[handle]["state"] == "running"
    go.set()
    assert the.wait(handle, "succeeded")["result"] == "mine"
    assert the.attempts(handle) == [(1, "succeeded")]
