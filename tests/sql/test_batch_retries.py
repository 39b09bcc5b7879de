# ruff: noqa: E501 - SQL and names of tests are told on one line
"""A member of a batch that is retried by hand counts again: on_success fires if all succeed in the end, and no callback ever fires twice."""

import pytest

from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import Background, Conn, Worker, cancel, column, enqueue, redrive, retry, scalar, state
from tests.sql.flows import (
    barrier,
    batch,
    counts,
    drain,
    due,
    ended,
    flow,
    flow_ids,
    flow_state,
    fold,
    outcomes,
    run,
    states,
)


def called(conn: Conn, ids: list[int]) -> list[int]:
    """How often each callback has run."""
    return column(conn, "select attempt from pgqueue.jobs where id = any(%s) order by id", ids[-3:])


@pytest.mark.parametrize("members", [3, 120])
@pytest.mark.parametrize("how", ["retry", "redrive", "cancelled"])
def test_on_success_fires_once_when_a_dead_member_is_retried_and_succeeds(
    conn: Conn, worker: Worker, members: int, how: str
) -> None:
    flow_id, ids = flow_ids(conn, *batch(members), kind="batch")
    if how == "cancelled":
        cancel(conn, ids[0])
    else:
        run(worker, ids[0], outcome="dead")
    drain(worker)
    fold(conn)
    drain(worker)
    assert outcomes(conn, ids)[members:] == ["dead", "skipped", "succeeded", "succeeded"]

    if how == "redrive":
        redrive(conn)
    else:
        retry(conn, ids[0])
    fold(conn)

    assert outcomes(conn, ids)[members:] == [None, None, "succeeded", "succeeded"]
    assert flow_state(conn, flow_id)["state"] == "running"
    assert due(worker) == [ids[0]]
    run(worker, ids[0])
    fold(conn)
    assert drain(worker) == 1
    assert outcomes(conn, ids) == ["succeeded"] * (members + 4)
    assert called(conn, ids) == [1, 1, 1]
    assert flow_state(conn, flow_id)["state"] == "succeeded"


def test_a_member_that_dies_again_calls_nothing_again(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, *batch(2), kind="batch")
    for _ in range(3):
        run(worker, ids[0], outcome="dead")
        drain(worker)
        assert outcomes(conn, ids) == ["dead", "succeeded", "dead", "skipped", "succeeded", "succeeded"]
        retry(conn, ids[0])

    assert called(conn, ids) == [0, 1, 1]
    assert due(worker) == [ids[0]]


def test_of_two_dead_members_the_last_one_to_succeed_calls(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, *batch(3), kind="batch")
    run(worker, ids[0], ids[1], outcome="dead")
    drain(worker)

    retry(conn, ids[0])
    drain(worker)
    assert outcomes(conn, ids)[3:5] == ["dead", "skipped"]
    retry(conn, ids[1])
    drain(worker)

    assert outcomes(conn, ids) == ["succeeded"] * 7
    assert called(conn, ids) == [1, 1, 1]


def test_a_batch_of_batches_counts_anew_up_to_the_top(conn: Conn, worker: Worker) -> None:
    outer = [*batch(1), {}, barrier(ended(1), ended(2), ended(5), verdict=True), {"role": "on_success", "after": [6]}]
    ids = flow(conn, *outer, kind="batch")
    run(worker, ids[0], outcome="dead")
    drain(worker)
    assert outcomes(conn, ids) == ["dead", "dead", "skipped", "succeeded", "succeeded", "succeeded", "dead", "skipped"]

    retry(conn, ids[0])
    drain(worker)

    assert outcomes(conn, ids) == ["succeeded"] * 8


def test_a_callback_that_is_a_flow_is_called_as_a_whole(conn: Conn, worker: Worker) -> None:
    ids = flow(
        conn,
        {},
        barrier(ended(0), verdict=True),
        {"after": [{"index": 1, "when": "if_succeeded"}]},
        barrier(2),
        {"after": [3]},
        {"after": [1]},
    )
    run(worker, ids[0], outcome="dead")
    assert outcomes(conn, ids) == ["dead", "dead", "skipped", "skipped", "skipped", "cancelled"]

    retry(conn, ids[0])
    drain(worker)

    assert outcomes(conn, ids) == ["succeeded"] * 5 + ["cancelled"], "what was cancelled stays so, as after any job"


def test_a_callback_whose_key_another_job_has_stays_skipped(conn: Conn, worker: Worker) -> None:
    entries = batch(1)
    entries[2]["key"] = "k"
    ids = flow(conn, *entries, kind="batch")
    run(worker, ids[0], outcome="dead")
    drain(worker)
    other = enqueue(conn, key="k", delay="1 hour")

    retry(conn, ids[0])
    drain(worker)

    assert outcomes(conn, ids) == ["succeeded", "succeeded", "skipped", "succeeded", "succeeded"]
    assert state(conn, other) == "scheduled"


def test_a_batch_that_is_still_running_just_waits_for_the_retried_member(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, *batch(2), kind="batch")
    run(worker, ids[0], outcome="dead")
    retry(conn, ids[0])
    assert counts(conn, ids[2])["pending"] == 2
    drain(worker)
    assert outcomes(conn, ids) == ["succeeded"] * 5 + ["skipped"]


@pytest.mark.parametrize("gather", [False, True])
def test_i14_two_members_retried_at_once_do_not_deadlock(
    connect: Connect, worker: Worker, conn: Conn, gather: bool
) -> None:
    entries = batch(2)
    entries[2]["gather"] = gather
    ids = flow(conn, *entries, kind="batch")
    run(worker, ids[0], ids[1], outcome="dead")
    drain(worker)
    first, second = connect(autocommit=False), connect()

    retry(first, ids[1])
    other = Background(second, lambda: retry(second, ids[0])).settled_or_waits(conn)
    first.commit()
    other.result()
    fold(conn)

    assert states(conn, ids[:2]) == ["ready", "ready"]
    assert counts(conn, ids[2])["pending"] == 2
    drain(worker)
    assert outcomes(conn, ids) == ["succeeded"] * 6
    assert scalar(conn, "select count(*) from pgqueue.flow_deltas") == 0


@pytest.mark.parametrize("commits", [False, True])
def test_i6_a_retry_and_the_end_of_another_member_at_once_count_both(
    connect: Connect, worker: Worker, conn: Conn, commits: bool
) -> None:
    entries = batch(2)
    entries[2]["gather"] = True
    ids = flow(conn, *entries, kind="batch")
    run(worker, ids[0], ids[1], outcome="dead")
    drain(worker)
    retry(conn, ids[0])
    (lease,) = worker.claim()
    settler, operator = connect(autocommit=False), connect(autocommit=False)

    worker.settle(lease.outcome("succeeded"), conn=settler)
    other = Background(operator, lambda: retry(operator, ids[1])).settled_or_waits(conn)
    settler.commit() if commits else settler.rollback()
    other.result()
    operator.commit()
    fold(conn)

    assert counts(conn, ids[2])["pending"] == (1 if commits else 2)
    if not commits:
        assert worker.settle(lease.outcome("succeeded")) == []
    drain(worker)
    fold(conn)
    drain(worker)
    assert outcomes(conn, ids) == ["succeeded"] * 6


def test_a_callback_that_was_skipped_is_still_refused_by_itself(conn: Conn, worker: Worker, refused: Refused) -> None:
    ids = flow(conn, *batch(1), kind="batch")
    run(worker, ids[0], outcome="dead")
    drain(worker)
    with refused("PQ003"):
        retry(conn, ids[2])
