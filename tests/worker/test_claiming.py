"""Which jobs a worker takes, in which order, how many, and how soon."""

import asyncio
import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgqueue import App
from tests.support.ledger import Ledger
from tests.support.waiting import wait_until
from tests.worker.conftest import Connect, Jobs, Start


class Order:
    """A task that writes down what ran, in order."""

    def __init__(self, app: App) -> None:
        self.ran: list[Any] = []

        @app.task(name="note")
        async def note(what: str) -> None:
            self.ran.append(what)

        self.task = note


@pytest.fixture
def order(app: App) -> Order:
    return Order(app)


def test_priorities_are_strict_and_equals_run_in_order(app: App, start: Start, the: Jobs, order: Order) -> None:
    places = [(priority, number) for priority in (-100, -1, 0, 7, 100) for number in range(20)]
    shuffled = random.sample(places, len(places))
    shuffled.sort(key=lambda place: place[1])
    app.enqueue_many([order.task.using(priority=p).job(f"{p}/{n}") for p, n in shuffled])

    start(app, concurrency=1, burst=True).join()

    assert order.ran == [f"{p}/{n}" for p, n in places]


def test_queues_named_in_order_are_strict(app: App, start: Start, order: Order) -> None:
    for name in "cab":
        app.enqueue_many([order.task.using(queue=name).job(name) for _ in range(30)])

    start(app, queues={"a": 1, "b": 1, "c": 1}, strict=True, concurrency=1, burst=True).join()

    assert "".join(order.ran) == "a" * 30 + "b" * 30 + "c" * 30


def test_queues_with_weights_share_roughly_so(app: App, start: Start, order: Order) -> None:
    for name in "ab":
        app.enqueue_many([order.task.using(queue=name).job(name) for _ in range(1000)])

    start(app, queues={"a": 3, "b": 1}, strict=False, concurrency=1, step_size=1, burst=True).join(50)

    share = Counter(order.ran[:800])
    assert 0.65 < share["a"] / 800 < 0.85, share


def test_only_the_queues_asked_for_are_served(app: App, start: Start, the: Jobs, order: Order) -> None:
    other = order.task.using(queue="other").enqueue("no")
    mine = order.task.using(queue="mine").enqueue("yes")

    start(app, queues={"mine": 1})

    the.wait(mine, "succeeded")
    assert the[other]["attempt"] == 0


def test_unknown_tasks_wait_and_are_not_claimed(app: App, start: Start, the: Jobs, order: Order) -> None:
    unknown = the.conn.execute("select pgqueue.enqueue('nobody.knows', priority => -5)").fetchall()[0][0]
    handle = order.task.enqueue("known")

    start(app, burst=True).join()

    assert the[handle]["state"] == "succeeded"
    assert (the[unknown]["state"], the[unknown]["attempt"]) == ("ready", 0)


def test_a_paused_queue_rests_until_it_is_resumed(app: App, start: Start, the: Jobs, order: Order) -> None:
    app.pause("default")
    handle = order.task.enqueue("x")
    other = order.task.using(queue="other").enqueue("y")
    start(app, queues={"default": 1, "other": 1}, poll_interval_seconds=0.05)
    the.wait(other, "succeeded")
    assert the[handle]["attempt"] == 0

    began = time.monotonic()
    app.resume("default")

    the.wait(handle, "succeeded")
    assert time.monotonic() - began < 1


def test_a_burst_ends_when_nothing_is_due(app: App, start: Start, the: Jobs, order: Order) -> None:
    app.enqueue_many([order.task.using(priority=n % 3).job(str(n)) for n in range(200)])
    later = order.task.using(delay=timedelta(hours=1)).enqueue("later")

    assert start(app, burst=True).join() == 0

    assert len(order.ran) == 200
    assert the[later]["state"] == "scheduled"


