"""One bad row, or one bad day, stops no sweep and no worker (I15). The rows are bad as a damaged one would be: the
database refuses to change them. Rescue, requests and redrive have theirs in tests/sql, schedules in tests/keeper.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from pgqueue import App, codec
from pgqueue.keeper.retention import drop_expired_days
from pgqueue.worker import lease as leases
from pgqueue.worker.lease import Keepalive
from pgqueue.worker.settle import Outbox
from pgqueue.worker.term import Lease
from tests.sql.engine import Conn, Worker, enqueue, job
from tests.support.outcomes import Jobs
from tests.support.running import Running
from tests.support.waiting import wait_until


@pytest.fixture
def app(dsn: str) -> Iterator[App]:
    made = App(dsn)
    yield made
    made.close()


@pytest.fixture
def worker(app: App) -> Iterator[Running]:
    """A worker that the test starts."""
    made = Running(app, shutdown_timeout_seconds=2.0, poll_interval_seconds=0.05, lease_seconds=30)
    yield made
    if made.alive:
        made.stop()
        made.stop()
        made.join()


@pytest.mark.parametrize("kind", ["without a result", "with a result"])
def test_an_outcome_that_cannot_be_recorded_becomes_a_dead_letter_and_holds_up_no_other(
    app: App, worker: Running, the: Jobs, kind: str
) -> None:
    @app.task
    async def work(number: int) -> int | None:
        return None if kind == "without a result" else number

    handles = [work.enqueue(number) for number in range(20)]
    bad = handles[7].id
    the.conn.execute(f"alter table pgqueue.finished_jobs add constraint bad check (id <> {bad})".encode())

    worker.start()

    error = the.wait(bad, "dead")["error"]
    assert (error["type"], "SQLSTATE 23514" in error["message"]) == ("Unrecordable", True)
    for handle in handles:
        assert handle.id == bad or the.wait(handle, "succeeded")["attempt"] == 1
    the.wait(work.enqueue(1), "succeeded")


def test_a_job_that_cannot_be_claimed_is_not_blamed_on_the_outcomes_sent_with_the_claim(
    app: App, worker: Running, the: Jobs
) -> None:
    """Settle and claim are one statement: if it is refused, what handlers came to is sent by itself."""

    release = threading.Event()

    @app.task
    async def work(number: int) -> int:
        while not release.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        return number

    handles = [work.enqueue(number) for number in range(5)]
    worker.start()
    wait_until(lambda: the.count("running") == 5)
    bad = work.using(delay=timedelta(hours=1)).enqueue(5).id
    the.conn.execute(
        f"alter table pgqueue.queued_jobs add constraint bad check (id <> {bad} or token is null)".encode()
    )
    the.conn.execute("update pgqueue.queued_jobs set run_at = now() where id = %s", [bad])
    time.sleep(0.3)  # some claims are refused
    release.set()

    for handle in handles:
        the.wait(handle, "succeeded", 10)
    assert the[bad]["state"] == "ready"
    the.conn.execute("alter table pgqueue.queued_jobs drop constraint bad")
    the.wait(bad, "succeeded")
    assert the.count("dead") == 0


def test_outcomes_of_a_refused_batch_are_sent_one_by_one_and_new_ones_do_not_starve_them() -> None:
    """The database of this test refuses whatever names job 2."""
    outbox = Outbox()
    recorded: list[int] = []
    dead: dict[str, Any] = {}
    outbox._plain += [(1, 11), (2, 12), (3, 13)]
    outbox._others += ['{"id":4,"token":14,"outcome":"failed"}']
    for turn in range(30):
        outbox._plain.append((100 + turn, 1))  # handlers go on ending
        batch = outbox.take()
        others = codec.loads(batch.outcomes) if batch.outcomes else []
        named = [*batch.ids, *(other["id"] for other in others)]
        died = [other for other in others if other["outcome"] == "dead"]
        if 2 in named and not died:
            outbox.restore()
            outbox.refused("23514")
            continue
        outbox.recorded("2026-01-01")
        recorded += named
        dead.update({str(other["id"]): other for other in died})

    assert sorted(recorded) == sorted({*recorded})
    assert {1, 2, 3, 4, 100} <= {*recorded}
    assert (list(dead), dead["2"]["token"], dead["2"]["error"]["type"]) == (["2"], 12, "Unrecordable")


@pytest.mark.parametrize("sqlstate", ["53100", "40P01", "42501", "57014"])
def test_a_refusal_that_blames_nobody_sends_the_same_batch_again(sqlstate: str) -> None:
    outbox = Outbox()
    outbox._plain += [(1, 11), (2, 12)]

    sent = outbox.take()
    outbox.restore()
    outbox.refused(sqlstate)

    assert (outbox.take(), outbox.careful) == (sent, False)


def test_a_duty_that_is_refused_stops_neither_the_others_nor_the_right_to_judge(
    dsn: str, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that meets a bad row is refused again and again; lost workers are rescued all the same."""
    monkeypatch.setattr(leases, "RETRY_SECONDS", 0.1)
    ran: list[str] = []

    def bad(conn: Conn, schema: str) -> float:
        ran.append("bad")
        conn.execute("select 1 / 0")
        return 0.1

    def good(conn: Conn, schema: str) -> float:
        ran.append(f"good {conn.info.backend_pid}")
        return 0.1

    worker = Worker(conn, lease="1 s")
    keepalive = Keepalive(
        dsn, "pgqueue", Lease(1.0), worker_id=lambda: worker.id, describe=lambda: {"running": 0, "listener_pid": None},
        loop_turned_at=time.monotonic, on_beat=lambda jobs: None, on_lost=lambda worker_id: None,
        on_server=lambda server, witness: None, duties=[bad, good],
    )  # fmt: skip
    keepalive.start()
    try:
        wait_until(lambda: ran.count("bad") > 5 and keepalive.steady(), 10)
    finally:
        keepalive.stop()

    assert len({what for what in ran if what != "bad"}) == 1  # all over one connection


def test_a_day_that_cannot_be_dropped_keeps_no_other(dsn: str, conn: Conn) -> None:
    days = ("2020-01-01", "2020-01-02", "2020-01-03")
    for day in days:
        conn.execute("select pgqueue.ensure_day(%s::date)", [day])
    waiting = enqueue(conn)
    conn.execute("insert into pgqueue.job_args (id, day, args) values (%s, '2020-01-02', '{}')", [waiting])
    conn.execute("update pgqueue.queued_jobs set args_day = '2020-01-02' where id = %s", [waiting])
    conn.execute("alter table pgqueue.queued_jobs add constraint bad check (args_day = '2020-01-02')")

    dropped = drop_expired_days(dsn, "pgqueue")

    wanted = {f"{parent}_{day.replace('-', '')}" for parent in ("finished_jobs", "job_args") for day in days}
    assert wanted - {*dropped} == {"job_args_20200102"}
    assert job(conn, waiting)["state"] == "ready"
