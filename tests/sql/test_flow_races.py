# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Two sessions at one flow: each test steps both of them through the one interleaving that matters."""

from typing import Any

import pytest

from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import Background, Conn, Lease, Worker, cancel, enqueue, retry, scalar, sweep
from tests.sql.flows import add_to_flow, barrier, counts, drain, due, ended, flow, fold, outcomes, run, states


def settle(conn: Conn, worker: Worker, lease: Lease, outcome: str = "succeeded") -> Background:
    return Background(conn, lambda: worker.settle(lease.outcome(outcome), conn=conn))


@pytest.mark.parametrize("outcome", ["succeeded", "dead"])
@pytest.mark.parametrize("linked", [False, True])
def test_i6_a_link_to_a_parent_that_is_being_settled_sees_its_end(connect: Connect, linked: bool, outcome: str) -> None:
    conn, settler, watcher = connect(), connect(), connect()
    worker = Worker(conn)
    parent = flow(conn, {})[0] if linked else enqueue(conn)
    lease = worker.claim_one()
    settler.execute("begin")
    worker.settle(lease.outcome(outcome), conn=settler)
    adding = Background(conn, lambda: flow(conn, {"after": [{"id": parent}]})).waits(watcher)
    settler.execute("commit")
    ids = adding.result()
    assert states(conn, ids) == ["ready" if outcome == "succeeded" else "cancelled"]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("short", [False, True])
def test_i6_a_settle_that_meets_a_link_being_added_tells_it(connect: Connect, linked: bool, short: bool) -> None:
    conn, adder, watcher = connect(), connect(), connect()
    worker = Worker(conn)
    parent = flow(conn, {})[0] if linked else enqueue(conn)
    lease = worker.claim_one()
    adder.execute("begin")
    ids = flow(adder, {"after": [{"id": parent}]})
    settling = Background(conn, lambda: worker.done(lease) if short else worker.settle(lease.outcome("succeeded")))
    settling.waits(watcher)
    adder.execute("commit")
    assert settling.result() == []
    assert states(conn, ids) == ["ready"]


def test_i6_two_last_parents_settled_at_once_let_a_child_go_once(connect: Connect) -> None:
    conn, first, second, watcher = (connect() for _ in range(4))
    worker = Worker(conn)
    ids = flow(conn, {}, {}, {"after": [0, 1]}, {"after": [2]})
    one, two = worker.claim()
    first.execute("begin")
    worker.settle(one.outcome("succeeded"), conn=first)
    settling = settle(second, worker, two).waits(watcher)
    first.execute("commit")
    assert settling.result() == []
    assert counts(conn, ids[2])["pending"] == 0
    assert states(conn, ids) == ["succeeded", "succeeded", "ready", "blocked"]


def test_i6_two_last_parents_of_a_gathering_child_pass_each_other_and_the_fold_lets_it_go(connect: Connect) -> None:
    conn, first, second = connect(), connect(), connect()
    worker = Worker(conn)
    ids = flow(conn, {}, {}, {"after": [0, 1], "gather": True})
    one, two = worker.claim()
    first.execute("begin")
    worker.settle(one.outcome("succeeded"), conn=first)
    assert settle(second, worker, two).result() == [], "it does not wait"
    assert fold(second) == 1, "nor does the fold"
    first.execute("commit")
    assert states(conn, ids)[2] == "blocked"
    assert fold(conn) == 1
    assert fold(conn) == 0
    assert due(worker) == [ids[2]]
    assert scalar(conn, "select count(*) from pgqueue.flow_deltas") == 0


def test_i6_the_next_parent_adds_up_what_an_earlier_one_left(connect: Connect) -> None:
    conn, first, second = connect(), connect(), connect()
    worker = Worker(conn)
    ids = flow(conn, {}, {}, {}, {"after": [0, 1, 2], "gather": True})
    one, two, three = worker.claim()
    first.execute("begin")
    worker.settle(one.outcome("succeeded"), conn=first)
    worker.settle(two.outcome("succeeded"), conn=second)
    first.execute("commit")
    worker.settle(three.outcome("succeeded"), conn=second)
    assert due(worker) == [ids[3]]
    assert fold(conn) == 0


