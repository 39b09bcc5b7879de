"""Waiting for results: woken at once on a direct connection, by polling otherwise, and never for ever."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from pgqueue import App, JobCancelled, JobFailed, JobNotFound, ResultTimeout, lookout, room, waiting
from pgqueue.job import JobStatus, State
from tests.support.waiting import wait_until, wait_until_async

Conn = psycopg.Connection[Any]
THREAD = "pgqueue results"
SOON_SECONDS = 0.25


class Sync:
    """Waits in threads."""

    @staticmethod
    def result(handle: Any, **options: Any) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(POOL, lambda: handle.result(**options))


class Async:
    """Waits in the event loop."""

    @staticmethod
    def result(handle: Any, **options: Any) -> Awaitable[Any]:
        return asyncio.ensure_future(handle.aresult(**options))


POOL = ThreadPoolExecutor(max_workers=64, thread_name_prefix="test waiter")


@pytest.fixture(params=[Sync, Async])
def side(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def app(dsn: str) -> AsyncIterator[App]:
    made = App(dsn, schema="pgqueue", pool_size=4, pool_timeout=20)
    made.task(name="add", queue="sums")(add)
    yield made
    await made.aclose()


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only a notification bring a result in less than 10 s."""
    monkeypatch.setattr(room, "poll_gap", lambda waited: 10.0)
    monkeypatch.setattr(waiting, "STALE_SECONDS", 30.0)


def add(a: int, b: int) -> int:
    return a + b


def enqueue(app: App, count: int) -> list[Any]:
    return app.enqueue_many([app.named("add").job(i, 1) for i in range(count)])


def row(conn: Conn, query: str, *params: Any) -> Any:
    return conn.execute(query, params).fetchone()[0]  # type: ignore[index]


class Worker:
    """A worker as the database sees it: claims jobs, and settles them by `step`."""

    def __init__(self, conn: Conn) -> None:
        self.conn = conn
        conn.execute("select pgqueue.register_worker(1, 'here', 1, '{sums}', '{add}', 1, '1 minute')")

    def claim(self, count: int) -> list[int]:
        rows = self._step(count)
        return [job_id for kind, job_id in rows if kind == "job"]

    def settle(self, ids: list[int], outcome: str, **left: Any) -> None:
        rows = self._step(0, [{"id": job_id, "token": 5, "outcome": outcome, **left} for job_id in ids])
        assert not [job_id for kind, job_id in rows if kind == "stale"]

    def succeed(self, ids: list[int]) -> None:
        step = "select kind from pgqueue.step(1, 0, 5, 'sums', '{add}', 0, done_ids => %s, done_tokens => %s)"
        assert self.conn.execute(step, (ids, [5] * len(ids))).fetchall() == [("clock",)]

    def _step(self, count: int, outcomes: Any = None) -> list[Any]:
        epoch = row(self.conn, "select epoch from pgqueue.worker_processes where id = 1")
        query = "select kind, id from pgqueue.step(1, %s, 5, 'sums', '{add}', %s, outcomes => %s::jsonb)"
        return self.conn.execute(query, (epoch, count, None if outcomes is None else json.dumps(outcomes))).fetchall()


def listeners(conn: Conn) -> list[int]:
    """The backends that wait for results."""
    query = """select pid from pg_stat_activity
               where application_name = 'pgqueue (results)' and datname = current_database()"""
    return [pid for (pid,) in conn.execute(query)]


def sleeping(conn: Conn) -> bool:
    """Whether somebody has said that he waits."""
    return bool(
        row(
            conn,
            """select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and granted
               and (classid::bigint << 32 | objid::bigint) = pgqueue.wake_key('')
               and database = (select oid from pg_database where datname = current_database())""",
        )
    )


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


async def seated(app: App, count: int = 1) -> None:
    """Wait until so many waiters are looked out for, and have been looked at once."""
    seats = app._client.waiting._room._seats
    await wait_until_async(lambda: len(seats) == count and all(seat.due_at > seat.since for seat in list(seats)), 20)


