"""The database restarts, freezes, or is away for several leases: nobody restarts a worker by hand (I3, I5)."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from pgqueue.embedded import Server
from tests.support.database import DURABLE, Again, Database
from tests.support.fleet import Fleet
from tests.support.ledger import Ledger
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]
LEASE = 2.0


@pytest.fixture
def database(start_server: Callable[..., Server]) -> Database:
    return Database.fresh(start_server, **DURABLE)


@pytest.fixture
def the(database: Database) -> Any:
    jobs = Again(database.dsn)
    yield jobs
    jobs.conn.close()


@pytest.mark.parametrize("how", ["crash", "stop"])
def test_jobs_go_on_after_the_server_crashed_and_restarted(
    work: Callable[..., Fleet], database: Database, the: Again, ledger: Ledger, how: str
) -> None:
    fleet = work("--processes", "2", "--lease", str(LEASE), "-c", "5", address=database.dsn)
    pids = fleet.ready(2)
    jobs = [the.put("hold.async", '{"seconds": 0.3}') for _ in range(60)]
    wait_until(lambda: len(ledger.read("end")) > 5)

    getattr(database, how)()
    database.start()
    the.reconnect()

    wait_until(lambda: the.count("succeeded") == len(jobs), 30)
    assert fleet.workers() == pids
    assert ledger.overlaps() == []
    for job in jobs:
        assert the[job]["failures"] == 0


@pytest.mark.parametrize("how", ["crash", "freeze"])
def test_handlers_stop_before_their_lease_can_be_taken_and_workers_come_back(
    work: Callable[..., Fleet], database: Database, the: Again, ledger: Ledger, how: str
) -> None:
    fleet = work("--processes", "2", "--lease", str(LEASE), "-c", "5", address=database.dsn)
    pids = fleet.ready(2)
    jobs = [the.put(task) for task in ("hold.async", "hold.thread", "hold.cpu", "reporting")]
    wait_until(lambda: {entry.job for entry in ledger.read("alive")} == set(jobs))

    getattr(database, how)()
    began = time.monotonic()
    wait_until(lambda: time.monotonic() > began + 3 * LEASE, 20)
    alive = [entry for entry in ledger.read("alive") if entry.at > began + LEASE]
    database.start() if how == "crash" else database.thaw()

    assert alive == []
    the.reconnect()
    wait_until(lambda: {entry.job for entry in ledger.read("start") if entry.attempt > 1} == set(jobs), 30)
    assert ledger.overlaps() == []
    assert fleet.workers()[: len(pids)] == pids
    the.wait(the.put("noop"), "succeeded", 20)
    for job in jobs:
        assert the[job]["failures"] == 0


def test_a_fleet_that_is_told_to_stop_while_the_database_is_away_ends_in_time(
    work: Callable[..., Fleet], database: Database, the: Again, ledger: Ledger
) -> None:
    fleet = work("--lease", str(LEASE), "--shutdown-timeout", "2", address=database.dsn)
    fleet.ready()
    the.put("hold.async")
    wait_until(lambda: ledger.read("alive"))
    database.crash()

    began = time.monotonic()
    fleet.send(signal.SIGTERM)

    assert fleet.wait() in {0, 1}
    assert time.monotonic() - began < 2 + 4
    last = max(entry.at for entry in ledger.read("alive"))
    assert last < began + LEASE
