"""Through PgBouncer in transaction mode everything works but LISTEN, which is noticed, said once, and done without."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator

import psycopg
import pytest

from pgqueue import App
from pgqueue.embedded import Server
from pgqueue.embedded.cluster import Cluster
from tests.sql.engine import column, scalar
from tests.support import jobs
from tests.support.command import pgq
from tests.support.fleet import Fleet, is_alive
from tests.support.ledger import Ledger
from tests.support.pgbouncer import Pooler, pooled
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]
WARNING = "a connection pooler is in the way of LISTEN"
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


def errors(server: Server) -> list[str]:
    """What the server had to complain about."""
    lines = (server.home / "server.log").read_text().splitlines()
    return [line for line in lines if "ERROR" in line or "WARNING" in line]


def crash_and_restart(server: Server) -> None:
    postmaster = int((server.home / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGQUIT)
    wait_until(lambda: not is_alive(postmaster))
    Cluster(home=server.home, settings=server._settings, durable=False, tcp=False).ensure_running()


@pytest.fixture
def pooler(start_server: Callable[..., Server]) -> Iterator[Pooler]:
    with pooled(start_server(settings=DURABLE)) as made:
        yield made


@pytest.fixture
def app(pooler: Pooler) -> Iterator[App]:
    """The App of tests.support.jobs, through the pooler."""
    assert pgq("migrate", PGQ_DSN=pooler.dsn).status == 0
    jobs.app.configure(dsn=pooler.dsn, schema="pgqueue")
    yield jobs.app
    jobs.app.close()


def said_of_trouble(fleet: Fleet) -> list[str]:
    return [line for line in fleet.said().splitlines() if "ERROR" in line or "WARNING" in line]


@pytest.mark.parametrize("way", ["--listen-dsn", "--no-listen", "neither"])
def test_producers_and_workers_go_through_it_without_an_error(
    pooler: Pooler, app: App, work: Callable[..., Fleet], way: str
) -> None:
    listen = {"--listen-dsn": [way, pooler.direct], "--no-listen": [way], "neither": []}[way]
    fleet = work("--processes", "2", "-c", "20", "--lease", "3", *listen, address=pooler.dsn)
    fleet.ready(2)

    asked = [jobs.add.enqueue(a=n, b=1) for n in range(20)]
    asked += app.enqueue_many([jobs.add.job(a=n, b=1) for n in range(200)])
    with psycopg.connect(pooler.dsn, prepare_threshold=None) as mine:
        for n in range(10):
            asked.append(jobs.add_thread.using(conn=mine).enqueue(a=n, b=1))
        mine.commit()
        jobs.add.using(conn=mine).enqueue(a=-1, b=1)
        mine.rollback()
    sums = [handle.result(timeout=20) for handle in asked]
    in_async = asyncio.run(_produce_async(app, pooler.dsn))
    cancelled = jobs.hold.enqueue()
    wait_until(lambda: cancelled.state() == "running")
    app.cancel(cancelled.id)
    wait_until(lambda: cancelled.state() == "cancelled", 20)

    assert sums == [*range(1, 21), *range(1, 201), *range(1, 11)]
    assert in_async == list(range(1, 21))
    with psycopg.connect(pooler.direct, autocommit=True) as direct:
        assert scalar(direct, "select count(*) from pgqueue.jobs where state <> 'succeeded'") == 1, "the cancelled one"
    fleet.send(signal.SIGTERM)
    assert fleet.wait() == 0
    app.close()
    assert errors(pooler.server) == []
    trouble = said_of_trouble(fleet)
    if way == "neither":
        assert all(WARNING in line for line in trouble), trouble
        assert len(trouble) == 2, "once a process"
        assert "--listen-dsn" in trouble[0]
        assert "--no-listen" in trouble[0]
    else:
        assert trouble == []
    assert left_behind(pooler) == ([], {("0", "0", '"$user", public')})


async def _produce_async(app: App, dsn: str) -> list[int]:
    handles = [await jobs.add.aenqueue(a=n, b=1) for n in range(10)]
    async with await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None) as mine:
        handles += [await jobs.add.using(conn=mine).aenqueue(a=n, b=1) for n in range(10, 20)]
    found = [await handle.aresult(timeout=20) for handle in handles]
    await app.aclose()
    return found


def left_behind(pooler: Pooler) -> tuple[list[str], set[tuple[str, ...]]]:
    """Session locks on the pooler's connections, and what settings the next client would find on each of them."""
    with psycopg.connect(pooler.direct, autocommit=True) as direct:
        locks = column(direct, "select mode from pg_locks where locktype = 'advisory'")
    names = ("statement_timeout", "lock_timeout", "search_path")
    clients = [psycopg.connect(pooler.dsn, prepare_threshold=None) for _ in range(4)]
    seen = {tuple(scalar(client, "select current_setting(%s)", name) for name in names) for client in clients}
    for client in clients:
        client.close()
    return locks, seen


def test_the_server_behind_it_crashes_and_everybody_goes_on(
    pooler: Pooler, app: App, work: Callable[..., Fleet], ledger: Ledger
) -> None:
    fleet = work("--no-listen", "-c", "5", "--lease", "3", address=pooler.dsn)
    pids = fleet.ready()
    put = [jobs.hold.enqueue(seconds=0.2) for _ in range(40)]
    wait_until(lambda: len(ledger.read("end")) > 5)

    crash_and_restart(pooler.server)
    direct = psycopg.connect(pooler.direct, autocommit=True)
    wait_until(lambda: scalar(direct, "select count(*) from pgqueue.queued_jobs") == 0, 30)

    assert [handle.result(timeout=10) for handle in put] == [None] * 40
    assert fleet.workers() == pids
    assert ledger.overlaps() == []
    assert "a statement was refused" not in fleet.said()
    direct.close()


def test_doctor_says_that_a_pooler_is_in_the_way(pooler: Pooler, app: App) -> None:
    through = {finding["check"]: finding for finding in pgq("doctor", "--json", PGQ_DSN=pooler.dsn).json}
    past = {finding["check"]: finding for finding in pgq("doctor", "--json", PGQ_DSN=pooler.direct).json}

    assert through["pooler"]["status"] == "warning"
    assert "--listen-dsn" in through["pooler"]["remedy"]
    assert past["pooler"]["status"] == "ok"