async def test_a_result_is_there_as_soon_as_the_step_that_settles_it(
    side: Any, app: App, conn: Conn, no_polling: None
) -> None:
    handle = enqueue(app, 1)[0]
    worker = Worker(conn)
    worker.claim(1)
    result = side.result(handle, timeout=8)
    await seated(app)

    began = time.monotonic()
    worker.settle([handle.id], "succeeded", result=1)

    assert await result == 1
    assert time.monotonic() - began < SOON_SECONDS


async def test_a_success_without_a_result_wakes_too(side: Any, app: App, conn: Conn, no_polling: None) -> None:
    handle = app.task(name="nothing", queue="sums")(lambda: None).enqueue()
    worker = Worker(conn)
    conn.execute("update pgqueue.queued_jobs set task = 'add'")
    worker.claim(1)
    result = side.result(handle, timeout=8)
    await seated(app)

    began = time.monotonic()
    worker.succeed([handle.id])

    assert await result is None
    assert time.monotonic() - began < SOON_SECONDS


async def test_a_handlers_own_transaction_wakes_at_its_commit(
    side: Any, app: App, conn: Conn, connect: Callable[..., Conn], no_polling: None
) -> None:
    handle = enqueue(app, 1)[0]
    Worker(conn).claim(1)
    result = side.result(handle, timeout=8)
    await seated(app)
    handlers = connect(autocommit=False)

    handlers.execute("select pgqueue.complete(%s, 5, '41')", (handle.id,))
    assert not asyncio.ensure_future(result).done()
    began = time.monotonic()
    handlers.commit()

    assert await result == 41
    assert time.monotonic() - began < SOON_SECONDS


async def test_a_cancelled_job_wakes_who_waits_for_it(side: Any, app: App, no_polling: None) -> None:
    handle = enqueue(app, 1)[0]
    result = side.result(handle, timeout=8)
    await seated(app)

    began = time.monotonic()
    app.cancel(handle.id)

    with pytest.raises(JobCancelled, match="cancelled on request"):
        await result
    assert time.monotonic() - began < SOON_SECONDS


async def test_a_dead_job_wakes_who_waits_for_it(side: Any, app: App, conn: Conn, no_polling: None) -> None:
    handle = enqueue(app, 1)[0]
    worker = Worker(conn)
    worker.claim(1)
    result = side.result(handle, timeout=8)
    await seated(app)

    began = time.monotonic()
    worker.settle([handle.id], "dead", error={"type": "ValueError", "message": "no", "traceback": ""})

    with pytest.raises(JobFailed, match="ValueError: no"):
        await result
    assert time.monotonic() - began < SOON_SECONDS


async def test_the_rescue_of_a_job_that_was_to_be_cancelled_wakes(app: App, conn: Conn, no_polling: None) -> None:
    handle = enqueue(app, 1)[0]
    Worker(conn).claim(1)
    app.cancel(handle.id)
    result = asyncio.ensure_future(handle.aresult(timeout=8))
    await seated(app)

    conn.execute("update pgqueue.worker_processes set heartbeat_at = heartbeat_at - interval '1 hour'")
    began = time.monotonic()
    conn.execute("select * from pgqueue.rescue()")

    with pytest.raises(JobCancelled):
        await result
    assert time.monotonic() - began < SOON_SECONDS


async def test_a_job_that_is_removed_while_somebody_waits_is_unknown(side: Any, app: App, conn: Conn) -> None:
    handle = enqueue(app, 1)[0]
    result = side.result(handle, timeout=8)
    await seated(app)

    conn.execute("delete from pgqueue.queued_jobs")

    with pytest.raises(JobNotFound):
        await result


