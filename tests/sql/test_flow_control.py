# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Operators and flows: retries, cancels, growth from inside, progress, retention."""

import pytest

from tests.sql.conftest import Refused
from tests.sql.engine import Conn, Worker, cancel, column, enqueue, redrive, retry, scalar, sweep
from tests.sql.flows import (
    add_to_flow,
    barrier,
    batch,
    cancel_flow,
    counts,
    drain,
    due,
    ended,
    flow,
    flow_ids,
    flow_state,
    fold,
    outcomes,
    retry_flow,
    run,
    saga,
    states,
    sweep_flows,
)


def test_i15_a_dead_parent_that_is_retried_counts_once(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, {}, {}, {"after": [0, 1], "on_failure": "wait"})
    run(worker, ids[0], outcome="dead")
    assert retry(conn, ids[0]) == ids[0]
    assert counts(conn, ids[2])["pending"] == 2
    run(worker, ids[0])
    assert states(conn, ids)[2] == "blocked"
    assert [counts(conn, ids[2])[name] for name in ("pending", "breached")] == [1, 0]
    run(worker, ids[1])
    assert due(worker) == [ids[2]]


@pytest.mark.parametrize("how", ["retry", "redrive"])
def test_a_child_with_policy_wait_goes_on_after_a_retry(conn: Conn, worker: Worker, how: str) -> None:
    ids = flow(conn, {}, {"after": [0], "on_failure": "wait"}, {"after": [1]})
    run(worker, ids[0], outcome="dead")
    assert due(worker) == []
    assert retry(conn, ids[0]) == ids[0] if how == "retry" else redrive(conn) == 1
    assert drain(worker) == 3


def test_a_retry_of_a_child_alone_waits_for_the_retry_of_its_parent(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, {}, {"after": [0]}, {"after": [1]})
    run(worker, ids[0], outcome="dead")
    assert outcomes(conn, ids) == ["dead", "cancelled", "cancelled"]
    assert [retry(conn, ids[2]), retry(conn, ids[1])] == [ids[2], ids[1]]
    assert states(conn, ids) == ["dead", "blocked", "blocked"]
    assert due(worker) == []
    retry(conn, ids[0])
    assert [*map(len, [due(worker)])] == [1]
    assert drain(worker) == 3


def test_a_retry_of_a_child_that_had_started_runs_it_at_once(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, {}, {"after": [0]})
    run(worker, ids[0])
    run(worker, ids[1], outcome="dead")
    retry(conn, ids[1])
    assert due(worker) == [ids[1]]
    run(worker, ids[1])
    assert outcomes(conn, ids) == ["succeeded", "succeeded"]


def test_a_job_that_was_skipped_is_not_retried_while_it_would_be_skipped_again(
    conn: Conn, worker: Worker, refused: Refused
) -> None:
    ids = flow(conn, *batch(2), kind="batch")
    drain(worker)
    with refused("PQ003") as refusal:
        retry(conn, ids[-1])
    assert "was skipped" in refusal.message
    assert outcomes(conn, ids) == ["succeeded"] * 5 + ["skipped"]


def test_a_step_of_a_saga_that_was_given_up_is_not_retried(conn: Conn, worker: Worker, refused: Refused) -> None:
    ids = flow(conn, *saga(2), kind="saga")
    run(worker, ids[0])
    run(worker, ids[1], outcome="dead")
    with refused("PQ003") as refusal:
        retry(conn, ids[1])
    assert "is a step of a saga that was given up" in refusal.message
    assert redrive(conn) == 0
    assert states(conn, ids)[1] == "dead"
    assert due(worker) == [ids[3]]


@pytest.mark.parametrize("members", [3, 120])
def test_a_flow_that_is_retried_runs_what_it_lacks_and_calls_back_once(
    conn: Conn, worker: Worker, members: int
) -> None:
    flow_id, ids = flow_ids(conn, *batch(members), kind="batch")
    run(worker, *ids[1:members])
    run(worker, ids[0], outcome="dead")
    drain(worker)
    assert outcomes(conn, ids)[members:] == ["dead", "skipped", "succeeded", "succeeded"]
    assert flow_state(conn, flow_id)["state"] == "failed"
    assert retry_flow(conn, flow_id) == 2
    fold(conn)
    assert outcomes(conn, ids)[members:] == [None, None, "succeeded", "succeeded"]
    assert drain(worker) == 2
    assert outcomes(conn, ids) == ["succeeded"] * (members + 4)
    assert flow_state(conn, flow_id)["state"] == "succeeded"
    assert retry_flow(conn, flow_id) == 0
    attempts = column(conn, "select attempt from pgqueue.jobs where id = any(%s)", ids[-3:])
    assert attempts == [1, 1, 1]


