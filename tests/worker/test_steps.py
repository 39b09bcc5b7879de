"""ctx.step: what is done once stays done, in each kind of handler, through failures, kills and lost leases (I4)."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from pgqueue import App, Cancel, DatabaseUnavailable, LeaseLost, Snooze
from pgqueue.client import Client
from tests.support.jobs import KINDS, QUICKLY
from tests.support.ledger import Ledger
from tests.support.waiting import wait_until
from tests.worker.conftest import Jobs, Start


@dataclass
class Receipt:
    total: Decimal
    at: datetime


WHEN = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


def names(the: Jobs, job: Any) -> list[str]:
    rows = the.conn.execute("select name from pgqueue.steps where job_id = %s order by stored_at", [job.id])
    return [name for (name,) in rows]


@pytest.fixture
def effects(the: Jobs) -> Callable[[], list[int]]:
    """A table of the application; called, the numbers in it."""
    the.conn.execute("create table effects (number integer)")
    return lambda: [number for (number,) in the.conn.execute("select number from effects").fetchall()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_is_done_is_not_done_again_by_the_next_attempt(
    jobs_app: App, start: Start, the: Jobs, ledger: Ledger, kind: str
) -> None:
    handle = jobs_app.tasks[f"steps.{kind}"].enqueue()
    start(jobs_app, cpu_processes=1)

    assert the.wait(handle, "succeeded")["result"] == [[1, {"a": None}], 2, 2]
    assert [(entry.kind, entry.attempt) for entry in ledger.read()] == [("one", 1), ("between", 1), ("two", 2)]
    assert the.attempts(handle) == [(1, "failed"), (2, "succeeded")]
    assert names(the, handle) == ["one", "two"]


def test_a_dead_letter_that_is_retried_goes_on_after_its_last_step(app: App, start: Start, the: Jobs) -> None:
    ran: list[str] = []
    repaired = threading.Event()

    @app.task(max_attempts=1)
    async def order(ctx: Any) -> str:
        await ctx.step("charge", ran.append, "charge")
        if not repaired.is_set():
            raise ValueError("no stock")
        await ctx.step("ship", ran.append, "ship")
        return "shipped"

    handle = order.enqueue()
    start(app)
    the.wait(handle, "dead")
    repaired.set()
    app.retry(handle.id)

    assert the.wait(handle, "succeeded")["result"] == "shipped"
    assert ran == ["charge", "ship"]


def test_the_first_attempt_gets_the_same_value_as_the_later_ones(app: App, start: Start, the: Jobs) -> None:
    got: list[Any] = []

    def receipt() -> Receipt:
        return Receipt(Decimal("1.50"), WHEN)

    async def pair() -> tuple[int, timedelta]:
        return 1, timedelta(seconds=2)

    @app.task(backoff=QUICKLY)
    async def order(ctx: Any) -> None:
        annotated = await ctx.step("annotated", receipt)
        plain = await ctx.step("plain", lambda: {"b": (1, 2), "a": 1e16, 'ключ "': -0.0})
        nothing = await ctx.step("nothing", lambda: None)
        both = await ctx.step("both", pair)
        got.append((annotated, plain, nothing, both))
        if ctx.attempt == 1:
            raise ValueError("again")

    handle = order.enqueue()
    start(app)
    the.wait(handle, "succeeded")

    assert repr(got[0]) == repr(got[1])
    assert got[0][0] == Receipt(Decimal("1.50"), WHEN)
    assert got[0][1:] == ({"b": [1, 2], "a": 1e16, 'ключ "': 0.0}, None, (1, timedelta(seconds=2)))


@pytest.mark.parametrize("is_async", [False, True])
def test_an_exception_of_a_step_is_the_handlers_and_nothing_is_stored(
    app: App, start: Start, the: Jobs, is_async: bool
) -> None:
    tries: list[int] = []

    def charge(amount: int, *, fail: bool) -> int:
        tries.append(amount)
        if fail:
            raise ConnectionError("no answer")
        return amount

    @app.task(name="sync", backoff=QUICKLY)
    def pay(ctx: Any) -> int:
        try:
            ctx.step("charge", charge, 7, fail=True)
        except ConnectionError:  # the handler may try again by itself
            return int(ctx.step("charge", charge, 8, fail=ctx.attempt == 1))
        raise AssertionError

    @app.task(name="async", backoff=QUICKLY)
    async def pay_async(ctx: Any) -> int:
        try:
            await ctx.step("charge", charge, 7, fail=True)
        except ConnectionError:
            return int(await ctx.step("charge", charge, 8, fail=ctx.attempt == 1))
        raise AssertionError

    handle = (pay_async if is_async else pay).enqueue()
    start(app)

    assert the.wait(handle, "succeeded")["result"] == 8
    assert tries == [7, 8, 7, 8]
    assert [error and error["type"] for error in the.errors(handle)] == ["ConnectionError", None]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_name_serves_once_in_an_attempt(app: App, start: Start, the: Jobs, is_async: bool) -> None:
    ran: list[int] = []

    @app.task(name="sync", max_attempts=2, backoff=QUICKLY)
    def twice(ctx: Any) -> None:
        ctx.step("item", ran.append, 1)
        ctx.step("item", ran.append, 2)

    @app.task(name="async", max_attempts=2, backoff=QUICKLY)
    async def twice_async(ctx: Any) -> None:
        await ctx.step("item", ran.append, 1)
        await ctx.step("item", ran.append, 2)

    handle = (twice_async if is_async else twice).enqueue()
    start(app)

    error = the.wait(handle, "dead")["error"]
    assert error["type"] == "InvalidArgument"
    assert error["message"].startswith('step "item" was used already in this attempt')
    assert ran == [1]


@pytest.mark.parametrize(
    ("name", "fn", "said"),
    [
        ("", print, "must have 1 to 200 printable bytes"),
        ("x" * 201, print, "must have 1 to 200 printable bytes"),
        ("a\nb", print, "must have 1 to 200 printable bytes"),
        (7, print, "must be a str"),
        ("charge", 7, "give a function and its arguments, not what calling it returns"),
    ],
)
def test_a_step_that_cannot_be_meant_is_refused(
    app: App, start: Start, the: Jobs, name: Any, fn: Any, said: str
) -> None:
    @app.task(max_attempts=1)
    async def handler(ctx: Any) -> None:
        await ctx.step(name, fn)

    handle = handler.enqueue()
    start(app)

    assert said in the.wait(handle, "dead")["error"]["message"]


def test_an_async_step_of_a_plain_handler_is_refused_before_it_runs(app: App, start: Start, the: Jobs) -> None:
    ran: list[int] = []

    async def charge() -> None:
        ran.append(1)

    @app.task(max_attempts=1)
    def handler(ctx: Any) -> None:
        ctx.step("charge", charge)

    handle = handler.enqueue()
    start(app)

    assert "its function is async" in the.wait(handle, "dead")["error"]["message"]
    assert ran == []


@pytest.mark.parametrize("result", [object(), float("nan"), {"a": {1: object()}}, "x" * 2_000_000])
def test_a_result_that_cannot_be_stored_makes_a_dead_letter_at_once(
    app: App, start: Start, the: Jobs, result: object
) -> None:
    ran: list[int] = []

    @app.task(backoff=QUICKLY)
    def handler(ctx: Any) -> None:
        ctx.step("charge", lambda: (ran.append(1), result)[1])

    handle = handler.enqueue()
    start(app)

    error = the.wait(handle, "dead")["error"]
    assert (error["type"], ran) == ("Discard", [1])
    assert error["message"].startswith('step "charge" has run, but its result cannot be stored: the result ')


def test_answers_that_a_step_returns_are_the_handlers(app: App, start: Start, the: Jobs) -> None:
    @app.task
    async def handler(ctx: Any) -> None:
        await ctx.step("check", lambda: Snooze(0.01) if ctx.attempt == 1 else Cancel("closed"))

    handle = handler.enqueue()
    start(app)

    the.wait(handle, "cancelled")
    assert the.attempts(handle) == [(1, "snoozed"), (2, "cancelled")]


def test_steps_run_beside_each_other_and_within_each_other(app: App, start: Start, the: Jobs) -> None:
    meet = asyncio.Barrier(3)

    async def item(number: int) -> int:
        await meet.wait()
        return number

    @app.task
    async def handler(ctx: Any) -> list[Any]:
        together = await asyncio.gather(*(ctx.step(f"item {i}", item, i) for i in range(3)))

        async def outer() -> int:
            return 1 + int(await ctx.step("inner", lambda: 1))

        return [*together, await ctx.step("outer", outer)]

    handle = handler.enqueue()
    start(app)

    assert the.wait(handle, "succeeded")["result"] == [0, 1, 2, 2]
    assert sorted(names(the, handle)) == ["inner", "item 0", "item 1", "item 2", "outer"]


def test_a_job_without_steps_asks_nothing_and_one_with_steps_loads_them_once(
    app: App, start: Start, the: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = Client.arun

    async def arun(self: Any, call: Any, **options: Any) -> Any:
        asked.append(call.name)
        return await real(self, call, **options)

    monkeypatch.setattr(Client, "arun", arun)

    @app.task
    async def without(ctx: Any) -> None: ...

    @app.task
    async def with_steps(ctx: Any) -> None:
        for number in range(3):
            await ctx.step(f"{number}", lambda: None)

    one, other = without.enqueue(), with_steps.enqueue()
    start(app)
    the.wait(one, "succeeded")
    the.wait(other, "succeeded")

    assert asked == ["stored_steps", "store_step", "store_step", "store_step"]


@pytest.mark.parametrize("is_async", [False, True])
def test_with_a_connection_step_and_effects_commit_together_or_not_at_all(
    app: App, start: Start, the: Jobs, effects: Callable[[], list[int]], is_async: bool
) -> None:
    def insert(number: int, conn: Any) -> int:
        conn.execute("insert into effects values (%s)", [number])
        return number

    async def ainsert(number: int, conn: Any = None) -> int:
        await conn.execute("insert into effects values (%s)", [number])
        return number

    @app.task(name="sync", backoff=QUICKLY)
    def pay(ctx: Any) -> int:
        with psycopg.connect(app.dsn) as conn:
            got = ctx.step("pay", insert, ctx.attempt, conn=conn)  # the function's conn is the step's
            if ctx.attempt == 1:
                raise ValueError("rolls back")
        if ctx.attempt == 2:
            raise ValueError("has committed")
        return int(got)

    @app.task(name="async", backoff=QUICKLY)
    async def pay_async(ctx: Any) -> int:
        async with await psycopg.AsyncConnection.connect(app.dsn) as conn:
            got = await ctx.step("pay", ainsert, ctx.attempt, conn=conn)
            if ctx.attempt == 1:
                raise ValueError("rolls back")
        if ctx.attempt == 2:
            raise ValueError("has committed")
        return int(got)

    handle = (pay_async if is_async else pay).enqueue()
    start(app)

    assert the.wait(handle, "succeeded")["result"] == 2
    assert effects() == [2]
    assert the[handle]["attempt"] == 3


def test_with_a_connection_a_name_is_free_again_after_a_rollback_and_not_after_a_commit(
    app: App, start: Start, the: Jobs, effects: Callable[[], list[int]]
) -> None:
    @app.task(max_attempts=1)
    def pay(ctx: Any) -> None:
        with psycopg.connect(app.dsn) as conn:
            for number in range(2):
                with conn.transaction():
                    ctx.step(
                        "pay", lambda n: conn.execute("insert into effects values (%s)", [n]) and n, number, conn=conn
                    )
                    if number == 0:
                        raise psycopg.Rollback
            ctx.step("pay", lambda: None, conn=conn)

    handle = pay.enqueue()
    start(app)

    assert "was used already in this attempt" in the.wait(handle, "dead")["error"]["message"]
    assert effects() == [1]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_connection_of_the_wrong_kind_is_refused_before_the_step_runs(
    app: App, start: Start, the: Jobs, is_async: bool
) -> None:
    ran: list[int] = []

    @app.task(name="sync", max_attempts=1)
    def pay(ctx: Any) -> None:
        conn = asyncio.run(psycopg.AsyncConnection.connect(app.dsn))
        try:
            ctx.step("pay", ran.append, 1, conn=conn)
        finally:
            asyncio.run(conn.close())

    @app.task(name="async", max_attempts=1)
    async def pay_async(ctx: Any) -> None:
        with psycopg.connect(app.dsn) as conn:
            await ctx.step("pay", ran.append, 1, conn=conn)

    handle = (pay_async if is_async else pay).enqueue()
    start(app)

    error = the.wait(handle, "dead")["error"]
    assert (error["type"], ran) == ("ArgumentError", [])
    assert "ctx.step from" in error["message"]


def test_i4_a_zombie_stores_nothing_and_begins_no_further_step(app: App, start: Start, the: Jobs) -> None:
    go = threading.Event()
    ran: list[str] = []
    refused: list[str] = []

    @app.task
    def pay(ctx: Any) -> str:
        if ctx.attempt > 1:
            return str(ctx.step("charge", lambda: "heir"))
        for name, wait in (("charge", go.wait), ("ship", lambda seconds: True)):
            try:
                ctx.step(name, lambda name=name, wait=wait: (ran.append(name), wait(20))[0])
            except LeaseLost:
                refused.append(name)
        raise LeaseLost

    handle = pay.enqueue()
    start(app, lease_seconds=60.0)
    wait_until(lambda: ran == ["charge"])
    the.lose_workers()
    start(app)
    the.wait(handle, "succeeded")
    go.set()
    wait_until(lambda: len(refused) == 2)

    assert (the[handle]["result"], ran, refused) == ("heir", ["charge"], ["charge", "ship"])
    rows = the.conn.execute("select name, attempt, result from pgqueue.steps").fetchall()
    assert rows == [("charge", 2, "heir")]


def test_a_thread_that_is_told_to_stop_begins_no_further_step(app: App, start: Start, the: Jobs) -> None:
    asked = threading.Event()
    ran: list[int] = []

    @app.task
    def long(ctx: Any) -> None:
        ctx.step("one", ran.append, 1)
        asked.wait(20)
        wait_until(lambda: ctx.stop_reason)
        ctx.step("two", ran.append, 2)

    handle = long.enqueue()
    start(app)
    wait_until(lambda: ran)
    app.cancel(handle.id)
    asked.set()

    the.wait(handle, "cancelled")
    assert (ran, names(the, handle)) == ([1], ["one"])


def test_a_thread_that_has_looked_may_still_take_a_step(app: App, start: Start, the: Jobs) -> None:
    asked = threading.Event()

    @app.task
    def long(ctx: Any) -> None:
        asked.wait(20)
        wait_until(lambda: ctx.cancelled)
        ctx.step("tidy up", lambda: None)
        raise RuntimeError("stopped")

    handle = long.enqueue()
    start(app)
    the.wait(handle, "running")
    app.cancel(handle.id)
    asked.set()

    the.wait(handle, "cancelled")
    assert names(the, handle) == ["tidy up"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_database_that_comes_back_still_gets_the_result(
    app: App, start: Start, the: Jobs, monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    ran: list[int] = []
    failures = ["no", "answer"]

    def fail_some(call: Any) -> None:
        if call.name == "store_step" and failures:
            raise DatabaseUnavailable(failures.pop())

    run, arun = Client.run, Client.arun

    def stumbling_run(self: Any, call: Any, **options: Any) -> Any:
        fail_some(call)
        return run(self, call, **options)

    async def stumbling_arun(self: Any, call: Any, **options: Any) -> Any:
        fail_some(call)
        return await arun(self, call, **options)

    @app.task(name="sync")
    def pay(ctx: Any) -> None:
        ctx.step("charge", ran.append, 1)

    @app.task(name="async")
    async def pay_async(ctx: Any) -> None:
        await ctx.step("charge", ran.append, 1)

    handle = (pay_async if is_async else pay).enqueue()
    monkeypatch.setattr(Client, "run", stumbling_run)
    monkeypatch.setattr(Client, "arun", stumbling_arun)
    start(app)

    the.wait(handle, "succeeded")
    assert (ran, failures, the.attempts(handle)) == ([1], [], [(1, "succeeded")])


def test_an_async_handler_that_is_cancelled_while_its_step_is_stored_has_stored_it(
    app: App, start: Start, the: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    storing = threading.Event()
    real = Client.arun

    async def slowly(self: Any, call: Any, **options: Any) -> Any:
        if call.name == "store_step":
            storing.set()
            await asyncio.sleep(0.3)
        return await real(self, call, **options)

    monkeypatch.setattr(Client, "arun", slowly)

    @app.task(max_attempts=1, timeout=timedelta(seconds=0.2))
    async def pay(ctx: Any) -> None:
        await ctx.step("charge", lambda: 1)
        await asyncio.sleep(60)

    handle = pay.enqueue()
    start(app)

    assert the.wait(handle, "dead")["error"]["type"].endswith("TimedOut")
    assert names(the, handle) == ["charge"]