async def test_many_waiters_share_one_connection_and_one_query(app: App, conn: Conn, no_polling: None) -> None:
    handles = enqueue(app, 1000)
    worker = Worker(conn)
    ids = worker.claim(1000)
    results = [asyncio.ensure_future(handle.aresult(timeout=50)) for handle in handles]
    await seated(app, 1000)
    assert len(listeners(conn)) == 1
    looks: list[int] = []
    look = lookout.Line.look
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookout.Line, "look", lambda line, ids: looks.append(len(ids)) or look(line, ids))

        worker.settle(ids[:1], "succeeded", result=7)
        await asyncio.wait(results, return_when=asyncio.FIRST_COMPLETED)
        worker.settle(ids[1:], "succeeded", result=8)

        assert sorted(await asyncio.gather(*results)) == [7] + [8] * 999
    assert looks == [1000, 999]


async def test_threads_and_event_loops_share_one_connection(app: App, conn: Conn) -> None:
    handles = enqueue(app, 200)
    worker = Worker(conn)
    ids = worker.claim(200)
    results = [Sync.result(handle, timeout=50) for handle in handles[:50]]
    results += [Async.result(handle, timeout=50) for handle in handles[50:]]
    await seated(app, 200)

    assert len(listeners(conn)) == 1
    assert len(threads()) == 1
    worker.settle(ids, "succeeded", result=3)

    assert await asyncio.gather(*results) == [3] * 200


async def test_a_wait_outlives_its_connection(side: Any, app: App, conn: Conn, no_polling: None) -> None:
    handle = enqueue(app, 1)[0]
    worker = Worker(conn)
    worker.claim(1)
    result = side.result(handle, timeout=8)
    await seated(app)

    old = listeners(conn)
    conn.execute("select pg_terminate_backend(pid) from unnest(%s::integer[]) as pid", [old])
    await wait_until_async(lambda: listeners(conn) not in ([], old) and sleeping(conn))
    began = time.monotonic()
    worker.settle([handle.id], "succeeded", result=5)

    assert await result == 5
    assert time.monotonic() - began < SOON_SECONDS


async def test_what_ends_while_the_connection_is_away_is_found(
    side: Any, app: App, conn: Conn, no_polling: None
) -> None:
    handle = enqueue(app, 1)[0]
    worker = Worker(conn)
    worker.claim(1)
    result = side.result(handle, timeout=8)
    await seated(app)

    began = time.monotonic()
    with conn.transaction():
        conn.execute("select pg_terminate_backend(pid) from unnest(%s::integer[]) as pid", [listeners(conn)])
        worker.settle([handle.id], "succeeded", result=5)

    assert await result == 5
    assert time.monotonic() - began < 4  # the last look comes after 8 s


