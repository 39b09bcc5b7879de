"""What the Python surface promises, held by the same tests for the sync and for the async client."""

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from pgqueue import (
    App,
    ArgumentError,
    ConfigError,
    DatabaseUnavailable,
    Gate,
    InvalidArgument,
    Job,
    JobCancelled,
    JobFailed,
    JobNotFound,
    KeyTaken,
    MigrationsPending,
    QueueFull,
    ResultTimeout,
    State,
    StateConflict,
)
from pgqueue.codec import loads
from tests.support.sides import Async, Sync


@pytest.fixture(params=[Sync, Async])
def side(request: pytest.FixtureRequest, dsn: str) -> Any:
    return request.param(dsn)


class Mail(Job):
    to: str

    def run(self) -> None: ...


@pytest.fixture
async def app(dsn: str) -> AsyncIterator[App]:
    made = App(dsn, schema="pgqueue", pool_size=2, pool_timeout=5)
    made.task(name="greet", queue="mail", priority=3)(greet)
    made.task(name="when")(when)
    made.job(name="letter", queue="post")(Mail)
    yield made
    await made.aclose()


def greet(user_id: int, name: str = "x") -> None: ...


def when(at: datetime) -> datetime:
    return at


def row(conn: psycopg.Connection[Any], job_id: int) -> Any:
    query = "select task, queue, state, priority, args, key, meta, max_attempts, run_at from pgqueue.jobs where id = %s"
    return conn.cursor(row_factory=dict_row).execute(query, [job_id]).fetchone()


def backends(conn: psycopg.Connection[Any]) -> list[int]:
    """The connections of the App's pools to this database."""
    query = "select pid from pg_stat_activity where application_name = 'pgqueue' and datname = current_database()"
    return [pid for (pid,) in conn.execute(query)]


def count(conn: psycopg.Connection[Any]) -> int:
    found = conn.execute("select count(*) from pgqueue.jobs").fetchone()
    return int(found[0]) if found else -1


async def test_enqueue_without_a_connection_is_done_at_once(side: Any, app: App, conn: Any) -> None:
    handle = await side.do(app.named("greet"), "enqueue", user_id=7)

    found = row(conn, handle.id)
    assert (found["task"], found["queue"], found["state"], found["priority"]) == ("greet", "mail", "ready", 3)
    assert found["args"] == {"user_id": 7}


async def test_enqueue_on_a_connection_belongs_to_its_transaction(side: Any, app: App, conn: Any) -> None:
    task = app.named("greet")
    mine = await side.connect()

    kept = await side.do(task.using(conn=mine), "enqueue", user_id=1)
    assert row(conn, kept.id) is None
    await side.on(mine, "commit")
    dropped = await side.do(task.using(conn=mine), "enqueue", user_id=2)
    await side.on(mine, "rollback")
    await side.on(mine, "close")

    assert row(conn, kept.id)["args"] == {"user_id": 1}
    assert row(conn, dropped.id) is None


async def test_nothing_about_the_callers_connection_changes(side: Any, app: App) -> None:
    mine = await side.connect(row_factory=dict_row)

    await side.do(app.named("greet").using(conn=mine), "enqueue", user_id=1)

    assert mine.autocommit is False
    assert mine.row_factory is dict_row
    assert mine.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    await side.on(mine, "rollback")
    await side.on(mine, "close")


async def test_a_connection_whose_cursors_take_other_placeholders_will_do(side: Any, app: App) -> None:
    kinds = {
        "sync": (psycopg.RawCursor, psycopg.ClientCursor),
        "async": (psycopg.AsyncRawCursor, psycopg.AsyncClientCursor),
    }
    for kind in kinds[side.name]:
        mine = await side.connect(cursor_factory=kind, autocommit=True)
        task = app.named("greet").using(conn=mine, key=f"{kind}", meta={"a": "%s $1 'é"})

        handle = await side.do(task, "enqueue", user_id=7)

        assert await side.do(handle, "state") is State.READY
        await side.on(mine, "close")


async def test_bad_arguments_raise_before_any_sql(side: Any, app: App, conn: Any) -> None:
    mine = await side.connect()
    await side.on(mine, "execute", "create table business (n int)")

    for wrong in ({"user_id": "x"}, {}, {"user_id": 1, "name": "\x00"}):
        with pytest.raises(ArgumentError):
            await side.do(app.named("greet").using(conn=mine), "enqueue", **wrong)
    await side.on(mine, "commit")
    await side.on(mine, "close")

    assert conn.execute("select count(*) from business").fetchone() == (0,)