def test_max_jobs_ends_the_worker_after_so_many(app: App, start: Start, the: Jobs, order: Order) -> None:
    app.enqueue_many([order.task.job(str(n)) for n in range(30)])

    worker = start(app, max_jobs=10)

    assert worker.join() == 0
    assert worker.worker.recycled
    assert len(order.ran) == 10
    assert (the.count("succeeded"), the.count("ready")) == (10, 20)


def test_max_memory_ends_the_worker(app: App, start: Start, the: Jobs, order: Order) -> None:
    worker = start(app, max_memory_mb=1)

    assert worker.join() == 0
    assert worker.worker.recycled


class Gauge:
    """How many run at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = 0

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.now -= 1


def test_concurrency_is_never_exceeded_by_all_kinds_together(app: App, start: Start) -> None:
    gauge, threads = Gauge(), Gauge()

    @app.task
    async def on_loop(milliseconds: float) -> None:
        with gauge:
            await asyncio.sleep(milliseconds / 1000)

    @app.task
    def in_thread(milliseconds: float) -> None:
        with gauge, threads:
            time.sleep(milliseconds / 1000)

    jobs = [task.job(random.choice([0, 1, 5, 20])) for _ in range(300) for task in (on_loop, in_thread)]
    app.enqueue_many(jobs)

    start(app, concurrency=5, threads=3, burst=True).join()

    assert gauge.most == 5
    assert threads.most == 3


def test_cpu_jobs_keep_to_their_processes(jobs_app: App, start: Start, ledger: Ledger) -> None:
    for _ in range(4):
        jobs_app.tasks["hold.cpu"].enqueue(seconds=0.1)

    start(jobs_app, cpu_processes=1, concurrency=4, burst=True).join()

    assert len(ledger.read("end")) == 4
    runs = [(entry.kind, entry.job) for entry in ledger.read() if entry.kind != "alive"]
    assert [kind for kind, _ in runs] == ["start", "end"] * 4


def test_slow_jobs_are_not_hoarded(app: App, start: Start, the: Jobs) -> None:
    release = threading.Event()

    @app.task
    async def slow() -> None:
        while not release.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)

    for _ in range(10):
        slow.enqueue()
    start(app, concurrency=2)
    wait_until(lambda: the.count("running") == 2)

    start(app, concurrency=20)

    wait_until(lambda: the.count("running") == 10)
    per_worker = the.conn.execute("select count(*) from pgqueue.jobs group by worker_id order by 1").fetchall()
    release.set()
    assert per_worker == [(2,), (8,)]


def test_slow_jobs_after_quick_ones_are_not_hoarded_for_long(app: App, start: Start, the: Jobs) -> None:
    release, begun = threading.Event(), Gauge()

    @app.task
    async def quick_or_slow(slow: bool) -> None:
        if slow:
            with begun:
                while not release.is_set():  # noqa: ASYNC110 - set by another thread
                    await asyncio.sleep(0.01)

    app.enqueue_many([quick_or_slow.job(slow=number >= 3000) for number in range(3020)])
    start(app, concurrency=2)
    wait_until(lambda: begun.now == 2)

    start(app, concurrency=30)

    try:
        wait_until(lambda: begun.now == 20, 3)
    finally:
        release.set()
    assert begun.most == 20


def test_a_delayed_job_runs_when_it_is_due(app: App, start: Start, the: Jobs) -> None:
    started: dict[int, datetime] = {}

    @app.task
    async def punctual(ctx: Any) -> None:
        started[ctx.job.id] = datetime.now(UTC)

    start(app)
    the.wait(punctual.enqueue(), "succeeded")
    handles = [punctual.using(delay=timedelta(seconds=wait), priority=p).enqueue() for wait, p in ((0.3, 0), (0.7, 5))]

    for handle in handles:
        due = the[handle]["run_at"]
        the.wait(handle, "succeeded")
        late = (started[handle.id] - due).total_seconds()
        assert 0 <= late < 0.15, late


def test_an_idle_worker_is_woken_at_once(app: App, start: Start, the: Jobs, order: Order) -> None:
    start(app, poll_interval_seconds=30.0)
    asleep = "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock'"
    wait_until(lambda: the.conn.execute(asleep).fetchall()[0][0] >= 1)

    for number in range(5):
        began = time.monotonic()
        the.wait(order.task.enqueue(str(number)), "succeeded")
        assert time.monotonic() - began < 0.5


def test_without_listen_jobs_are_found_by_polling(app: App, start: Start, the: Jobs, order: Order) -> None:
    start(app, listen=False, poll_interval_seconds=0.2)
    the.wait(order.task.enqueue("first"), "succeeded")

    began = time.monotonic()
    the.wait(order.task.enqueue("second"), "succeeded")

    assert time.monotonic() - began < 1
    mine = "select application_name from pg_stat_activity where datname = current_database()"
    assert ("pgq work (listen)",) not in the.conn.execute(mine).fetchall()


def test_jobs_that_become_visible_behind_the_marks_are_found(
    app: App, start: Start, the: Jobs, order: Order, connect: Connect
) -> None:
    start(app)
    open_transaction = connect(autocommit=False)
    early = order.task.using(conn=open_transaction).enqueue("early")
    for number in range(20):
        the.wait(order.task.enqueue(str(number)), "succeeded")
    marks_move_on = order.task.using(delay=timedelta(seconds=0.6)).enqueue("later")
    the.wait(marks_move_on, "succeeded")

    began = time.monotonic()
    open_transaction.commit()

    the.wait(early, "succeeded")
    assert time.monotonic() - began < 0.5


def test_a_job_dated_back_and_one_of_a_new_priority_are_found(app: App, start: Start, the: Jobs, order: Order) -> None:
    start(app)
    the.wait(order.task.enqueue("first"), "succeeded")

    old = order.task.using(run_at=datetime(2020, 1, 1, tzinfo=UTC)).enqueue("old")
    lowest = order.task.using(priority=100).enqueue("lowest")
    highest = order.task.using(priority=-100).enqueue("highest")

    began = time.monotonic()
    for handle in (old, lowest, highest):
        the.wait(handle, "succeeded")
    assert time.monotonic() - began < 1


def test_a_job_of_a_new_priority_is_found_by_a_worker_that_never_rests(app: App, start: Start, the: Jobs) -> None:
    stop = threading.Event()

    @app.task(name="endless")
    async def endless() -> None:
        if not stop.is_set():
            await app.tasks["endless"].aenqueue()

    @app.task
    async def urgent() -> None: ...

    for _ in range(20):
        endless.enqueue()
    start(app, concurrency=4)
    wait_until(lambda: the.count("succeeded") > 50)

    handle = urgent.using(priority=-50).enqueue()

    try:
        found = the.wait(handle, "succeeded")
    finally:
        stop.set()
    assert (found["state"], found["priority"]) == ("succeeded", -50)


def test_a_worker_shows_itself_and_beats(app: App, start: Start, the: Jobs, order: Order) -> None:
    release = threading.Event()

    @app.task
    async def running() -> None:
        while not release.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)

    running.enqueue()
    worker = start(app, concurrency=7, lease_seconds=1.0, queues={"default": 1, "x": 1})
    rows = "select id, queues, tasks, concurrency, alive from pgqueue.workers"
    found = the.conn.execute(rows).fetchall()
    assert found == [(worker.id, ["default", "x"], sorted(app.tasks), 7, True)]

    first = the.conn.execute("select heartbeat_at from pgqueue.workers").fetchall()
    wait_until(lambda: the.conn.execute("select running from pgqueue.workers").fetchall() == [(1,)])
    wait_until(lambda: the.conn.execute("select heartbeat_at from pgqueue.workers").fetchall() > first)
    release.set()
    worker.stop()
    worker.join()
    assert the.conn.execute(rows).fetchall() == []
