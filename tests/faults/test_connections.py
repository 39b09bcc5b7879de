"""Connections: none to be had, terminated, left behind by a process that is gone or frozen."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from statistics import pstdev
from typing import Any

import psycopg
import pytest

from pgqueue.embedded import Server
from pgqueue.worker import session
from pgqueue.worker.lease import Keepalive
from pgqueue.worker.session import Session
from pgqueue.worker.term import Lease
from tests.conftest import Connect
from tests.support.database import Database
from tests.support.fleet import Fleet, is_alive
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.rounds import rounds
from tests.support.waiting import wait_until

WORKERS = "application_name like 'pgq work%' and datname = current_database()"


class Crowd:
    """Whoever takes every connection that a server has left."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._held: list[psycopg.Connection[Any]] = []

    def take_all(self) -> int:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                self._held.append(psycopg.connect(self._dsn))
        return len(self._held)

    def leave(self) -> None:
        for conn in self._held:
            conn.close()
        self._held.clear()


@pytest.fixture
def small(start_server: Callable[..., Server]) -> Database:
    return Database.fresh(start_server, max_connections="14", superuser_reserved_connections="0")


@pytest.fixture
def crowd(small: Database) -> Iterator[Crowd]:
    made = Crowd(small.dsn)
    yield made
    made.leave()


@pytest.fixture
def here(small: Database) -> Iterator[Jobs]:
    with psycopg.connect(small.dsn, autocommit=True) as conn:
        yield Jobs(conn)


@pytest.mark.slow
@pytest.mark.system
def test_while_there_are_no_connections_healthy_leases_are_kept_and_workers_come_back(
    work: Callable[..., Fleet], small: Database, here: Jobs, ledger: Ledger, crowd: Crowd
) -> None:
    """For four leases every connection is taken; one worker loses its own for steps meanwhile."""
    hold, lease = rounds("HOLD", 8), 2.0
    fleet = work("--processes", "2", "--lease", str(lease), "-c", "10", address=small.dsn)
    pids = fleet.ready(2)
    long = [here.put("hold.async", f'{{"seconds": {hold + 1}}}') for _ in range(4)]
    wait_until(lambda: len({entry.job for entry in ledger.read("alive")}) == 4)
    wait_until(
        lambda: (
            here.conn.execute(f"select count(*) from pg_stat_activity where {WORKERS}".encode()).fetchall() == [(6,)]
        )
    )

    began = time.monotonic()
    taken = crowd.take_all()
    short = [here.put("add.async", '{"a": 1, "b": 2}') for _ in range(200)]
    for job in short:
        here.wait(job, "succeeded", 5)  # connections that are there go on working

    def stolen() -> bool:  # the worker may be the first to get the place that its backend leaves: then once more
        here.conn.execute(
            "select pg_terminate_backend(pid, 1000) from pg_stat_activity where application_name = 'pgq work' limit 1"
        )
        return crowd.take_all() > taken

    wait_until(stolen)
    before = fleet.said().count("the database is away")
    with pytest.raises(psycopg.OperationalError, match="too many clients"):
        psycopg.connect(small.dsn)
    wait_until(lambda: time.monotonic() > began + hold - 1, hold + 1)
    away = fleet.said().count("the database is away") - before
    crowd.leave()

    for job in long:
        here.wait(job, "succeeded", 20)
        assert here.attempts(job) == [(1, "succeeded")]
    here.wait(here.put("add.async", '{"a": 1, "b": 2}'), "succeeded")
    assert fleet.workers() == pids
    assert "declared lost" not in fleet.said()
    assert len(ledger.read("start")) == 4
    print(f"{taken + 1} connections held for {hold} s; {away} attempts to connect; 0 reruns")
    assert 1 <= away <= 6 + hold  # it slows down to one in 1 to 2 s
    assert ledger.overlaps() == []


async def test_reconnects_are_spread_and_slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand workers that lost their connections at the same moment do not come back at the same moment."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(session.asyncio, "sleep", sleep)
    for turn, longest in ((0, 0.1), (1, 0.2), (2, 0.4), (9, 2.0)):
        slept.clear()
        for _ in range(1000):
            await session.backoff(turn)

        assert longest / 2 <= min(slept) < longest * 0.55
        assert longest * 0.95 < max(slept) <= longest
        assert pstdev(slept) > longest * 0.12