async def test_the_wrong_kind_of_connection_names_the_right_method(app: App, dsn: str) -> None:
    task = app.named("greet")
    with psycopg.connect(dsn) as conn:
        async with await psycopg.AsyncConnection.connect(dsn) as aconn:
            with pytest.raises(ArgumentError, match="conn is a psycopg AsyncConnection: call aenqueue"):
                task.using(conn=aconn).enqueue(user_id=1)
            with pytest.raises(ArgumentError, match="conn is a psycopg Connection: call enqueue"):
                await task.using(conn=conn).aenqueue(user_id=1)
            with pytest.raises(ArgumentError, match=r"psycopg\.Cursor; pass its \.connection"):
                task.using(conn=conn.cursor()).enqueue(user_id=1)
            with pytest.raises(ArgumentError, match="call acancel"):
                app.cancel(1, conn=aconn)


async def test_options_arrive(side: Any, app: App, conn: Any) -> None:
    due = datetime(2040, 1, 1, tzinfo=UTC)
    asked = app.named("greet").using(run_at=due, key="k", max_attempts=9, priority=-1, queue="q", meta={"trace": "t"})

    found = row(conn, (await side.do(asked, "enqueue", user_id=1)).id)

    assert (found["run_at"], found["key"], found["max_attempts"], found["priority"]) == (due, "k", 9, -1)
    assert (found["queue"], found["meta"], found["state"]) == ("q", {"trace": "t"}, "scheduled")


async def test_a_delay_counts_from_the_databases_clock(side: Any, app: App, conn: Any) -> None:
    asked = app.named("greet").using(delay=timedelta(hours=1))

    job_id = (await side.do(asked, "enqueue", user_id=1)).id

    left = conn.execute("select run_at - now() from pgqueue.jobs where id = %s", [job_id]).fetchone()[0]
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


async def test_a_key_that_is_held_returns_its_holder(side: Any, app: App, conn: Any) -> None:
    asked = app.named("greet").using(key="welcome")

    first = await side.do(asked, "enqueue", user_id=1)
    second = await side.do(asked, "enqueue", user_id=2)

    assert second.id == first.id
    assert count(conn) == 1
    with pytest.raises(KeyTaken, match="welcome"):
        await side.do(asked.using(key_policy="raise"), "enqueue", user_id=3)
    await side.do(asked.using(key_policy="replace"), "enqueue", user_id=4)
    assert row(conn, first.id)["args"] == {"user_id": 4}


async def test_a_full_queue_is_an_error_of_its_own(side: Any, app: App, conn: Any) -> None:
    conn.execute("select pgqueue.set_queue('default', max_depth => 1)")
    asked = app.named("greet").using(queue="default")
    await side.do(asked, "enqueue", user_id=1)

    with pytest.raises(QueueFull, match="queue 'default' is full, it may hold 1 unfinished jobs; try again later"):
        await side.do(asked, "enqueue", user_id=2)

    conn.execute("select pgqueue.set_queue('default', max_depth => 2)")
    await side.do(asked, "enqueue", user_id=3)
    assert count(conn) == 2


async def test_many_jobs_come_back_in_the_order_given(side: Any, app: App, conn: Any) -> None:
    greet_, when_ = app.named("greet"), app.named("when")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    jobs = [greet_.using(key=f"k{9 - i}").job(i) if i % 2 else when_.job(at) for i in range(10)]

    handles = await side.do(app, "enqueue_many", jobs)

    assert [row(conn, handle.id)["args"].get("user_id") for handle in handles[1::2]] == [1, 3, 5, 7, 9]
    assert [row(conn, handle.id)["task"] for handle in handles[:2]] == ["when", "greet"]
    assert len({handle.id for handle in handles}) == 10


async def test_many_jobs_belong_to_the_callers_transaction(side: Any, app: App, conn: Any) -> None:
    mine = await side.connect()

    await side.do(app, "enqueue_many", [app.named("greet").job(i) for i in range(3)], conn=mine)
    assert count(conn) == 0
    await side.on(mine, "commit")
    await side.on(mine, "close")

    assert count(conn) == 3


