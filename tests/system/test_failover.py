"""kill -9 of a primary under load, a promoted replica: workers and producers that know both go on by themselves.

Synchronous replication loses nothing that was acknowledged. Asynchronous replication does, and what can be known of it
is found, mended where possible, and reported.
"""

import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from pgqueue.errors import DatabaseUnavailable
from pgqueue.migrate import upgrade
from tests.sql.engine import Worker, column, enqueue, scalar
from tests.support.command import pgq
from tests.support.failover_app import app, effect
from tests.support.fleet import Fleet
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.replicas import Pair, replicas
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]
LEASE = "6"  # handlers stop after 80% of it: longer than it takes to promote on a busy machine
GAP_SECONDS = 5.0


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with replicas(synchronous=request.param == "sync") as made:
        upgrade(made.primary.dsn(), schema="pgqueue")
        yield made


class Producer(threading.Thread):
    """Enqueues one job after the other, each acknowledged or known to be in doubt, until it is told to stop."""

    def __init__(self, first: int) -> None:
        super().__init__(daemon=True)
        self._number = first
        self._over = threading.Event()
        self.acknowledged: dict[int, float] = {}
        self.in_doubt: list[int] = []

    def run(self) -> None:
        while not self._over.is_set():
            self._number += 1
            try:
                effect.enqueue(number=self._number)
            except (DatabaseUnavailable, psycopg.Error):
                self.in_doubt.append(self._number)
                time.sleep(0.02)
            else:
                self.acknowledged[self._number] = time.monotonic()
                time.sleep(0.002)

    def stop(self) -> None:
        self._over.set()
        self.join(20)


@pytest.mark.parametrize("pair", ["sync"], indirect=True)
def test_synchronous_replication_loses_nothing_and_the_gap_is_short(pair: Pair, work: Callable[..., Fleet]) -> None:
    _run(pair.primary.dsn(), "create table effects (number int not null)")
    fleet = work("--processes", "2", "--lease", LEASE, address=pair.dsn, app="tests.support.failover_app:app")
    pids = fleet.ready(2)
    app.configure(dsn=pair.dsn, schema="pgqueue")
    producers = [Producer(first) for first in (0, 1_000_000)]
    for producer in producers:
        producer.start()
    wait_until(lambda: all(len(producer.acknowledged) > 100 for producer in producers), 20)

    pair.kill_primary()
    killed = time.monotonic()
    pair.promote()
    wait_until(lambda: all(max(p.acknowledged.values()) > killed + 0.5 for p in producers), 20)
    for producer in producers:
        producer.stop()
    app.close()

    acknowledged = {n: at for p in producers for n, at in p.acknowledged.items()}
    in_doubt = {n for p in producers for n in p.in_doubt}
    with psycopg.connect(pair.dsn, autocommit=True) as conn:
        wait_until(lambda: scalar(conn, "select count(*) from pgqueue.queued_jobs") == 0, 30)
        done = column(conn, "select number from effects")
        unfinished = scalar(conn, "select count(*) from pgqueue.jobs where state <> 'succeeded'")
        noticed = conn.execute("select timeline, old_timeline, seen_lsn > begins_lsn from pgqueue.failovers").fetchall()
        found = conn.execute("select finding, job_id from pgqueue.failover_jobs").fetchall()
    before = max(at for at in acknowledged.values() if at < killed)
    after = min(at for at in acknowledged.values() if at > killed)
    print(f"sync failover: {len(acknowledged)} acknowledged, gap {after - before:.2f} s, in doubt {len(in_doubt)}")
    assert set(acknowledged) - set(done) == set(), "acknowledged and lost"
    assert len(done) == len(set(done)), "an effect twice"
    assert set(done) - set(acknowledged) <= in_doubt
    assert unfinished == 0
    assert noticed == [(2, 1, False)]
    assert found == []
    assert after - before < GAP_SECONDS
    assert fleet.workers() == pids
    assert "another server answers" in fleet.said()