@pytest.mark.parametrize("gather", [False, True])
def test_i6_a_fold_and_a_settle_at_once_count_each_end_once(connect: Connect, gather: bool) -> None:
    conn, first, second, watcher = (connect() for _ in range(4))
    worker = Worker(conn)
    ids = flow(conn, {}, {}, {"barrier": True, "after": [ended(0), ended(1)], "gather": gather}, {"after": [2]})
    one, two = worker.claim()
    first.execute("begin")
    worker.settle(one.outcome("dead"), conn=first)
    settling = settle(second, worker, two).settled_or_waits(watcher)
    first.execute("rollback")
    assert settling.result() == []
    fold(conn)
    assert counts(conn, ids[2])["pending"] == 1, "what was rolled back does not count"
    worker.settle(one.outcome("succeeded"))
    assert due(worker) == [ids[3]]


def test_i15_a_retry_of_a_dead_parent_and_the_end_of_the_other_one(connect: Connect) -> None:
    conn, operator, watcher = connect(), connect(), connect()
    worker = Worker(conn)
    ids = flow(conn, {}, {}, {"after": [ended(0), ended(1)]})
    run(worker, ids[0], outcome="dead")
    (lease,) = worker.claim()
    operator.execute("begin")
    retry(operator, ids[0])
    settling = settle(conn, worker, lease).waits(watcher)
    operator.execute("commit")
    settling.result()
    assert states(conn, ids) == ["ready", "succeeded", "blocked"], "it waits for the parent that runs again"
    run(worker, ids[0])
    assert due(worker) == [ids[2]]


def test_i15_a_retry_that_comes_after_the_last_parent_finds_the_child_gone(connect: Connect) -> None:
    conn, operator, watcher = connect(), connect(), connect()
    worker = Worker(conn)
    ids = flow(conn, {}, {}, {"after": [ended(0), ended(1)]})
    run(worker, ids[0], outcome="dead")
    (lease,) = worker.claim()
    conn.execute("begin")
    worker.settle(lease.outcome("succeeded"))
    retrying = Background(operator, lambda: retry(operator, ids[0])).waits(watcher)
    conn.execute("commit")
    retrying.result()
    assert states(conn, ids) == ["ready", "succeeded", "ready"]
    assert drain(worker) == 2
    assert outcomes(conn, ids) == ["succeeded"] * 3


def test_i14_a_cancel_of_a_child_that_is_being_let_go_leaves_a_request(connect: Connect) -> None:
    conn, settler = connect(), connect()
    worker = Worker(conn)
    ids = flow(conn, {}, {"after": [0]}, {"after": [1]})
    lease = worker.claim_one()
    settler.execute("begin")
    worker.settle(lease.outcome("succeeded"), conn=settler)
    assert cancel(conn, ids[1]) == "blocked", "it does not wait"
    settler.execute("commit")
    assert sweep(conn) == 1
    assert outcomes(conn, ids) == ["succeeded", "cancelled", "cancelled"]


def test_i14_a_settle_waits_for_the_cancel_of_a_child_and_passes_it_by(connect: Connect) -> None:
    conn, canceller, watcher = connect(), connect(), connect()
    worker = Worker(conn)
    ids = flow(conn, {}, {"after": [0]}, {"after": [1]}, {"after": [0]})
    lease = worker.claim_one()
    canceller.execute("begin")
    assert cancel(canceller, ids[1]) == "blocked"
    settling = settle(conn, worker, lease).waits(watcher)
    canceller.execute("commit")
    assert settling.result() == []
    assert outcomes(conn, ids) == ["succeeded", "cancelled", "cancelled", None]
    assert due(worker) == [ids[3]]