async def test_instances_are_pushed_with_options(side: Any, app: App, conn: Any) -> None:
    handle = await side.do(app, "push", Mail(to="ann"), key="letter-1", priority=5)

    found = row(conn, handle.id)
    assert (found["task"], found["queue"], found["args"]) == ("letter", "post", {"to": "ann"})
    assert (found["key"], found["priority"]) == ("letter-1", 5)


@pytest.mark.parametrize(
    "value",
    [-0.0, 1e308, 5e-324, 0.1, 2**70, 10**400, "é\U0001f600\\u0000", "", [], {}, {"a": [None, True, {"b": 1.0}]}, 1e16],
)
async def test_values_survive_the_database(side: Any, app: App, conn: Any, value: Any) -> None:
    def carry(value: Any) -> None: ...

    task = app.task(name="carry")(carry)
    handle = await side.do(task, "enqueue", value)

    text = conn.execute("select args::text from pgqueue.jobs where id = %s", [handle.id]).fetchone()[0]
    (_, bound) = task.bind(loads(text))
    assert bound == {"value": value}
    assert type(bound["value"]) is type(value)


async def test_cancel_retry_and_redrive_answer_what_happened(side: Any, app: App) -> None:
    handle = await side.do(app.named("greet"), "enqueue", user_id=1)

    assert await side.do(app, "cancel", handle.id) is State.READY
    assert await side.do(handle, "state") is State.CANCELLED
    assert await side.do(app, "retry", handle.id) == handle.id
    assert await side.do(handle, "state") is State.READY
    assert await side.do(app, "redrive", queue="mail") == 0


async def test_operations_belong_to_the_callers_transaction(side: Any, app: App) -> None:
    handle = await side.do(app.named("greet"), "enqueue", user_id=1)
    mine = await side.connect()

    await side.do(app, "cancel", handle.id, conn=mine)
    await side.on(mine, "rollback")
    await side.on(mine, "close")

    assert await side.do(handle, "state") is State.READY


async def test_pause_resume_and_backlog(side: Any, app: App) -> None:
    await side.do(app.named("greet"), "enqueue", user_id=1)
    await side.do(app.named("greet").using(delay=timedelta(1)), "enqueue", user_id=2)

    await side.do(app, "pause", "mail")
    await side.do(app, "resume", "mail")

    assert await side.do(app, "backlog") == 1
    assert await side.do(app, "backlog", "mail") == 1
    assert await side.do(app, "backlog", "other") == 0


async def test_why_tells_the_gates_of_a_job_also_in_a_transaction(side: Any, app: App) -> None:
    await side.do(app, "pause", "mail")
    conn = await side.connect(row_factory=dict_row)
    handle = await side.do(app.named("greet").using(delay=timedelta(hours=1), conn=conn), "enqueue", user_id=1)

    gates = await side.do(app, "why", handle.id, conn=conn)
    await side.on(conn, "close")

    assert [gate.gate for gate in gates][:1] == ["due"]
    assert gates[0] == Gate("due", gates[0].detail)
    assert "makes it due now" in gates[0].detail
    with pytest.raises(JobNotFound):
        await side.do(app, "why", handle.id)


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        ("cancel", "7"),
        ("cancel", None),
        ("retry", 2**63),
        ("why", True),
        ("cancel_flow", 1.5),
        ("retry_flow", "x"),
        ("pause", ""),
        ("resume", 7),
    ],
)
async def test_what_is_no_id_and_no_queue_leaves_the_transaction_as_it_is(
    side: Any, app: App, verb: str, given: Any
) -> None:
    conn = await side.connect()

    with pytest.raises(ArgumentError, match=f"got {given!r}"):
        await side.do(app, verb, given, conn=conn)

    assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    await side.on(conn, "close")


@pytest.mark.parametrize("limit", ["5", -1, True, 2**31])
async def test_what_is_no_limit_of_a_redrive_leaves_the_transaction_as_it_is(side: Any, app: App, limit: Any) -> None:
    conn = await side.connect()

    with pytest.raises(ArgumentError, match=f"limit must be a whole number from 0, got {limit!r}"):
        await side.do(app, "redrive", limit=limit, conn=conn)

    assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    await side.on(conn, "close")