def test_a_flow_that_is_retried_keeps_its_policies(conn: Conn, worker: Worker) -> None:
    flow_id, ids = flow_ids(conn, {}, {"after": [0]}, {"after": [1]}, kind="chain")
    run(worker, ids[0], outcome="dead")
    assert retry_flow(conn, flow_id) == 3
    assert states(conn, ids) == ["ready", "blocked", "blocked"]
    run(worker, ids[0], outcome="dead")
    assert outcomes(conn, ids) == ["dead", "cancelled", "cancelled"]
    assert retry_flow(conn, flow_id) == 3
    assert drain(worker) == 3


def test_a_saga_that_is_retried_runs_the_undos_that_failed(conn: Conn, worker: Worker) -> None:
    flow_id, ids = flow_ids(conn, *saga(3), kind="saga")
    run(worker, ids[0])
    run(worker, ids[1])
    run(worker, ids[2], outcome="dead")
    run(worker, ids[5], outcome="dead")
    assert flow_state(conn, flow_id)["state"] == "failed"
    assert retry_flow(conn, flow_id) == 1
    for undo in (ids[5], ids[4]):
        assert due(worker) == [undo]
        run(worker, undo)
    assert outcomes(conn, ids)[:4] == ["succeeded", "succeeded", "dead", "dead"]


def test_cancelling_a_flow_ends_what_waits_and_stops_what_runs(conn: Conn, worker: Worker) -> None:
    flow_id, ids = flow_ids(
        conn, {}, {"group_key": "g"}, {"after": [ended(0)]}, {"after": [ended(2)]}, barrier(0, 3), {"after": [4]}
    )
    (lease,) = worker.claim(1)
    assert lease.id == ids[0]
    assert cancel_flow(conn, flow_id) == 5
    assert states(conn, ids) == ["running", "cancelled", "cancelled", "cancelled", None, "cancelled"]
    assert worker.beat() == [ids[0]]
    worker.settle(lease.outcome("failed"))
    assert outcomes(conn, ids) == ["cancelled"] * 6
    assert flow_state(conn, flow_id)["state"] == "cancelled"
    assert cancel_flow(conn, flow_id) == 0


def test_cancelling_a_saga_undoes_it(conn: Conn, worker: Worker) -> None:
    flow_id, ids = flow_ids(conn, *saga(3), kind="saga")
    run(worker, ids[0])
    run(worker, ids[1])
    assert cancel_flow(conn, flow_id) == 1
    for undo in (ids[5], ids[4]):
        assert due(worker) == [undo]
        run(worker, undo)
    assert outcomes(conn, ids) == ["succeeded", "succeeded", "cancelled", "dead", "succeeded", "succeeded", "skipped"]


@pytest.mark.parametrize("function", ["cancel_flow", "retry_flow"])
def test_an_unknown_flow_is_refused(conn: Conn, refused: Refused, function: str) -> None:
    with refused("PQ001") as refusal:
        scalar(conn, f"select pgqueue.{function}(%s)", 10**9)

    assert "1000000000" in refusal.message


@pytest.mark.parametrize("members", [2, 150])
def test_i4_a_batch_grows_from_inside_while_the_lease_holds(
    conn: Conn, worker: Worker, refused: Refused, members: int
) -> None:
    ids = flow(conn, *batch(members), kind="batch")
    run(worker, *ids[: members - 1])
    (lease,) = worker.claim()
    added = add_to_flow(conn, lease, {}, {"after": [0]}, {"after": [{"id": lease.id}]})
    assert worker.settle(lease.outcome("succeeded")) == []
    fold(conn)
    with refused("PQ005"):
        add_to_flow(conn, lease, {})
    for found in ([added[0], added[2]], [added[1]]):
        assert states(conn, ids[-3:]) == ["blocked"] * 3
        assert due(worker) == found
        run(worker, *found)
    fold(conn)
    assert due(worker) == ids[-3:-1]
    drain(worker)
    assert outcomes(conn, ids)[-4:] == ["succeeded", "succeeded", "succeeded", "skipped"]


