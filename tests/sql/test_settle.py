# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Settle: every outcome once, by the holder of the lease, with everything that belongs to it, or not at all."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Any

import psycopg
import pytest

from pgqueue.job import AttemptOutcome
from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import (
    Background,
    Conn,
    Lease,
    Worker,
    attempts,
    cancel,
    complete,
    enqueue,
    enqueue_many,
    guard,
    holder,
    job,
    make_due,
    rescue,
    scalar,
    state,
)  # fmt: skip

ERROR = {"type": "ValueError", "message": "no", "traceback": "..."}
OUTCOMES = ["succeeded", "failed", "dead", "cancelled", "expired", "snoozed", "released", "lost"]


def places(conn: Conn, job_id: int) -> int:
    """In how many tables the job is: always one."""
    query = """select (select count(*) from pgqueue.queued_jobs where id = %(id)s) + (select count(*) from pgqueue.finished_jobs where id = %(id)s)
               + (select count(*) from pgqueue.dead_jobs where id = %(id)s)"""
    row = conn.execute(query, {"id": job_id}).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("outcome", "after", "failures", "logged"),
    [
        ("succeeded", "succeeded", 0, "succeeded"), ("failed", "scheduled", 1, "failed"), ("dead", "dead", 1, "dead"),
        ("cancelled", "cancelled", 0, "cancelled"), ("snoozed", "scheduled", 0, "snoozed"), ("released", "scheduled", 0, "released"),
        ("lost", "scheduled", 0, "lost"),
    ],
)  # fmt: skip
def test_i6_each_outcome_changes_state_counts_and_history_together(
    conn: Conn, worker: Worker, outcome: str, after: str, failures: int, logged: str
) -> None:
    job_id = enqueue(conn)

    assert worker.settle(worker.claim_one().outcome(outcome, delay=3600, error=ERROR)) == []

    row = job(conn, job_id)
    assert (row["state"], row["failures"], row["losses"], row["attempt"]) == (after, failures, 0, 1)
    assert attempts(conn, job_id) == [(1, logged)]
    assert places(conn, job_id) == 1


def test_every_outcome_of_the_vocabulary_is_one_that_settle_knows() -> None:
    assert {outcome.value for outcome in AttemptOutcome} | {"expired"} == set(OUTCOMES)


def test_the_two_ways_to_succeed_store_the_same(conn: Conn, worker: Worker) -> None:
    short, long = enqueue_many(
        conn,
        [
            {"task": "t", "key": "a", "timeout": "5 s", "max_attempts": 2},
            {"task": "t", "key": "b", "timeout": "5 s", "max_attempts": 2},
        ],
    )
    one, two = worker.claim()

    worker.step(0, done=[one], outcomes=[two.outcome("succeeded")])

    rows = [job(conn, short), job(conn, long)]
    for row in rows:
        for varying in ("id", "key"):
            row.pop(varying)
    assert rows[0] == rows[1]
    assert (holder(conn, "a"), holder(conn, "b")) == (None, None)


