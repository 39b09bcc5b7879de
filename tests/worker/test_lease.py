"""The lease: what a worker does when it is lost, when answers are lost, when the database is away (I3, I4, I5)."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgqueue import App
from tests.support.faultproxy import FaultProxy
from tests.support.ledger import Ledger
from tests.support.waiting import wait_until
from tests.worker.conftest import Jobs, Start

if TYPE_CHECKING:
    import psycopg

LEASE = 2.0


@pytest.fixture
def proxy(dsn: str) -> Iterator[FaultProxy]:
    address = conninfo_to_dict(dsn)
    with FaultProxy("127.0.0.1", int(str(address["port"]))) as made:
        yield made
        made.restore()


@pytest.fixture
def far_app(jobs_app: App, dsn: str, proxy: FaultProxy) -> App:
    """The App whose worker reaches the database through the proxy; tests reach it directly."""
    jobs_app.configure(dsn=make_conninfo(dsn, host="127.0.0.1", port=proxy.port), schema="pgqueue")
    return jobs_app


def put(the: Jobs, task: str, arguments: str = "{}") -> int:
    """Enqueue on the test's own connection."""
    return int(the.conn.execute("select pgqueue.enqueue(%s, %s::jsonb)", [task, arguments]).fetchall()[0][0])


def test_a_worker_declared_lost_stops_its_handlers_and_begins_again(
    jobs_app: App, start: Start, the: Jobs, ledger: Ledger
) -> None:
    handles = [jobs_app.tasks[f"hold.{kind}"].enqueue() for kind in ("async", "thread", "cpu")]
    worker = start(jobs_app, lease_seconds=LEASE)
    wait_until(lambda: len({entry.job for entry in ledger.read("alive")}) == 3)
    before = worker.id

    the.lose_workers()

    wait_until(
        lambda: the.conn.execute("select id from pgqueue.workers where alive").fetchall() not in ([], [(before,)])
    )
    assert worker.id != before
    for handle in handles:
        assert the.attempts(handle)[0] == (1, "lost")
        assert the[handle]["failures"] == 0
    wait_until(lambda: ledger.read("start", handles[0].id)[-1].attempt == 2)
    assert ledger.read("stopped", handles[0].id)


def test_a_lone_worker_takes_up_again_what_it_lost(jobs_app: App, start: Start, the: Jobs, ledger: Ledger) -> None:
    handle = jobs_app.tasks["hold.async"].enqueue(seconds=1.0)
    start(jobs_app, lease_seconds=LEASE)
    wait_until(lambda: ledger.read("alive"))

    the.lose_workers()

    the.wait(handle, "succeeded")
    assert the.attempts(handle) == [(1, "lost"), (2, "succeeded")]
    assert ledger.overlaps() == []


class CutAnswer:
    """Breaks the worker's connection as soon as the server has done a step of this kind."""

    def __init__(self, conn: "psycopg.Connection[Any]") -> None:
        self._conn = conn

    def hold_claims(self) -> None:
        """From now on a claim is done, and its answer waits."""
        self._conn.execute("""
            create function pgqueue.slow_answer() returns trigger language plpgsql as
            $$ begin perform pg_sleep(0.4); return null; end $$;
            create trigger slow after update on pgqueue.queued_jobs for each statement
            when (pg_trigger_depth() = 0) execute function pgqueue.slow_answer()""")

    def release(self) -> None:
        self._conn.execute("drop trigger slow on pgqueue.queued_jobs; drop function pgqueue.slow_answer()")


def test_a_claim_that_commits_after_its_connection_was_cut_leaks_no_job(
    far_app: App, start: Start, the: Jobs, proxy: FaultProxy, ledger: Ledger, connect: Any
) -> None:
    start(far_app, lease_seconds=30.0, listen=False, poll_interval_seconds=0.05)
    cut = CutAnswer(connect())
    cut.hold_claims()
    jobs = [put(the, "hold.async", '{"seconds": 0.05}') for _ in range(10)]
    claiming = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
    wait_until(lambda: the.conn.execute(claiming).fetchall()[0][0] >= 1)

    proxy.reset()
    wait_until(lambda: the.conn.execute(claiming).fetchall()[0][0] == 0)
    cut.release()

    wait_until(lambda: the.count("succeeded") == 10, 20)
    for job in jobs:
        assert len(ledger.read("start", job)) == 1
        assert the.attempts(job)[-1][1] == "succeeded"
        assert len(the.attempts(job)) == 1