@pytest.mark.slow
@pytest.mark.system
def test_backends_that_are_terminated_again_and_again_lose_nothing(
    work: Callable[..., Fleet], the: Jobs, ledger: Ledger
) -> None:
    """Now and then all of them, at random moments of their work."""
    jobs = rounds("TERMINATED_JOBS", 600)
    fleet = work("--processes", "2", "--lease", "15", "-c", "10", app="tests.support.rough:app")
    pids = fleet.ready(2)
    the.conn.execute("select pgqueue.enqueue('pause', '{\"seconds\": 0.05}') from generate_series(1, %s)", [jobs])
    ended, turns = 0, 0

    while the.count("succeeded") < jobs:
        time.sleep(random.uniform(0.05, 0.4))  # the fault's own rhythm
        turns += 1
        gone = the.conn.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {WORKERS}".encode())
        ended += len(gone.fetchall())
        assert turns < 20 + jobs / 10, the.count("succeeded")

    reruns = len(ledger.read("start")) - jobs
    print(f"{turns} times, {ended} backends; {jobs} jobs, {reruns} reruns")
    assert reruns == 0
    assert ledger.overlaps() == []
    assert the.conn.execute("select count(*) from pgqueue.attempts where outcome <> 'succeeded'").fetchall() == [(0,)]
    assert fleet.workers() == pids
    assert ended >= 12


GONE = 2.0
SHARED_MACHINE_SECONDS = 1.5


@pytest.mark.slow
@pytest.mark.system
def test_backends_of_a_killed_worker_that_wait_in_a_statement_are_soon_gone(
    work: Callable[..., Fleet], the: Jobs, ledger: Ledger, connect: Connect
) -> None:
    """Its settle waits for a lock that somebody holds for long: without the watch it would wait as long."""
    job = the.put("hold.async", '{"seconds": 0.3}')
    fleet = work("--lease", "30")
    (worker,) = fleet.ready()
    wait_until(lambda: ledger.read("alive"))
    blocker = connect(autocommit=False)
    blocker.execute("select from pgqueue.queued_jobs for update")
    waiting = f"select pid from pg_stat_activity where {WORKERS} and wait_event_type = 'Lock'"
    orphan = wait_until(lambda: the.conn.execute(waiting.encode()).fetchall())[0][0]

    fleet.send(signal.SIGSTOP)  # it would start another worker
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not is_alive(worker))
    killed = time.monotonic()
    there = "select count(*) from pg_stat_activity where pid = %s"
    wait_until(lambda: the.conn.execute(there, [orphan]).fetchall() == [(0,)], GONE + SHARED_MACHINE_SECONDS)

    print(f"the orphan was gone after {time.monotonic() - killed:.2f} s")
    blocker.rollback()
    assert the[job]["state"] == "running"  # nobody settled it


async def test_every_connection_of_a_worker_is_watched(dsn: str, conn: "psycopg.Connection[Any]") -> None:
    """A worker that freezes within a transaction of its own holds its locks no longer than that."""
    show = "select current_setting('client_connection_check_interval'), current_setting(%s)"
    keepalive = Keepalive(
        dsn, "pgqueue", Lease(1.0), worker_id=lambda: None, describe=dict, loop_turned_at=time.monotonic,
        on_beat=lambda jobs: None, on_lost=lambda worker_id: None,
        on_server=lambda server, witness: None, duties=[],
    )  # fmt: skip
    steps = Session(dsn, "pgqueue")
    await steps.connect()
    assert steps._conn is not None
    with contextlib.closing(keepalive._connect()) as beats:
        said = [await (await steps._conn.execute(show, ["idle_in_transaction_session_timeout"])).fetchone()]
        said.append(beats.execute(show, ["idle_in_transaction_session_timeout"]).fetchone())
        assert said == [("1s", "2s")] * 2

        beats.execute("begin")
        began = time.monotonic()
        there = "select count(*) from pg_stat_activity where pid = %s"
        wait_until(lambda: conn.execute(there, [beats.info.backend_pid]).fetchall() == [(0,)], 8)
        print(f"frozen within a transaction: gone after {time.monotonic() - began:.2f} s")
    await steps.close()


async def test_what_the_dsn_says_about_a_session_wins(dsn: str) -> None:
    own = psycopg.conninfo.make_conninfo(dsn, options="-c idle_in_transaction_session_timeout=7s")
    steps = Session(own, "pgqueue")
    await steps.connect()
    assert steps._conn is not None

    found = await (await steps._conn.execute("show idle_in_transaction_session_timeout")).fetchone()

    assert found == ("7s",)
    await steps.close()