def test_a_result_is_kept_as_it_is(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    result = {"n": 12345678901234567890123, "x": -0.5, "s": "äß\\", "l": [None, True]}

    worker.settle(worker.claim_one().outcome("succeeded", result=result))

    assert job(conn, job_id)["result"] == result


def test_a_delay_counts_from_the_settle_and_without_one_the_due_time_stays(conn: Conn, worker: Worker) -> None:
    kept, later = enqueue_many(conn, [{"task": "t", "run_at": "2020-01-01Z"}] * 2)
    one, two = worker.claim()

    step = worker.step(0, outcomes=[one.outcome("released"), two.outcome("failed", delay=60)])

    assert job(conn, kept)["run_at"].year == 2020
    assert (job(conn, later)["run_at"] - step.clock).total_seconds() == 60


@pytest.mark.parametrize("delay", [-5, -1e308, "NaN", 1e308, "Infinity", "-Infinity", 1e12])
def test_an_odd_delay_keeps_no_batch_from_being_recorded(conn: Conn, worker: Worker, delay: Any) -> None:
    odd, plain = enqueue_many(conn, [{"task": "t"}] * 2)
    one, two = worker.claim()

    assert worker.settle(one.outcome("failed", delay=delay), two.outcome("succeeded")) == []

    assert state(conn, plain) == "succeeded"
    assert job(conn, odd)["run_at"].year < 6000  # and can be read by every driver


def test_counts_stop_at_what_their_columns_hold(conn: Conn, worker: Worker) -> None:
    first, second = enqueue_many(conn, [{"task": "t"}] * 2)
    conn.execute("update pgqueue.queued_jobs set failures = 32767, losses = 32767")
    one, two = worker.claim()

    worker.settle(one.outcome("failed"), two.outcome("dead"))

    assert [job(conn, job_id)["failures"] for job_id in (first, second)] == [32767, 32767]


def test_an_unknown_outcome_is_refused_and_changes_nothing(conn: Conn, worker: Worker, refused: Refused) -> None:
    first, second = enqueue_many(conn, [{"task": "t"}] * 2)
    one, two = worker.claim()

    with refused("PQ004") as refusal:
        worker.settle(one.outcome("succeeded"), two.outcome("succeded"))

    assert refusal.message == "settle: unknown outcome 'succeded'"
    assert (state(conn, first), state(conn, second)) == ("running", "running")


def test_i6_two_outcomes_for_one_attempt_in_a_batch_count_once(
    conn: Conn, worker: Worker, subtests: pytest.Subtests
) -> None:
    for first, second in product(OUTCOMES, ["succeeded", "failed", "dead"]):
        with subtests.test(first=first, second=second):
            job_id = enqueue(conn, key="k", queue=f"{first} {second}")
            lease = worker.claim_one(queue=f"{first} {second}")

            assert worker.settle(lease.outcome(first, delay=3600), lease.outcome(second)) == []

            assert places(conn, job_id) == 1
            assert attempts(conn, job_id) == ([] if first == "expired" else [(1, first)])


def test_i6_the_short_way_counts_an_attempt_named_twice_once(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()

    assert worker.step(0, done=[lease, lease], outcomes=[lease.outcome("failed")]).stale == [job_id]
    assert (places(conn, job_id), state(conn, job_id)) == (1, "succeeded")


def test_i6_settling_twice_settles_once_and_the_second_is_stale(
    conn: Conn, worker: Worker, subtests: pytest.Subtests
) -> None:
    for first, second in product(OUTCOMES, [*OUTCOMES, "done"]):
        with subtests.test(first=first, second=second):
            job_id = enqueue(conn, queue=f"{first} {second}")
            lease = worker.claim_one(queue=f"{first} {second}")
            worker.settle(lease.outcome(first))
            before = job(conn, job_id)

            assert (worker.done(lease) if second == "done" else worker.settle(lease.outcome(second))) == [job_id]
            assert job(conn, job_id) == before


def test_i6_of_two_settles_at_once_one_counts(
    connect: Connect, conn: Conn, worker: Worker, subtests: pytest.Subtests
) -> None:
    one, two = connect(autocommit=False), connect()

    def settle(on: Conn, how: str, lease: Lease) -> list[int]:
        return worker.done(lease, conn=on) if how == "done" else worker.settle(lease.outcome(how), conn=on)

    for first, second in product(["done", *OUTCOMES], ["done", "succeeded", "failed", "dead"]):
        with subtests.test(first=first, second=second):
            job_id = enqueue(conn, queue=f"{first} {second}")
            lease = worker.claim_one(queue=f"{first} {second}")

            fresh = settle(one, first, lease)
            late = Background(two, partial(settle, two, second, lease)).waits(conn)
            one.commit()

            assert (fresh, late.result()) == ([], [job_id])
            assert places(conn, job_id) == 1
            assert len(attempts(conn, job_id)) == (first != "expired")


@pytest.mark.parametrize("how", ["done", *OUTCOMES])
def test_i6_a_settle_that_rolls_back_changed_nothing(connect: Connect, conn: Conn, worker: Worker, how: str) -> None:
    job_id = enqueue(conn, key="k")
    lease = worker.claim_one()
    cancel(conn, job_id)
    report(conn, lease)
    before = job(conn, job_id)
    settling = connect(autocommit=False)

    if how == "done":
        worker.done(lease, conn=settling)
    else:
        worker.settle(lease.outcome(how), conn=settling)
    settling.rollback()

    assert job(conn, job_id) == before
    assert (
        holder(conn, "k"),
        scalar(conn, "select count(*) from pgqueue.cancel_requests"),
        attempts(conn, job_id),
    ) == (job_id, 1, [])


def report(conn: Conn, lease: Lease) -> list[int]:
    reports = json.dumps([{"id": lease.id, "token": lease.token, "fraction": 0.5, "note": "half"}])
    return [row[0] for row in conn.execute("select x from pgqueue.report_progress(%s::jsonb) x", (reports,))]


# The zombie: a worker whose lease is gone, its job handed on, run by another, or finished.


def zombie_writes(conn: Conn, zombie: Worker, lease: Lease) -> None:
    """Try every function that takes a token; each must refuse."""
    assert zombie.done(lease) == [lease.id]
    for outcome in OUTCOMES:
        assert zombie.settle(lease.outcome(outcome, delay=0, error=ERROR, alone=True)) == [lease.id]
    assert report(conn, lease) == [lease.id]
    assert (
        conn.execute(
            "select * from pgqueue.lease_states(array[%s]::bigint[], array[%s]::bigint[])", (lease.id, lease.token)
        ).fetchall()
        == []
    )
    for in_handler in (guard, complete):
        with pytest.raises(psycopg.Error) as raised:
            in_handler(conn, lease)
        assert raised.value.sqlstate == "PQ005"


@pytest.mark.parametrize("now", ["waiting", "running elsewhere", "running here", "succeeded", "cancelled", "dead"])
def test_i4_a_zombies_token_changes_nothing_anywhere(conn: Conn, now: str) -> None:
    zombie, other = Worker(conn), Worker(conn)
    job_id = enqueue(conn, key="k")
    lease = zombie.claim_one()
    zombie.settle(lease.outcome("failed", delay=0))
    match now:
        case "running elsewhere":
            other.claim_one()
        case "running here":
            zombie.claim_one()
        case "succeeded" | "cancelled" | "dead":
            other.settle(other.claim_one().outcome(now))
    before, history = job(conn, job_id), attempts(conn, job_id)

    zombie_writes(conn, zombie, lease)

    assert (job(conn, job_id), attempts(conn, job_id)) == (before, history)
    assert scalar(conn, "select count(*) from pgqueue.job_progress") == 0


@pytest.mark.parametrize("token", [None, 0, -1, 2**63 - 1])
def test_i4_a_token_that_was_never_stamped_opens_nothing(conn: Conn, worker: Worker, token: int | None) -> None:
    waiting = enqueue(conn)
    make_due(conn, waiting)

    zombie_writes(conn, worker, Lease(waiting, token))  # type: ignore[arg-type]
    lease = worker.claim_one()
    zombie_writes(conn, worker, Lease(lease.id, token))  # type: ignore[arg-type]

    assert worker.done(lease) == []


def test_i4_an_attempt_of_the_same_id_and_number_but_another_token_is_refused(conn: Conn, worker: Worker) -> None:
    """What an asynchronous failover does: id and attempt are issued again."""
    conn.execute("select setval('pgqueue.job_ids', 1000)")
    enqueue(conn)
    zombie = worker.claim_one()
    conn.execute(
        "delete from pgqueue.queued_jobs; delete from pgqueue.job_args; select setval('pgqueue.job_ids', 1000)"
    )
    enqueue(conn)
    lease = worker.claim_one()

    assert (zombie.id, zombie.attempt) == (lease.id, lease.attempt)
    zombie_writes(conn, worker, zombie)
    assert worker.done(lease) == []


@pytest.mark.parametrize("how", ["done", "settle"])
def test_i4_one_stale_attempt_keeps_no_other_of_its_batch_from_settling(conn: Conn, worker: Worker, how: str) -> None:
    ids = enqueue_many(conn, [{"task": "t"}] * 5)
    leases = worker.claim()
    worker.done(leases[2])

    stale = worker.done(*leases) if how == "done" else worker.settle(*(lease.outcome("succeeded") for lease in leases))

    assert stale == [ids[2]]
    assert {state(conn, job_id) for job_id in ids} == {"succeeded"}


def test_i15_what_is_finished_stays_so_whatever_a_worker_sends(conn: Conn, worker: Worker) -> None:
    for outcome in ("succeeded", "cancelled", "dead"):
        job_id = enqueue(conn)
        lease = worker.claim_one()
        worker.settle(lease.outcome(outcome))
        zombie_writes(conn, worker, lease)
        assert state(conn, job_id) == outcome


def test_a_dead_letter_holds_the_evidence_of_every_attempt(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    for n in range(3):
        worker.settle(worker.claim_one().outcome("failed", delay=0, error=ERROR | {"message": f"no {n}"}))
    worker.settle(worker.claim_one().outcome("dead", error=ERROR | {"message": "never"}))

    row = job(conn, job_id)
    evidence = scalar(conn, "select attempts from pgqueue.dead_jobs where id = %s", job_id)
    assert (row["state"], row["error"]["message"], row["failures"]) == ("dead", "never", 4)
    assert [(e["attempt"], e["outcome"], e["error"]["message"]) for e in evidence] == [
        (1, "failed", "no 0"), (2, "failed", "no 1"), (3, "failed", "no 2"), (4, "dead", "never"),
    ]  # fmt: skip
    assert attempts(conn, job_id) == [(1, "failed"), (2, "failed"), (3, "failed"), (4, "dead")]
    assert scalar(conn, "select count(*) from pgqueue.job_attempts") == 0


def test_the_evidence_is_the_last_100_attempts(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    for _ in range(105):
        worker.settle(worker.claim_one().outcome("snoozed", delay=0))
    worker.settle(worker.claim_one().outcome("dead"))

    assert [attempt for attempt, _ in attempts(conn, job_id)] == list(range(7, 107))


def test_i14_settles_of_overlapping_sets_in_any_order_never_deadlock(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    """A worker that sends a batch again through a new connection, while the old one still works on it."""
    for _ in range(10):
        enqueue_many(conn, [{"task": "t", "key": f"k{n}"} for n in range(40)])
        leases = worker.claim()
        connections = [connect() for _ in range(4)]

        def send(place: int, leases: list[Lease], connections: list[Conn]) -> list[int]:
            order = leases if place % 2 else leases[::-1]
            if place == 0:
                return worker.done(*leases, conn=connections[0])
            return worker.settle(
                *(lease.outcome(("succeeded", "failed")[place % 2], delay=0) for lease in order),
                conn=connections[place],
            )

        with ThreadPoolExecutor(4) as pool:
            stale = list(pool.map(partial(send, leases=leases, connections=connections), range(4)))

        assert sum(map(len, stale)) == 3 * 40
        for lease in worker.claim():
            worker.done(lease)
        for connection in connections:
            connection.close()


def test_i14_a_settle_waits_for_nothing_but_a_handlers_own_transaction(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    enqueue_many(conn, [{"task": "t"}] * 2)
    one, two = worker.claim()
    handler, settling = connect(autocommit=False), connect()

    guard(handler, one)
    waiting = Background(settling, lambda: worker.done(one, two, conn=settling)).waits(conn)
    rescued_meanwhile = rescue(conn)
    handler.commit()

    assert (waiting.result(), rescued_meanwhile) == ([], [])
