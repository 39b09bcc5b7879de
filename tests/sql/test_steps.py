"""Durable steps in the database: who may store and read them, whose write counts, and when they are dropped."""

import json
from typing import Any

import pytest
from psycopg import IsolationLevel

from pgqueue.keeper import duties
from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import (
    Background,
    Conn,
    Lease,
    Worker,
    cancel,
    column,
    complete,
    enqueue,
    enqueue_many,
    make_due,
    redrive,
    rescue,
    retry,
    scalar,
    state,
)


def store(conn: Conn, lease: Lease, name: str, result: Any) -> Any:
    return scalar(
        conn, "select pgqueue.store_step(%s, %s, %s, %s::jsonb)", lease.id, lease.token, name, json.dumps(result)
    )


def stored(conn: Conn, lease: Lease, name: str | None = None) -> dict[str, Any]:
    rows = conn.execute("select step, result from pgqueue.stored_steps(%s, %s, %s)", (lease.id, lease.token, name))
    return dict(rows.fetchall())


def names(conn: Conn, job_id: int) -> list[str]:
    return column(conn, "select name from pgqueue.steps where job_id = %s order by stored_at", job_id)


def sweep(conn: Conn, after: int = 0, max_jobs: int = 1000) -> tuple[int, int | None]:
    row = conn.execute("select dropped, last from pgqueue.sweep_steps(%s, %s)", (after, max_jobs)).fetchone()
    assert row is not None
    return row[0], row[1]


def an_hour_passes(conn: Conn) -> None:
    """By the clock of finished jobs; it may have been yesterday, for which a new database has no partition."""
    conn.execute("select pgqueue.ensure_day(now() - interval '1 day')")
    conn.execute("update pgqueue.finished_jobs set finished_at = finished_at - interval '61 minutes'")


def test_what_an_attempt_stored_is_found_by_the_next(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    first = worker.claim_one()
    assert stored(conn, first) == {}

    assert store(conn, first, "one", {"b": 1, "a": [1.5, None]}) == {"a": [1.5, None], "b": 1}
    assert store(conn, first, "two", None) is None
    worker.settle(first.outcome("failed", delay=0))
    second = worker.claim_one()

    assert stored(conn, second) == {"one": {"a": [1.5, None], "b": 1}, "two": None}
    assert stored(conn, second, "two") == {"two": None}
    rows = conn.execute("select job_id, name, attempt, result from pgqueue.steps order by name").fetchall()
    assert rows == [(job_id, "one", 1, {"a": [1.5, None], "b": 1}), (job_id, "two", 1, None)]


def test_the_first_write_of_a_step_counts_and_is_returned(conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    lease = worker.claim_one()

    assert [store(conn, lease, "one", 1), store(conn, lease, "one", 2)] == [1, 1]
    assert stored(conn, lease) == {"one": 1}


def test_i4_a_zombie_neither_stores_nor_reads_steps(conn: Conn, worker: Worker, refused: Refused) -> None:
    job_id = enqueue(conn)
    zombie = worker.claim_one()
    store(conn, zombie, "one", 1)
    worker.lose()
    (heir,) = Worker(conn).claim_alone()
    store(conn, heir, "two", 2)

    with refused("PQ005") as refusal:
        store(conn, zombie, "three", 3)
    for name in ("one", "two"):  # also what is stored: it must stop, not go on
        with refused("PQ005"):
            store(conn, zombie, name, 3)
    with refused("PQ005"):
        stored(conn, zombie)

    assert refusal.message == f"this attempt has lost its lease on job {job_id}: step 'three' was not stored"
    assert stored(conn, heir) == {"one": 1, "two": 2}


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "dead", "cancelled"])
def test_i4_a_settled_attempt_stores_no_step(conn: Conn, worker: Worker, refused: Refused, outcome: str) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    worker.settle(lease.outcome(outcome, delay=0))

    with refused("PQ005"):
        store(conn, lease, "one", 1)

    assert names(conn, job_id) == []


