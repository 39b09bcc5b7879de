# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Cancel: at once for what waits, a request for what runs; whatever it races with, the job ends cancelled or succeeded."""

import json
from collections.abc import Callable
from functools import partial
from itertools import product

import pytest

from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import (
    Background,
    Conn,
    Lease,
    Worker,
    attempts,
    cancel,
    enqueue,
    guard,
    holder,
    job,
    make_due,
    rescue,
    retry,
    scalar,
    state,
    sweep,
)  # fmt: skip


def requests(conn: Conn) -> int:
    return int(scalar(conn, "select count(*) from pgqueue.cancel_requests"))


@pytest.mark.parametrize("found", ["ready", "scheduled"])
def test_a_waiting_job_is_cancelled_at_once(conn: Conn, worker: Worker, found: str) -> None:
    job_id = enqueue(conn, key="k", delay="1 hour" if found == "scheduled" else "0")

    assert cancel(conn, job_id) == found

    row = job(conn, job_id)
    assert (row["state"], row["error"]["type"], row["started_at"], holder(conn, "k")) == (
        "cancelled",
        "Cancelled",
        None,
        None,
    )
    assert (worker.claim(), requests(conn), attempts(conn, job_id)) == ([], 0, [])


@pytest.mark.parametrize("outcome", ["failed", "dead", "snoozed", "released", "lost", "cancelled"])
def test_a_running_job_is_told_to_stop_and_ends_cancelled(conn: Conn, worker: Worker, outcome: str) -> None:
    job_id = enqueue(conn, key="k")
    lease = worker.claim_one()

    assert cancel(conn, job_id) == "running"
    assert worker.beat() == [job_id]
    worker.settle(lease.outcome(outcome, delay=0, error={"type": "E", "message": "m"}))

    assert (state(conn, job_id), holder(conn, "k"), requests(conn)) == ("cancelled", None, 0)
    assert attempts(conn, job_id) == [(1, "cancelled")]


@pytest.mark.parametrize("short", [True, False])
def test_a_running_job_that_succeeds_first_has_succeeded(conn: Conn, worker: Worker, short: bool) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()

    cancel(conn, job_id)
    worker.done(lease) if short else worker.settle(lease.outcome("succeeded", result=1))
    sweep(conn)

    assert (state(conn, job_id), requests(conn)) == ("succeeded", 0)


@pytest.mark.parametrize("outcome", ["succeeded", "cancelled", "dead"])
def test_i15_a_finished_or_dead_job_stays_as_it_is(conn: Conn, worker: Worker, outcome: str) -> None:
    job_id = enqueue(conn)
    worker.settle(worker.claim_one().outcome(outcome))
    before = job(conn, job_id)

    assert cancel(conn, job_id) == outcome
    sweep(conn)

    assert (job(conn, job_id), requests(conn)) == (before, 0)


@pytest.mark.parametrize("job_id", [0, -1, 2**31, 2**63 - 1])
def test_an_unknown_job_is_an_error(conn: Conn, refused: Refused, job_id: int) -> None:
    with refused("PQ001") as refusal:
        cancel(conn, job_id)

    assert refusal.message.startswith(f"there is no job {job_id}: it never existed")


def test_a_job_whose_transaction_is_open_is_unknown_to_others(connect: Connect, conn: Conn, refused: Refused) -> None:
    producer = connect(autocommit=False)
    job_id = enqueue(producer)

    with refused("PQ001"):
        cancel(conn, job_id)
    assert cancel(producer, job_id) == "ready"


def test_a_cancel_that_rolls_back_changed_nothing(connect: Connect, conn: Conn, worker: Worker) -> None:
    waiting = enqueue(conn, key="k", delay="1 hour")
    running = enqueue(conn)
    lease = worker.claim_one()
    operator = connect(autocommit=False)

    cancel(operator, waiting)
    cancel(operator, running)
    operator.rollback()

    assert (state(conn, waiting), holder(conn, "k"), worker.beat(), requests(conn)) == ("scheduled", waiting, [], 0)
    assert worker.done(lease) == []


