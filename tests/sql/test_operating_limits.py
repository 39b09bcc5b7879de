"""What docs/limits.md decides about many of something and large numbers, at a size for every day."""

import threading
from typing import Any

import psycopg
import pytest

from tests.sql.conftest import Refused
from tests.sql.engine import Conn, Worker, column, enqueue, enqueue_many, scalar, state
from tests.sql.flows import flow
from tests.support.command import pgq

LAST = 2**63 - 1


def test_a_queue_among_two_thousand_is_served_at_once(conn: Conn) -> None:
    """Claims, reasons and pages go by index: no queue pays for the others."""
    enqueue_many(conn, [{"task": "t", "queue": f"q{number}"} for number in range(2000)])
    conn.execute("analyze pgqueue.queued_jobs")

    worker = Worker(conn, queues=["q1234"])
    leases = worker.claim(queue="q1234")

    assert len(leases) == 1
    assert scalar(conn, "select count(*) from pgqueue.queues where ready = 1") == 1999
    before = _rows_read(conn)
    assert worker.claim(queue="q1234") == []
    assert _rows_read(conn) - before < 50, "a claim walked over other queues"


def test_thousands_of_groups_leave_nothing_behind(conn: Conn, worker: Worker) -> None:
    ids = enqueue_many(conn, [{"task": "t", "group_key": f"g{number % 1000}"} for number in range(2000)])

    done: list[int] = []
    while leases := worker.claim(500):
        assert len({lease.id % 1000 for lease in leases}) == len(leases), "two of a group at once"
        done += [lease.id for lease in leases]
        worker.done(*leases)

    assert sorted(done) == ids
    assert scalar(conn, "select pgqueue.sweep_lanes()") == 1000, "the keeper's sweep forgets what nobody uses"
    for table in ("lanes", "permits", "lane_waits"):
        assert scalar(conn, f"select count(*) from pgqueue.{table} where kind = 'group'") == 0, table


def test_two_hundred_workers_register_beat_and_are_lost_at_once(dsn: str, conn: Conn) -> None:
    ids = range(1000, 1200)
    register = "select pgqueue.register_worker(%s, 'h', 1, '{default}', '{t}', 1, interval '15 s', '0.2.0')"

    entered = _at_once(dsn, register, ids)
    beaten = _at_once(dsn, "select pgqueue.beat(%s, 0)", ids)
    alive = scalar(conn, "select count(*) from pgqueue.workers where alive")
    conn.execute("update pgqueue.worker_processes set heartbeat_at = heartbeat_at - interval '1 hour'")
    lost: set[int] = set()
    while found := column(conn, "select worker_id from pgqueue.rescue()"):
        lost |= set(found)

    assert entered == [True] * 200
    assert beaten == [[]] * 200
    assert alive == 200
    assert lost == set(ids)


@pytest.mark.parametrize("start", [2**31 - 3, 2**53 - 3, LAST - 6])
def test_ids_go_on_to_the_end_of_bigint(conn: Conn, worker: Worker, start: int) -> None:
    conn.execute("select setval('pgqueue.job_ids', %s)", (start,))

    plain, grouped, keyed = enqueue(conn), enqueue(conn, group_key="g"), enqueue(conn, key="k")
    again = enqueue(conn, key="k")
    leases = worker.claim()
    worker.done(*leases)

    assert [plain, grouped, keyed, again] == [start + 1, start + 2, start + 3, start + 3]
    assert {lease.id for lease in leases} == {plain, grouped, keyed}
    assert [state(conn, job) for job in (plain, grouped, keyed)] == ["succeeded"] * 3


def test_after_the_last_id_enqueueing_is_refused_and_work_goes_on(conn: Conn, worker: Worker, refused: Refused) -> None:
    conn.execute("select setval('pgqueue.job_ids', %s)", (LAST - 1,))
    last = enqueue(conn)

    for attempt in (lambda: enqueue(conn), lambda: enqueue_many(conn, [{"task": "t"}])):
        with refused("2200H") as refusal:
            attempt()
        assert "job_ids" in refusal.message
    worker.done(*worker.claim())

    assert last == LAST
    assert state(conn, last) == "succeeded"


@pytest.mark.system
def test_commands_print_large_ids_as_they_are(dsn: str, conn: Conn) -> None:
    conn.execute("select setval('pgqueue.job_ids', %s)", (2**53,))
    job = enqueue(conn)

    shown = pgq("jobs", "show", str(job), "--json", PGQ_DSN=dsn).json
    told = pgq("jobs", "show", str(job), PGQ_DSN=dsn).out

    assert shown["id"] == job == 2**53 + 1
    assert str(job) in told


@pytest.mark.system
def test_a_queue_that_nobody_serves_is_told(dsn: str, conn: Conn) -> None:
    """A living worker that serves another queue does not hide it."""
    Worker(conn, queues=["mail"])
    job = enqueue(conn, queue="forgotten")
    conn.execute("update pgqueue.queued_jobs set run_at = run_at - interval '1 hour'")

    gates = dict(conn.execute("select gate, detail from pgqueue.why(%s)", (job,)).fetchall())
    health = pgq("health", "--max-lag", "60s", "--json", PGQ_DSN=dsn)
    stats = pgq("stats", "--json", PGQ_DSN=dsn).json

    assert "does not serve queue 'forgotten'" in gates["no_worker"]
    assert health.status == 1
    assert {check["check"]: check["ok"] for check in health.json}["lag"] is False
    assert "forgotten" in str(health.json)
    assert stats["oldest_due_age"] >= 3600


@pytest.mark.system
def test_the_overall_numbers_tell_parked_jobs_from_those_that_are_due_later(dsn: str, conn: Conn) -> None:
    flow(conn, {}, {"after": [0]}, {"after": [1]})
    enqueue(conn, delay="1 hour")

    stats = pgq("stats", "--json", PGQ_DSN=dsn).json

    assert (stats["scheduled"], stats["blocked"], stats["ready"]) == (1, 2, 1)


def _rows_read(conn: Conn) -> int:
    """What index scans of this session have read of the jobs, once its statistics are out."""
    conn.execute("select pg_stat_force_next_flush()")
    return int(scalar(conn, "select idx_tup_fetch from pg_stat_user_tables where relname = 'queued_jobs'"))


def _at_once(dsn: str, query: str, ids: range, sessions: int = 8) -> list[Any]:
    """Run the query for each id, over some sessions that begin together."""
    answers: list[Any] = []
    start = threading.Barrier(sessions)

    def run(place: int) -> None:
        with psycopg.connect(dsn, autocommit=True) as own:
            start.wait()
            answers.extend(scalar(own, query, number) for number in ids[place::sessions])

    threads = [threading.Thread(target=run, args=(place,)) for place in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