def test_what_is_added_must_not_wait_for_what_waits_for_it(conn: Conn, worker: Worker, refused: Refused) -> None:
    ids = flow(conn, {}, {"after": [0]})
    (lease,) = worker.claim()
    with refused("PQ004"):
        add_to_flow(conn, lease, {"after": [{"id": ids[1]}]})
    (added,) = add_to_flow(conn, lease, {})
    worker.settle(lease.outcome("succeeded"))
    (lease,) = worker.claim()
    assert lease.id == added
    (last,) = add_to_flow(conn, lease, {"after": [{"id": ids[0]}]})
    worker.settle(lease.outcome("succeeded"))
    for node in (last, ids[1]):
        assert due(worker) == [node]
        run(worker, node)


def test_nothing_is_added_from_a_job_without_a_flow(conn: Conn, worker: Worker, refused: Refused) -> None:
    enqueue(conn)
    (lease,) = worker.claim()

    with refused("PQ003"):
        add_to_flow(conn, lease, {})

    assert scalar(conn, "select count(*) from pgqueue.jobs") == 1


def test_results_of_parents_come_in_order_and_through_barriers(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, {"name": "a"}, {"name": "b"}, barrier(1, 0), {"name": "c"}, {"after": [3, 2]})
    for index in (0, 1, 3):
        run(worker, ids[index], result={"n": index})
    rows = conn.execute("select id, name, task, outcome, result from pgqueue.flow_parents(%s)", (ids[4],)).fetchall()
    assert rows == [(ids[n], name, "t", "succeeded", {"n": n}) for n, name in ((3, "c"), (1, "b"), (0, "a"))]


def test_the_views_tell_progress(conn: Conn, worker: Worker) -> None:
    flow_id, ids = flow_ids(
        conn, {"name": "first"}, {}, barrier(0, 1), {"after": [2, 0], "role": "x"}, name="n", kind="group"
    )
    run(worker, ids[0])
    worker.claim()
    row = flow_state(conn, flow_id)
    assert {name: row[name] for name in ("kind", "name", "state", "total", "succeeded", "failed", "cancelled", "running", "waiting")} == {
        "kind": "group", "name": "n", "state": "running", "total": 3, "succeeded": 1, "failed": 0, "cancelled": 0, "running": 1, "waiting": 1,
    }  # fmt: skip
    rows = conn.execute(
        "select id, name, role, task, state, after from pgqueue.flow_jobs where flow_id = %s", (flow_id,)
    ).fetchall()
    assert sorted(rows) == [
        (ids[0], "first", "member", "t", "succeeded", []),
        (ids[1], None, "member", "t", "running", []),
        (ids[2], None, "member", None, "blocked", ids[:2]),
        (ids[3], None, "x", "t", "blocked", [ids[2], ids[0]]),
    ]


def test_i13_retention_forgets_a_flow_only_when_all_of_it_ended_long_ago(conn: Conn, worker: Worker) -> None:
    _, ids = flow_ids(conn, {}, {"after": [0]})
    other = flow(conn, {}, {"after": [{"id": ids[1]}, 0]})
    run(worker, ids[0])
    long_ago = "update pgqueue.job_flows set created_at = created_at - interval '30 days'; update pgqueue.flow_nodes set ended_at = ended_at - interval '30 days'"
    conn.execute(long_ago)
    assert sweep_flows(conn) == 0, "unfinished"
    run(worker, ids[1])
    assert sweep_flows(conn) == 0, "ended today"
    conn.execute(long_ago)
    assert sweep_flows(conn) == 0, "another flow waits for it"
    drain(worker)
    conn.execute(long_ago)
    assert sweep_flows(conn) == 2
    assert [
        scalar(conn, f"select count(*) from pgqueue.{table}") for table in ("flow_nodes", "flow_links", "job_flows")
    ] == [0, 0, 0]
    assert states(conn, other) == ["succeeded"] * 2


def test_a_job_that_others_wait_to_see_retried_is_not_removed(conn: Conn, worker: Worker, refused: Refused) -> None:
    ids = flow(conn, {}, {"after": [0], "on_failure": "wait"})
    run(worker, ids[0], outcome="dead")
    with refused("PQ003"):
        scalar(conn, "select pgqueue.remove(%s)", ids[0])
    cancel(conn, ids[1])
    assert scalar(conn, "select pgqueue.remove(%s)", ids[0]) == "dead"


def test_a_request_to_cancel_that_comes_later_is_told_to_children_too(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, {}, {"after": [0]}, {}, {"after": [2]})
    conn.execute(
        "insert into pgqueue.cancel_requests (job_id, requested_at) select i, now() from unnest(%s::bigint[]) i",
        ([ids[0], ids[2]],),
    )
    assert [sweep(conn), sweep(conn)] == [1, 1]
    assert outcomes(conn, ids) == ["cancelled"] * 4