async def test_unknown_jobs_and_forbidden_moves_have_errors_of_their_own(side: Any, app: App) -> None:
    handle = await side.do(app.named("greet"), "enqueue", user_id=1)
    lost = type(handle)(10**12, app._client, decode=str)

    with pytest.raises(JobNotFound):
        await side.do(app, "cancel", 10**12)
    with pytest.raises(JobNotFound, match="there is no job 1000000000000"):
        await side.do(lost, "state")
    with pytest.raises(JobNotFound, match="its transaction has not committed"):
        await side.do(lost, "result", timeout=1)
    end(side.dsn, handle.id, "succeeded")
    with pytest.raises(StateConflict):
        await side.do(app, "retry", handle.id)


def end(dsn: str, job_id: int, outcome: str, **left: Any) -> None:
    """End a ready job of queue mail as a worker would."""
    settled = json.dumps([{"id": job_id, "token": 5, "outcome": outcome, **left}])
    with psycopg.connect(dsn, autocommit=True) as worker:
        worker.execute("select pgqueue.register_worker(1, 'here', 1, '{mail}', '{greet,when}', 1, '1 minute')")
        worker.execute(
            "select pgqueue.claim(1, 5, 'mail', '{greet,when}', 1, '{3}', '{-infinity}', '{0}', clock_timestamp())"
        )
        assert worker.execute("select * from pgqueue.settle(%s::jsonb, clock_timestamp())", [settled]).fetchall() == []


async def test_a_result_comes_back_as_the_return_annotation_says(side: Any, app: App) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    handle = await side.do(app.named("when").using(queue="mail", priority=3), "enqueue", at)
    end(side.dsn, handle.id, "succeeded", result=at.isoformat())

    assert await side.do(handle, "result", timeout=5) == at
    assert await side.do(handle, "state") is State.SUCCEEDED


async def test_a_dead_jobs_result_is_its_error(side: Any, app: App) -> None:
    handle = await side.do(app.named("greet"), "enqueue", user_id=1)
    end(side.dsn, handle.id, "dead", error={"type": "ValueError", "message": "no such user", "traceback": "..."})

    with pytest.raises(JobFailed, match=rf"job {handle.id} is dead: ValueError: no such user") as caught:
        await side.do(handle, "result", timeout=5)
    assert caught.value.error["traceback"] == "..."
    assert await side.do(app, "redrive", task="greet") == 1


async def test_a_result_that_is_late_says_so(side: Any, app: App) -> None:
    handle = await side.do(app.named("greet").using(delay=timedelta(1)), "enqueue", user_id=1)

    with pytest.raises(ResultTimeout, match=rf"job {handle.id} did not end within 0.05 s; it goes on") as caught:
        await side.do(handle, "result", timeout=timedelta(milliseconds=50))
    assert isinstance(caught.value, TimeoutError)
    with pytest.raises(ResultTimeout):
        await side.do(handle, "result", timeout=0)
    with pytest.raises(InvalidArgument, match="timeout must be a timedelta or a number of seconds"):
        await side.do(handle, "result", timeout=-1)


async def test_the_result_of_a_cancelled_job_is_its_cancellation(side: Any, app: App) -> None:
    handle = await side.do(app.named("greet"), "enqueue", user_id=1)
    await side.do(app, "cancel", handle.id)

    with pytest.raises(JobCancelled, match=f"job {handle.id} was cancelled"):
        await side.do(handle, "result", timeout=5)


async def test_a_database_without_the_schema_says_what_to_run(side: Any, empty_dsn: str) -> None:
    bare = App(empty_dsn)
    task = bare.task(name="greet")(greet)

    with pytest.raises(MigrationsPending, match="run `pgq migrate`"):
        await side.do(task, "enqueue", user_id=1)
    await bare.aclose()


async def test_a_server_that_is_not_there_says_so_at_once(side: Any) -> None:
    away = App("host=127.0.0.1 port=1 dbname=x user=x")
    task = away.task(name="greet")(greet)

    with pytest.raises(DatabaseUnavailable, match="check the DSN and the server"):
        await side.do(task, "enqueue", user_id=1)


