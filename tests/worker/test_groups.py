"""Message groups and limits through a real worker: order, series, what a failure hands back, nothing that overlaps."""

import asyncio
import json
import threading
import time
from typing import Any

import psycopg
import pytest

from pgqueue import App
from tests.support.waiting import wait_until
from tests.worker.conftest import Start

Conn = psycopg.Connection[Any]


def fill(conn: Conn, task: str, count: int, **options: Any) -> list[int]:
    jobs = [{"task": task, "args": {"i": i}, **options} for i in range(count)]
    return [row[0] for row in conn.execute("select pgqueue.enqueue_many(%s::jsonb)", (json.dumps(jobs),))]


class Turns:
    """A task that notes what runs, and whether two of one kind ever ran at once."""

    def __init__(self, app: App, *, kind: str) -> None:
        self.order: list[int] = []
        self.now = 0
        self.most = 0
        self.fails: dict[int, int] = {}
        self._lock = threading.Lock()

        if kind == "async":

            @app.task(name="turn")
            async def turn(i: int) -> None:
                self._begin(i)
                await asyncio.sleep(0.0005)
                self._end(i)

        else:

            @app.task(name="turn")
            def turn_in_thread(i: int) -> None:
                self._begin(i)
                time.sleep(0.0005)
                self._end(i)

    def _begin(self, i: int) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.order.append(i)

    def _end(self, i: int) -> None:
        with self._lock:
            self.now -= 1
            if self.fails.get(i, 0) > 0:
                self.fails[i] -= 1
                raise RuntimeError("not this time")


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_group_runs_in_order_and_never_two_at_once(app: App, conn: Conn, start: Start, kind: str) -> None:
    turns = Turns(app, kind=kind)
    fill(conn, "turn", 200, group_key="g")

    start(app, burst=True, concurrency=20).join()

    assert turns.order == list(range(200))
    assert turns.most == 1


def test_a_failure_in_a_series_is_tried_again_before_the_rest(app: App, conn: Conn, start: Start) -> None:
    turns = Turns(app, kind="async")
    turns.fails = {50: 1, 51: 1}
    ids = fill(conn, "turn", 120, group_key="g")
    start(app, concurrency=20, poll_interval_seconds=0.05)

    wait_until(lambda: not conn.execute("select 1 from pgqueue.queued_jobs").fetchall(), timeout=30)

    assert turns.order == [*range(51), 50, 51, 51, *range(52, 120)]
    rows = conn.execute("select outcome, count(*) from pgqueue.attempts group by 1 order by 1").fetchall()
    outcomes = dict(rows)
    assert outcomes["succeeded"] == 120
    assert outcomes["failed"] == 2
    assert conn.execute("select count(*) from pgqueue.finished_jobs where failures > 0").fetchone() == (2,)
    assert len(ids) == 120


def test_a_stopped_worker_hands_the_rest_of_a_series_back(app: App, conn: Conn, start: Start) -> None:
    began = threading.Event()

    @app.task(name="slow")
    async def slow(i: int) -> None:
        if i == 3:
            began.set()
            await asyncio.sleep(0.2)

    fill(conn, "slow", 500, group_key="g")
    worker = start(app, concurrency=5)
    assert began.wait(10)
    worker.stop()
    assert worker.join() == 0

    query = "select count(*) from pgqueue.queued_jobs where worker_id is not null"
    assert conn.execute(query).fetchone() == (0,)
    assert conn.execute("select count(*) from pgqueue.permits").fetchone() in [(0,), (1,)]
    start(app, burst=True).join()
    assert conn.execute("select count(*) from pgqueue.finished_jobs where succeeded").fetchone() == (500,)


def test_free_jobs_run_while_a_group_waits_for_its_retry(app: App, conn: Conn, start: Start) -> None:
    turns = Turns(app, kind="async")
    turns.fails = {0: 1}

    @app.task(name="free")
    async def free(i: int) -> None:
        turns.order.append(1000 + i)

    fill(conn, "turn", 3, group_key="g")
    fill(conn, "free", 3)
    start(app, concurrency=5)

    wait_until(lambda: len(turns.order) == 7, timeout=20)

    assert turns.order.index(1002) < turns.order.index(1)
    assert [i for i in turns.order if i < 1000] == [0, 0, 1, 2]


def test_a_concurrency_limit_holds_across_two_workers(app: App, conn: Conn, start: Start) -> None:
    turns = Turns(app, kind="async")
    conn.execute("insert into pgqueue.limit_rules (name, concurrency) values ('three', 3)")
    fill(conn, "turn", 150, limits="three")

    one, two = start(app, burst=True, concurrency=20, linger_seconds=1.0), start(app, burst=True, concurrency=20)
    two.join()
    one.join()

    assert sorted(turns.order) == list(range(150))
    assert turns.most <= 3


def test_a_limited_job_that_is_handed_back_takes_no_permit_along(app: App, conn: Conn, start: Start) -> None:
    began = threading.Event()

    @app.task(name="hang")
    async def hang(i: int) -> None:
        began.set()
        await asyncio.sleep(60)

    conn.execute("insert into pgqueue.limit_rules (name, concurrency) values ('one', 1)")
    fill(conn, "hang", 2, limits="one")
    worker = start(app, shutdown_timeout_seconds=0.1)
    assert began.wait(10)
    worker.stop()
    worker.join()

    held = conn.execute("select coalesce(sum(held), 0) from pgqueue.lanes where kind = 'limit'").fetchone()
    assert held == (0,)  # an idle lane may be gone already
    assert conn.execute("select count(*) from pgqueue.permits").fetchone() == (0,)