def test_two_connections_that_store_one_step_at_once_agree(connect: Connect, conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    lease = worker.claim_one()
    first, second = connect(autocommit=False), connect()

    one = store(first, lease, "one", "first")
    other = Background(second, lambda: store(second, lease, "one", "second")).waits(conn)
    first.commit()

    assert (one, other.result()) == ("first", "first")
    assert stored(conn, lease) == {"one": "first"}


def test_a_store_that_was_rolled_back_leaves_the_step_to_the_one_that_waited(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    enqueue(conn)
    lease = worker.claim_one()
    first, second = connect(autocommit=False), connect()

    store(first, lease, "one", "first")
    other = Background(second, lambda: store(second, lease, "one", "second")).waits(conn)
    first.rollback()

    assert other.result() == "second"
    assert stored(conn, lease) == {"one": "second"}


def test_i4_while_a_transaction_holds_a_step_nobody_takes_the_job_over(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    handler = connect(autocommit=False)
    conn.execute("set lock_timeout = '2 s'")

    store(handler, lease, "one", 1)
    worker.fall_silent()
    lost = rescue(conn)[0]["jobs"]
    asked = cancel(conn, job_id)
    handler.commit()

    assert (lost, asked, names(conn, job_id)) == (0, "running", ["one"])
    assert rescue(conn)[0]["jobs"] == 1


def test_i4_a_store_that_waited_for_the_rescue_is_refused(
    connect: Connect, conn: Conn, worker: Worker, refused: Refused
) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    worker.fall_silent()
    rescuing, handler = connect(autocommit=False), connect()

    rescue(rescuing)
    storing = Background(handler, lambda: store(handler, lease, "one", 1)).waits(conn)
    rescuing.commit()

    with refused("PQ005"):
        storing.result()
    assert names(conn, job_id) == []


def test_names_and_results_have_their_limits(conn: Conn, worker: Worker, refused: Refused) -> None:
    enqueue(conn)
    lease = worker.claim_one()
    conn.execute("update pgqueue.settings set max_args_bytes = 10")

    with refused("PQ004") as refusal:
        store(conn, lease, "one", "123456789")
    for name in ("", "é" * 101):
        with refused("PQ004"):
            store(conn, lease, name, 1)

    assert "may have 10 bytes, got 11" in refusal.message
    assert store(conn, lease, "é" * 100, "12345678") == "12345678"


def test_a_dead_and_a_cancelled_job_keep_their_steps_for_a_retry(conn: Conn, worker: Worker) -> None:
    jobs = [enqueue(conn) for _ in range(4)]
    leases = worker.claim()
    for lease in leases:
        store(conn, lease, "one", lease.id)
    dead, cancelled, asked, redriven = leases
    cancel(conn, asked.id)
    worker.settle(
        dead.outcome("dead"), cancelled.outcome("cancelled"), asked.outcome("failed"), redriven.outcome("dead")
    )

    an_hour_passes(conn)
    assert sweep(conn) == (0, None)
    for lease in (dead, cancelled, asked):
        retry(conn, lease.id)
    redrive(conn)
    again = worker.claim()

    assert [lease.id for lease in again] == jobs
    assert [stored(conn, lease) for lease in again] == [{"one": job_id} for job_id in jobs]


def test_a_sweep_drops_the_steps_of_jobs_that_succeeded_or_are_gone_and_no_others(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    jobs = enqueue_many(conn, [{"task": "t"}] * 6)
    leases = worker.claim()
    for lease in leases:
        store(conn, lease, "one", 1)
        store(conn, lease, "two", 2)
    running, waiting, done, completed, removed, cancelled = leases
    worker.done(done)
    complete(conn, completed)
    worker.settle(waiting.outcome("snoozed", delay=3600), removed.outcome("dead"), cancelled.outcome("cancelled"))
    conn.execute("delete from pgqueue.dead_jobs")  # as retention and operators may

    assert sweep(conn) == (2, None)  # what has just succeeded can still be looked at
    an_hour_passes(conn)
    assert sweep(conn) == (4, None)

    assert [len(names(conn, job_id)) for job_id in jobs] == [2, 2, 0, 0, 0, 2]
    assert state(conn, running.id) == "running"


def test_removing_a_job_takes_its_steps_along(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    store(conn, lease, "one", 1)
    worker.settle(lease.outcome("dead"))

    conn.execute("select pgqueue.remove(%s)", (job_id,))

    assert scalar(conn, "select count(*) from pgqueue.steps") == 0


def test_a_sweep_goes_on_where_the_last_one_stopped_and_passes_by_locked_steps(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    jobs = enqueue_many(conn, [{"task": "t"}] * 5)
    leases = worker.claim()
    for lease in leases:
        store(conn, lease, "one", 1)
    worker.done(*leases)
    an_hour_passes(conn)
    other = connect(autocommit=False)
    other.execute("select from pgqueue.job_steps where job_id = %s for update", (jobs[1],))

    turns = [sweep(conn, max_jobs=2), sweep(conn, jobs[1], 2), sweep(conn, jobs[3], 2)]
    other.rollback()

    assert turns == [(1, jobs[1]), (2, jobs[3]), (1, None)]
    assert sweep(conn) == (1, None)


def test_the_keeper_walks_a_thousand_jobs_a_turn_and_then_rests_an_hour(conn: Conn, worker: Worker) -> None:
    conn.execute(
        "insert into pgqueue.job_steps (job_id, stored_at, attempt, name, result)"
        " select i, now(), 1, 'one', '1' from generate_series(1000001, 1001500) i"
    )
    forget = duties.forgetting_steps()

    waits = [forget(conn, "pgqueue"), forget(conn, "pgqueue")]

    assert waits[0] < 60.0
    assert 2800.0 < waits[1] < 4400.0
    assert scalar(conn, "select count(*) from pgqueue.steps") == 0


def test_a_late_retry_still_finds_its_steps(conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    lease = worker.claim_one()
    store(conn, lease, "one", 1)
    worker.settle(lease.outcome("failed", delay=86_400 * 30))
    sweep(conn)

    make_due(conn, lease.id)

    assert stored(conn, worker.claim_one()) == {"one": 1}


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_i4_a_handler_under_stricter_isolation_reads_and_stores_steps(
    connect: Connect, conn: Conn, worker: Worker, level: IsolationLevel
) -> None:
    enqueue(conn)
    lease = worker.claim_one()
    store(conn, lease, "one", 1)
    handler = connect(autocommit=False)
    handler.isolation_level = level

    before = stored(handler, lease)
    store(handler, lease, "two", 2)
    inside = stored(handler, lease)
    handler.commit()

    assert (before, inside) == ({"one": 1}, {"one": 1, "two": 2})


def test_a_callers_search_path_leads_no_step_astray(connect: Connect, conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    lease = worker.claim_one()
    caller = connect()
    caller.execute("create schema evil")
    caller.execute("create table evil.job_steps (job_id bigint)")
    caller.execute("create function evil.octet_length(text) returns integer language sql as 'select 0'")
    caller.execute("set search_path = evil, pg_catalog")

    assert store(caller, lease, "one", 1) == 1
    assert (stored(caller, lease), sweep(caller)) == ({"one": 1}, (0, None))