def test_i14_cascades_that_cross_do_not_deadlock(connect: Connect) -> None:
    """One end reaches the first barrier and through it the second; the other reaches the second, then waits for the first."""
    conn, first, second, watcher = (connect() for _ in range(4))
    worker = Worker(conn)
    ids = flow(conn, {}, {}, {"barrier": True, "after": [0, 1]}, {"barrier": True, "after": [1, 2]}, {"after": [3, 0]})
    one, two = worker.claim()
    first.execute("begin")
    worker.settle(one.outcome("dead"), conn=first)
    settling = settle(second, worker, two).waits(watcher)
    first.execute("commit")
    assert settling.result() == []
    assert outcomes(conn, ids) == ["dead", "succeeded", "cancelled", "cancelled", "cancelled"]


def test_i14_wide_cascades_that_cross_do_not_deadlock(connect: Connect) -> None:
    """Each has all children of its root, and reaches through one of them the last child of the other."""
    conn, first, second, stop, watcher = (connect() for _ in range(5))
    worker = Worker(conn)
    size = 250
    one, two = list(range(2, 2 + size)), list(range(2 + size, 2 + 2 * size))
    entries: list[dict[str, Any]] = [{}, {}, *({"after": [0]} for _ in one), *({"after": [1]} for _ in two)]
    entries[two[-1]]["after"].append(ended(one[0]))
    entries[one[-1]]["after"].append(ended(two[0]))
    entries.append({"after": [ended(one[-1]), ended(two[-1])]})
    ids = flow(conn, *entries)
    here, there = worker.claim()
    stop.execute("begin")
    stop.execute("select from pgqueue.queued_jobs where id = any(%s) for update", ([ids[one[3]], ids[two[3]]],))

    cascades = [
        settle(first, worker, here, "dead").waits(watcher),
        settle(second, worker, there, "dead").settled_or_waits(watcher),
    ]
    stop.execute("commit")

    assert [cascade.result() for cascade in cascades] == [[], []]
    assert outcomes(conn, ids) == ["dead"] * 2 + ["cancelled"] * 2 * size + [None]
    assert due(worker) == [ids[-1]]


def test_i6_a_wide_end_of_barriers_holds_only_what_it_reaches(connect: Connect) -> None:
    """Barriers that end well let jobs go; what comes after those jobs is nobody's business yet."""
    conn, other = connect(), connect()
    worker = Worker(conn)
    size = 230
    entries = [
        {},
        *(barrier(0) for _ in range(size)),
        *({"after": [1 + i]} for i in range(size)),
        *({"after": [1 + size + i]} for i in range(size)),
    ]
    ids = flow(conn, *entries)
    lease = worker.claim_one()
    other.execute("begin")
    other.execute("select from pgqueue.flow_nodes where id = any(%s) for update", (ids[1 + 2 * size :],))

    assert settle(conn, worker, lease).result() == []
    other.execute("commit")
    assert due(worker) == sorted(ids[1 + size : 1 + 2 * size])


def test_i4_jobs_are_added_while_the_lease_holds_and_nothing_is_let_go_meanwhile(
    connect: Connect, refused: Refused
) -> None:
    conn, handler, watcher = connect(), connect(), connect()
    worker = Worker(conn)
    ids = flow(conn, {}, {"after": [0]})
    lease = worker.claim_one()
    handler.execute("begin")
    (added,) = add_to_flow(handler, lease, {})
    settling = settle(conn, worker, lease).waits(watcher)
    handler.execute("commit")
    assert settling.result() == []
    assert due(worker) == [added]
    with refused("PQ005"):
        add_to_flow(conn, lease, {})
    run(worker, added)
    assert due(worker) == [ids[1]]


def test_i13_retention_passes_a_flow_by_that_somebody_links_to(connect: Connect) -> None:
    conn, adder = connect(), connect()
    worker = Worker(conn)
    ids = flow(conn, {})
    run(worker, ids[0])
    conn.execute("update pgqueue.job_flows set created_at = created_at - interval '30 days'")
    conn.execute("update pgqueue.flow_nodes set ended_at = ended_at - interval '30 days'")
    adder.execute("begin")
    flow(adder, {"after": [{"id": ids[0]}]})
    assert scalar(conn, "select pgqueue.sweep_flows()") == 0
    adder.execute("commit")
    assert scalar(conn, "select pgqueue.sweep_flows()") == 0