async def test_what_ends_just_before_the_lock_is_held_is_found(
    side: Any, app: App, conn: Conn, no_polling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = enqueue(app, 1)[0]
    worker = Worker(conn)
    worker.claim(1)
    lock = lookout.Line.lock

    def settle_and_lock(line: Any) -> bool:
        if line.lockable:
            worker.settle([handle.id], "succeeded", result=6)
        return lock(line)

    monkeypatch.setattr(lookout.Line, "lock", settle_and_lock)

    assert await side.result(handle, timeout=5) == 6


async def test_behind_a_pooler_it_polls(side: Any, app: App, conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", 1)
    handle = enqueue(app, 1)[0]
    worker = Worker(conn)
    worker.claim(1)
    result = side.result(handle, timeout=8)
    await seated(app)

    assert not sleeping(conn)
    worker.settle([handle.id], "succeeded", result=9)

    assert await result == 9


async def test_a_role_that_may_not_listen_polls(side: Any, app: App, conn: Conn, dsn: str) -> None:
    handle = enqueue(app, 1)[0]
    worker = Worker(conn)
    worker.claim(1)
    role = f"viewer_{row(conn, 'select current_database()')}"
    conn.execute(f"create role {role} login")
    try:
        conn.execute(f"grant usage on schema pgqueue to {role}")
        conn.execute(f"grant select on all tables in schema pgqueue to {role}")
        conn.execute(f"grant execute on function pgqueue.ended to {role}")
        narrow = App(psycopg.conninfo.make_conninfo(dsn, options=f"-c role={role}"), schema="pgqueue")
        handle = type(handle)(handle.id, narrow._client, decode=int)
        result = side.result(handle, timeout=8)
        await seated(narrow)

        assert not sleeping(conn)
        worker.settle([handle.id], "succeeded", result=2)

        assert await result == 2
        await narrow.aclose()
    finally:
        conn.execute(f"drop owned by {role}")
        conn.execute(f"drop role {role}")


async def test_without_a_connection_to_listen_on_each_looks_for_itself(
    side: Any, app: App, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "STALE_SECONDS", 0.1)

    def refuse(*_: Any) -> None:
        raise psycopg.OperationalError("too many connections")

    monkeypatch.setattr(lookout, "Line", refuse)
    handle = enqueue(app, 1)[0]
    worker = Worker(conn)
    worker.claim(1)
    result = side.result(handle, timeout=8)
    await wait_until_async(lambda: app._client.waiting._room)

    worker.settle([handle.id], "succeeded", result=4)

    assert await result == 4


async def test_without_another_thread_each_looks_for_itself(
    side: Any, app: App, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "STALE_SECONDS", 0.1)

    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(lookout.Lookout, "start", refuse)
    handle = enqueue(app, 1)[0]
    worker = Worker(conn)
    worker.claim(1)
    result = side.result(handle, timeout=8)
    await wait_until_async(lambda: app._client.waiting._room)

    worker.settle([handle.id], "succeeded", result=4)

    assert await result == 4


async def test_a_timeout_comes_on_time_and_leaves_nothing_behind(side: Any, app: App) -> None:
    handle = enqueue(app, 1)[0]
    began = time.monotonic()

    with pytest.raises(ResultTimeout, match=r"did not end within 0.4 s"):
        await side.result(handle, timeout=0.4)

    assert 0.4 <= time.monotonic() - began < 0.4 + SOON_SECONDS
    assert len(app._client.waiting._room) == 0


async def test_a_cancelled_wait_leaves_nothing_behind(app: App) -> None:
    handle = enqueue(app, 1)[0]
    result = asyncio.ensure_future(handle.aresult())
    await seated(app)

    result.cancel()
    with pytest.raises(asyncio.CancelledError):
        await result

    assert len(app._client.waiting._room) == 0


async def test_closing_the_app_ends_thread_and_connection(side: Any, app: App, conn: Conn) -> None:
    handle = enqueue(app, 1)[0]
    with pytest.raises(ResultTimeout):
        await side.result(handle, timeout=1)
    await wait_until_async(lambda: listeners(conn))

    await (app.aclose() if side is Async else asyncio.to_thread(app.close))

    assert threads() == []
    await wait_until_async(lambda: not listeners(conn))


async def test_a_wait_goes_on_after_somebody_closed_the_app(side: Any, app: App, conn: Conn) -> None:
    handle = enqueue(app, 1)[0]
    worker = Worker(conn)
    worker.claim(1)
    result = side.result(handle, timeout=8)
    await seated(app)

    await asyncio.to_thread(app.close)
    worker.settle([handle.id], "succeeded", result=5)

    assert await result == 5


async def test_nobody_is_notified_when_nobody_waits(app: App, conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "UNLOCK_SECONDS", 0.05)
    handle = enqueue(app, 1)[0]
    result = asyncio.ensure_future(handle.aresult())
    await seated(app)
    assert sleeping(conn)

    result.cancel()

    await wait_until_async(lambda: not sleeping(conn))
    assert len(listeners(conn)) == 1


async def test_the_lock_is_taken_again_for_the_next_waiter(
    app: App, conn: Conn, no_polling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "UNLOCK_SECONDS", 0.0)
    first, second = enqueue(app, 2)
    worker = Worker(conn)
    worker.claim(2)
    for handle in (first, second):
        result = asyncio.ensure_future(handle.aresult(timeout=8))
        await seated(app)
        assert sleeping(conn)

        worker.settle([handle.id], "succeeded", result=5)

        assert await result == 5
        await wait_until_async(lambda: not sleeping(conn))


async def test_the_thread_ends_when_nobody_has_waited_for_a_while(
    side: Any, app: App, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "UNLOCK_SECONDS", 0.05)
    monkeypatch.setattr(lookout, "LINGER_SECONDS", 0.1)
    handle = enqueue(app, 1)[0]

    with pytest.raises(ResultTimeout):
        await side.result(handle, timeout=0.2)

    await wait_until_async(lambda: not threads() and not listeners(conn))


FORK = """
import os, sys, threading
from pgqueue import App, ResultTimeout

app = App(sys.argv[1], schema="pgqueue")

@app.task(name="add", queue="sums")
def add(a: int, b: int) -> int: ...

handle = add.enqueue(1, 2)
try:
    handle.result(timeout=1)
except ResultTimeout:
    pass
assert [t.name for t in threading.enumerate()].count("pgqueue results") == 1
child = os.fork()
if child == 0:
    app.open()
    assert not [t.name for t in threading.enumerate() if t.name == "pgqueue results"]
    threading.Timer(0.3, app.cancel, [handle.id]).start()
    try:
        handle.result(timeout=8)
    except Exception as error:
        print(type(error).__name__, flush=True)
        os._exit(0)
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
try:
    handle.result(timeout=8)
except Exception as error:
    print(type(error).__name__)
app.close()
"""


def test_a_forked_child_waits_afresh(dsn: str) -> None:
    done = subprocess.run([sys.executable, "-c", FORK, dsn], capture_output=True, text=True, timeout=30, check=False)

    assert (done.stdout.split(), done.returncode) == (["JobCancelled", "JobCancelled"], 0), done.stderr


def test_a_closed_event_loop_does_not_disturb_the_others(dsn: str, conn: Conn) -> None:
    app = App(dsn, schema="pgqueue")
    app.task(name="add", queue="sums")(add)
    first, second = enqueue(app, 2)
    worker = Worker(conn)
    worker.claim(2)
    gone = asyncio.new_event_loop()
    left = room.Seat(first.id, time.monotonic(), lambda: waiting._ring(gone, gone.create_future()))
    gone_future = gone.create_future()
    left.ring = lambda: waiting._ring(gone, gone_future)
    gone.close()
    app._client.waiting._room.enter(left)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(second.result, timeout=8)
        wait_until(lambda: sleeping(conn))

        worker.settle([first.id, second.id], "succeeded", result=1)

        assert result.result() == 1
    app.close()


def test_a_room_rings_those_that_can_go_and_keeps_the_others() -> None:
    rung: list[str] = []
    made = room.Room()
    seats = {
        name: room.Seat(job_id, 100.0, lambda name=name: rung.append(name))  # type: ignore[misc]
        for name, job_id in {"done": 1, "twin": 1, "running": 2, "unknown": 3}.items()
    }
    for seat in seats.values():
        made.enter(seat)
    ended = {1: JobStatus(1, State.SUCCEEDED, 1, 42, None), 3: None}

    made.looked(made.due(100.0), ended, 101.0)

    assert rung == ["done", "twin", "unknown"]
    assert [seats[name].status for name in ("twin", "unknown")] == [ended[1], None]
    assert len(made) == 1
    assert made.due(101.1) == []
    assert made.next_due() == 101.0 + room.poll_gap(1.0)
    made.hurry()
    assert made.due(101.1) == [seats["running"]]


def test_polling_slows_down_with_the_wait() -> None:
    assert [room.poll_gap(waited) for waited in (0.0, 0.5, 60.0)] == [0.02, 0.1, 0.5]