@pytest.mark.parametrize("pair", ["async"], indirect=True)
def test_what_asynchronous_replication_lost_is_mended_or_reported(
    pair: Pair, work: Callable[..., Fleet], ledger: Ledger
) -> None:
    fleet = work("--lease", LEASE, "-c", "20", address=pair.dsn)
    pids = fleet.ready()
    old = psycopg.connect(pair.primary.dsn(), autocommit=True)
    put = lambda task="noop", args="{}", **more: scalar(  # noqa: E731
        old, "select pgqueue.enqueue(%s, %s::jsonb, queue => %s)", task, args, more.get("queue", "default")
    )
    later = "select pgqueue.enqueue('noop', run_at => clock_timestamp() + '3 s')"
    running = put("hold.async")
    ends_soon = put("hold.async", '{"seconds": 3}')
    wait_until(lambda: {e.job for e in ledger.read("start")} == {running, ends_soon})
    to_be_done_twice = [scalar(old, later) for _ in range(3)]
    pair.caught_up()

    pair.cut_replication()
    gone = [put() for _ in range(5)]
    gone_running = put("hold.async")
    unseen = put(queue="served by nobody")
    wait_until(lambda: scalar(old, "select count(*) from pgqueue.finished_jobs") == 5 + 3 + 1, 20)
    wait_until(lambda: ledger.read("start", gone_running))
    seen = scalar(old, "select clock_timestamp()")
    beaten = "select heartbeat_at > %s and clock_timestamp() > heartbeat_at + '0.2 s' from pgqueue.worker_processes"
    wait_until(lambda: scalar(old, beaten, seen), 10)  # and its worker has heard of it
    old.close()
    pair.kill_primary()
    pair.promote()

    new = psycopg.connect(pair.dsn, autocommit=True)
    the = Jobs(new)
    wait_until(lambda: scalar(new, "select count(*) from pgqueue.failover_jobs") >= 5 + 1 + 3, 20)
    found: dict[str, set[int]] = {}
    for finding, job in new.execute("select finding, job_id from pgqueue.failover_jobs"):
        found.setdefault(finding, set()).add(job)
    lost = set(gone) | {gone_running}
    assert found == {"gone": lost, "again": set(to_be_done_twice)}
    for job in to_be_done_twice:
        the.wait(job, "succeeded", 10)
    assert the[ends_soon]["state"] == "succeeded"
    assert [e.attempt for e in ledger.read("start", ends_soon)] == [1], "its end was forgotten, not its claim"
    assert the[running]["state"] == "running"
    assert [e.attempt for e in ledger.read("start", running)] == [1]
    wait_until(lambda: ledger.read("stopped", gone_running))
    assert scalar(new, "select pgqueue.enqueue('noop')") > unseen + 1000, "ids that were issued may be issued again"
    assert scalar(new, "select seen_lsn > begins_lsn and kept_at < seen_at from pgqueue.failovers")
    assert fleet.workers() == pids
    new.close()

    told = pgq("doctor", "--json", PGQ_DSN=pair.dsn)

    findings = {finding["check"]: finding for finding in told.json}
    assert told.status == 1
    assert findings["failover"]["status"] == "failure"
    for job in lost:
        assert str(job) in findings["failover"]["detail"]
    print(findings["failover"]["detail"])
    assert pgq("doctor", "--dismiss-failovers", PGQ_DSN=pair.dsn).out.count("failover") == 1
    findings = {finding["check"]: finding for finding in pgq("doctor", "--json", PGQ_DSN=pair.dsn).json}
    assert findings["failover"]["status"] == "ok"


@pytest.mark.parametrize("pair", ["async"], indirect=True)
def test_a_zombie_cannot_settle_a_job_that_got_its_id_after_the_failover(pair: Pair) -> None:
    old = psycopg.connect(pair.primary.dsn(), autocommit=True)
    pair.caught_up()
    pair.cut_replication()
    zombie = Worker(old)
    for _ in range(200):
        enqueue(old)
    issued = {lease.id: lease for lease in zombie.claim(200)}
    old.close()
    pair.kill_primary()
    pair.promote()

    new = psycopg.connect(pair.dsn, autocommit=True)
    again = sorted({enqueue(new) for _ in range(200)} & set(issued))
    owner = Worker(new)
    owned = {lease.id: lease for lease in owner.claim(200)}
    refused = zombie.done(*(issued[job] for job in again[::2]), conn=new)
    refused += zombie.settle(*(issued[job].outcome("failed") for job in again[1::2]), conn=new)
    left = set(column(new, "select id from pgqueue.queued_jobs where worker_id = %s", owner.id))
    stale = owner.done(*(owned[job] for job in again))
    new.close()

    print(f"{len(again)} of 200 ids were issued again")
    assert len(again) > 100
    assert sorted(refused) == again
    assert left == set(owned), "a zombie ended what it never had"
    assert stale == []


def _run(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(statement)