async def test_a_pool_in_use_says_so(side: Any, dsn: str) -> None:
    tight = App(dsn, pool_size=1, pool_timeout=0.05)
    task = tight.task(name="greet")(greet)
    await side.do(tight, "open")
    pools = tight._client.pools

    async with AsyncExitStack() as lent:
        if side.name == "sync":
            lent.enter_context(pools.connection())
        else:
            await lent.enter_async_context(pools.aconnection())
        with pytest.raises(DatabaseUnavailable, match=r"all 1 connections .* in use; raise App\(pool_size=\.\.\.\)"):
            await side.do(task, "enqueue", user_id=1)
    await tight.aclose()


async def test_a_connection_that_the_server_ended_is_replaced(side: Any, app: App, conn: Any) -> None:
    await side.do(app.named("greet"), "enqueue", user_id=1)
    conn.execute("select pg_terminate_backend(pid) from unnest(%s::integer[]) as pid", [backends(conn)])

    await side.do(app.named("greet"), "enqueue", user_id=2)

    assert count(conn) == 2


async def test_a_closed_app_opens_again(side: Any, app: App, conn: Any) -> None:
    await side.do(app.named("greet"), "enqueue", user_id=1)
    await side.do(app, "close")
    await side.do(app, "close")
    await side.do(app.named("greet"), "enqueue", user_id=2)

    assert count(conn) == 2


def test_each_event_loop_has_connections_of_its_own(dsn: str, conn: Any) -> None:
    app = App(dsn)
    task = app.task(name="greet")(greet)

    async def once() -> None:
        async with app:
            await task.aenqueue(user_id=1)

    asyncio.run(once())
    asyncio.run(once())

    assert count(conn) == 2


async def test_tasks_of_a_loop_share_one_pool(dsn: str, conn: Any) -> None:
    async with asyncio.timeout(20):
        app = App(dsn, pool_size=2)
        task = app.task(name="greet")(greet)
        await asyncio.gather(*(task.aenqueue(user_id=n) for n in range(10)))
        used = len(backends(conn))
        await app.aclose()

    assert count(conn) == 10
    assert used <= 2


def test_an_embedded_database_is_left_to_the_commands() -> None:
    with pytest.raises(ConfigError, match=r'"embedded:/x" is understood by the pgq commands'):
        App("embedded:/x").open()


def test_threads_share_one_pool(dsn: str, conn: Any) -> None:
    with App(dsn, pool_size=3) as app:
        task = app.task(name="greet")(greet)
        threads = [threading.Thread(target=task.enqueue, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = len(backends(conn))

    assert count(conn) == 12
    assert used <= 3


def test_a_program_that_never_closes_its_app_ends_quietly(dsn: str, conn: Any) -> None:
    program = (
        "from pgqueue import App\n"
        f"app = App({dsn!r})\n"
        "@app.task(name='greet')\n"
        "def greet(user_id: int) -> None: ...\n"
        "greet.enqueue(user_id=1)\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=False, capture_output=True, text=True, timeout=30
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert count(conn) == 1


def test_an_app_that_is_forgotten_is_not_kept_for_the_end_of_the_program(dsn: str) -> None:
    app = App(dsn).open()
    app.close()
    pools = weakref.ref(app.client.pools)

    del app
    gc.collect()

    assert pools() is None


def in_child(work: Callable[[], str]) -> str:
    """Run something in a forked child and return what it says."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = work()
        except BaseException as error:  # noqa: BLE001 - the parent asserts on it
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_connections_are_not_shared_with_a_forked_child(dsn: str, conn: Any) -> None:
    app = App(dsn)
    task = app.task(name="greet")(greet)
    fresh = App(dsn)
    other = fresh.task(name="greet")(greet)
    task.enqueue(user_id=1)

    refused = in_child(lambda: str(task.enqueue(user_id=2)))
    opened = in_child(lambda: str(app.open() and task.enqueue(user_id=3)))
    unopened = in_child(lambda: str(other.enqueue(user_id=4)))
    task.enqueue(user_id=5)
    app.close()

    assert refused.startswith(f"ConfigError: the App's connections belong to process {os.getpid()}")
    assert "call app.open() in the child" in refused
    assert opened.startswith("<Handle of job")
    assert unopened.startswith("<Handle of job")
    assert sorted(r[0]["user_id"] for r in conn.execute("select args from pgqueue.jobs")) == [1, 3, 4, 5]