def test_an_outcome_whose_answer_was_lost_is_recorded_once(
    far_app: App, start: Start, the: Jobs, proxy: FaultProxy, ledger: Ledger, connect: Any
) -> None:
    start(far_app, lease_seconds=30.0, listen=False, poll_interval_seconds=0.05)
    job = put(the, "hold.async", '{"seconds": 0.5}')
    wait_until(lambda: ledger.read("alive"))
    blocker = connect(autocommit=False)
    blocker.execute("select from pgqueue.queued_jobs for update")
    wait_until(lambda: ledger.read("end"))
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    wait_until(lambda: the.conn.execute(waiting).fetchall()[0][0] >= 1)

    proxy.reset()
    blocker.rollback()

    the.wait(job, "succeeded")
    assert the.attempts(job) == [(1, "succeeded")]
    assert len(ledger.read("start")) == 1


def outage(the: Jobs, ledger: Ledger, began: float, jobs: list[int]) -> None:
    """Handlers have stopped before the lease could be taken: within a lease of the last possible heartbeat."""
    wait_until(lambda: time.monotonic() > began + LEASE + 0.2)
    last = max(entry.at for entry in ledger.read("alive") if entry.job in jobs)
    assert last < began + LEASE, last - began


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["async", "thread", "cpu"])
def test_handlers_stop_before_the_lease_can_be_taken_when_the_database_is_out_of_reach(
    far_app: App, start: Start, the: Jobs, proxy: FaultProxy, ledger: Ledger, kind: str
) -> None:
    job = put(the, f"hold.{kind}")
    start(far_app, lease_seconds=LEASE)
    wait_until(lambda: ledger.read("alive"))

    proxy.refuse = True
    proxy.reset()
    began = time.monotonic()
    outage(the, ledger, began, [job])
    proxy.refuse = False

    wait_until(lambda: len(ledger.read("start")) == 2, 20)
    assert ledger.overlaps() == []


@pytest.mark.slow
@pytest.mark.parametrize("task", ["hold.async", "reporting"])
def test_handlers_stop_and_the_worker_comes_back_after_a_black_hole(
    far_app: App, start: Start, the: Jobs, proxy: FaultProxy, ledger: Ledger, task: str
) -> None:
    job = put(the, task)
    start(far_app, lease_seconds=LEASE)
    wait_until(lambda: ledger.read("alive"))

    proxy.black_hole()
    began = time.monotonic()
    outage(the, ledger, began, [job])
    proxy.restore()

    wait_until(lambda: len(ledger.read("start")) == 2, 20)
    the.conn.execute("select pgqueue.cancel(%s)", [job])
    the.wait(job, "cancelled")
    assert ledger.overlaps() == []


@pytest.mark.slow
def test_a_worker_comes_back_after_many_black_holes(
    far_app: App, start: Start, the: Jobs, proxy: FaultProxy, ledger: Ledger
) -> None:
    start(far_app, lease_seconds=LEASE, poll_interval_seconds=0.1)
    for pause in (0.3, 1.0, 1.9, 2.4, 0.1):
        job = put(the, "hold.async", '{"seconds": 0.05}')
        proxy.black_hole()
        time.sleep(pause)  # the fault's own length
        proxy.restore()
        the.wait(job, "succeeded", 20)
    assert ledger.overlaps() == []


@pytest.mark.slow
def test_an_idle_worker_in_a_black_hole_stops_when_it_is_told_to(
    far_app: App, start: Start, the: Jobs, proxy: FaultProxy
) -> None:
    worker = start(far_app, lease_seconds=LEASE, poll_interval_seconds=0.1, shutdown_timeout_seconds=1.0)
    the.wait(put(the, "noop"), "succeeded")
    proxy.black_hole()
    stopped = time.monotonic()

    worker.stop()
    worker.join(15)

    assert time.monotonic() - stopped < 8


@pytest.mark.parametrize("pids", ["all", "listen", "lease"])
def test_terminated_backends_are_replaced(jobs_app: App, start: Start, the: Jobs, ledger: Ledger, pids: str) -> None:
    handle = jobs_app.tasks["hold.async"].enqueue(seconds=1.0)
    start(jobs_app, lease_seconds=LEASE)
    wait_until(lambda: ledger.read("alive"))

    name = {"all": "pgq work%", "listen": "pgq work (listen)", "lease": "pgq work (lease)"}[pids]
    gone = the.conn.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name like %s and datname = current_database()",
        [name],
    )
    assert gone.fetchall()

    the.wait(handle, "succeeded")
    assert the.attempts(handle) == [(1, "succeeded")]
    the.wait(jobs_app.tasks["add.async"].enqueue(a=1, b=2), "succeeded")
    back = (
        "select count(*) from pg_stat_activity where application_name like 'pgq work%' and datname = current_database()"
    )
    wait_until(lambda: the.conn.execute(back).fetchall() == [(3,)])