def test_a_cancel_twice_is_one(conn: Conn, worker: Worker) -> None:
    running, waiting = enqueue(conn), enqueue(conn)
    worker.claim_one()

    assert [cancel(conn, running) for _ in range(3)] == ["running"] * 3
    assert [cancel(conn, waiting) for _ in range(3)] == ["ready", "cancelled", "cancelled"]
    assert requests(conn) == 1


def test_a_claim_passes_by_what_an_open_transaction_cancels(connect: Connect, conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    operator = connect(autocommit=False)

    cancel(operator, job_id)
    during = worker.claim()
    operator.commit()

    assert (during, state(conn, job_id), worker.claim()) == ([], "cancelled", [])


def test_a_cancel_that_meets_a_claim_under_way_leaves_a_request(connect: Connect, conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    claiming = connect(autocommit=False)
    conn.execute("set lock_timeout = '2 s'")

    worker.claim(conn=claiming)
    found = cancel(conn, job_id)
    claiming.commit()

    assert (found, worker.beat()) == ("ready", [job_id])


def test_a_request_that_a_settle_could_not_see_is_swept(connect: Connect, conn: Conn, worker: Worker) -> None:
    """The settle waits for the handler's lock with a snapshot from before the request."""
    job_id = enqueue(conn, key="k")
    lease = worker.claim_one()
    handler, settling = connect(autocommit=False), connect()

    guard(handler, lease)
    waiting = Background(settling, lambda: worker.settle(lease.outcome("failed", delay=3600), conn=settling)).waits(
        conn
    )
    cancel(conn, job_id)
    handler.commit()
    waiting.result()
    before = state(conn, job_id)

    assert (before, sweep(conn)) == ("scheduled", 1)
    assert (state(conn, job_id), holder(conn, "k"), requests(conn)) == ("cancelled", None, 0)


def test_i6_a_job_that_died_while_the_request_was_on_its_way_ends_cancelled_with_its_evidence(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    job_id = enqueue(conn)
    worker.settle(worker.claim_one().outcome("failed", delay=0, error={"type": "E", "message": "first"}))
    lease = worker.claim_one()
    handler, settling = connect(autocommit=False), connect()

    guard(handler, lease)
    waiting = Background(
        settling, lambda: worker.settle(lease.outcome("dead", error={"type": "E", "message": "m"}), conn=settling)
    )
    waiting.waits(conn)
    cancel(conn, job_id)
    handler.commit()
    waiting.result()
    before = state(conn, job_id)

    assert (before, sweep(conn), state(conn, job_id), requests(conn)) == ("dead", 1, "cancelled", 0)
    assert attempts(conn, job_id) == [(1, "failed"), (2, "cancelled")]
    assert job(conn, job_id)["error"] == {"type": "E", "message": "m"}


def test_an_operators_retry_ends_an_older_request(connect: Connect, conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    worker.settle(lease.outcome("dead"))
    conn.execute("insert into pgqueue.cancel_requests values (%s, now())", (job_id,))

    retry(conn, job_id)
    sweep(conn)

    assert (state(conn, job_id), requests(conn)) == ("ready", 0)


# Every pair of operations: the first stays open while the second runs, then both end. Whatever the order, a job that
# was asked to stop ends cancelled, or succeeded, and cancel waits for nobody.

Op = Callable[[Conn, Worker, Lease | None, int], object]


def settle_as(outcome: str) -> Op:
    def settle(on: Conn, worker: Worker, lease: Lease | None, job_id: int) -> object:
        assert lease is not None
        return worker.settle(lease.outcome(outcome, delay=0, alone=outcome == "lost"), conn=on)

    return settle


def short(on: Conn, worker: Worker, lease: Lease | None, job_id: int) -> object:
    assert lease is not None
    return worker.done(lease, conn=on)


def lose(on: Conn, worker: Worker, lease: Lease | None, job_id: int) -> object:
    worker.fall_silent()
    return rescue(on)


def leave(on: Conn, worker: Worker, lease: Lease | None, job_id: int) -> object:
    return scalar(on, "select pgqueue.leave(%s)", worker.id)


def report(on: Conn, worker: Worker, lease: Lease | None, job_id: int) -> object:
    assert lease is not None
    return scalar(on, "select pgqueue.report_progress(%s::jsonb)", json.dumps([{"id": lease.id, "token": lease.token}]))


def claim(on: Conn, worker: Worker, lease: Lease | None, job_id: int) -> object:
    return worker.claim(conn=on)


def retry_it(on: Conn, worker: Worker, lease: Lease | None, job_id: int) -> object:
    return retry(on, job_id)


def replace(on: Conn, worker: Worker, lease: Lease | None, job_id: int) -> object:
    return enqueue(on, key="k", key_policy="replace", args={"new": 1})


def sweep_it(on: Conn, worker: Worker, lease: Lease | None, job_id: int) -> object:
    return sweep(on)


RUNNING: dict[str, Op] = {
    name: settle_as(name) for name in ("succeeded", "failed", "dead", "cancelled", "snoozed", "released", "lost")
}
RUNNING |= {"done": short, "rescue": lose, "leave": leave, "progress": report, "sweep": sweep_it}
WAITING: dict[str, Op] = {"claim": claim, "retry": retry_it, "replace": replace, "sweep": sweep_it}


def drain(conn: Conn, job_id: int) -> None:
    """What the house does in the end: silent workers are lost, requests swept, and what can be claimed fails again."""
    conn.execute("update pgqueue.worker_processes set heartbeat_at = heartbeat_at - 2 * lease")
    for _ in range(5):
        rescue(conn)
        sweep(conn)
        if state(conn, job_id) in ("cancelled", "succeeded", "dead"):
            return
        make_due(conn, job_id)
        worker = Worker(conn)
        for lease in worker.claim() + worker.claim_alone():
            worker.settle(lease.outcome("failed", delay=0))
    sweep(conn)


@pytest.mark.parametrize("running", [True, False], ids=["running", "waiting"])
def test_i6_i14_i15_cancel_in_every_order_with_every_other_operation_ends_cancelled_or_succeeded(
    connect: Connect, conn: Conn, subtests: pytest.Subtests, running: bool
) -> None:
    first, second = connect(autocommit=False), connect(autocommit=False)
    second.execute("set lock_timeout = '5 s'")
    second.commit()
    for (name, op), order in product(
        (RUNNING if running else WAITING).items(), ("cancel, op", "op, cancel", "op rolled back, cancel")
    ):
        with subtests.test(op=name, order=order):
            conn.execute(
                "delete from pgqueue.queued_jobs; delete from pgqueue.cancel_requests; delete from pgqueue.worker_processes"
            )
            conn.execute("delete from pgqueue.job_keys; update pgqueue.settings set max_losses = 1")
            worker = Worker(conn)
            job_id = enqueue(conn, key="k")
            lease = worker.claim_one() if running else None
            if order == "cancel, op":
                cancel(first, job_id)
                other = Background(second, partial(run_and_commit, op, second, worker, lease, job_id))
                other.settled_or_waits(conn)
                first.commit()
                other.result()
            else:
                op(first, worker, lease, job_id)
                cancel(second, job_id)  # with a lock_timeout: it never waits
                second.commit()
                first.rollback() if "rolled back" in order else first.commit()

            drain(conn, job_id)

            revived = name == "retry" and order == "cancel, op"  # an operator's later word
            assert state(conn, job_id) in (("ready",) if revived else ("cancelled", "succeeded"))
            assert requests(conn) == 0


def run_and_commit(op: Op, on: Conn, worker: Worker, lease: Lease | None, job_id: int) -> None:
    try:
        op(on, worker, lease, job_id)
    finally:
        on.commit()
