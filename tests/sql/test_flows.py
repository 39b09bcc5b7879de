# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Flows: links and their conditions, policies, barriers, batches, sagas."""

from typing import Any

import pytest

from tests.sql.conftest import Refused
from tests.sql.engine import Conn, Worker, cancel, enqueue, job, scalar
from tests.sql.flows import barrier, batch, drain, due, ended, flow, outcomes, run, saga, states


def test_a_chain_runs_one_after_the_other(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, {}, {"after": [0]}, {"after": [1]})
    assert states(conn, ids) == ["ready", "blocked", "blocked"]
    for index, node in enumerate(ids):
        assert due(worker) == [node]
        run(worker, node)
        assert states(conn, ids)[: index + 1] == ["succeeded"] * (index + 1)
    assert outcomes(conn, ids) == ["succeeded"] * 3


def test_links_may_point_anywhere_in_the_array(conn: Conn, worker: Worker) -> None:
    first, second, third, fourth = flow(conn, {"after": [3]}, {"after": [0, 2]}, {"after": [3]}, {})
    assert fourth < min(first, third) < max(first, third) < second, "ids ascend along the links"
    for ids in ([fourth], sorted([first, third]), [second]):
        assert due(worker) == ids
        run(worker, *ids)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"after": [0]}], "jobs[0]: after: an entry cannot wait for itself"),
        ([{"after": [1]}, {"after": [2]}, {"after": [0]}, {"after": [2]}], "the flow has a cycle: jobs[0] after jobs[1] after jobs[2] after jobs[0]"),
        ([{"after": [7]}], "jobs[0]: after: there is no entry 7"),
        ([{}, {"after": [0, 0]}], "jobs[1]: after: names one parent twice"),
        ([{}, {"after": ["x"]}], 'jobs[1]: after: must be places of other entries, or {"index": place} or {"id": job} with a "when", got "x"'),
        ([{}, {"after": [{"index": 0, "when": "never"}]}], "jobs[1]: after: when: must be succeeded, ended, failed, not_failed or if_succeeded, got 'never'"),
        ([{"on_failure": "x"}], "jobs[0]: on_failure: must be cancel, dead or wait, got 'x'"),
        ([{"barrier": True, "task": "t"}], "jobs[0]: a barrier is no job: unknown name task"),
        ([{}, {"verdict": True}], "jobs[1]: verdict: only a barrier has one"),
        ([barrier(), {"priority": 1000}], "jobs[1]: cannot enqueue task 't': priority: must be from -100 to 100 (lower runs first), got 1000"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_nothing_is_added(
    conn: Conn, refused: Refused, entries: list[dict[str, Any]], message: str
) -> None:
    with refused("PQ004") as refusal:
        flow(conn, *entries)
    assert refusal.message == message
    for table in ("queued_jobs", "flow_nodes", "flow_links", "job_flows", "job_args"):
        assert scalar(conn, f"select count(*) from pgqueue.{table}") == 0


def test_i1_a_flow_exists_exactly_when_its_transaction_commits(conn: Conn) -> None:
    with conn.transaction(force_rollback=True):
        flow(conn, {}, {"after": [0]})
    for table in ("flow_nodes", "flow_links", "job_flows", "queued_jobs"):
        assert scalar(conn, f"select count(*) from pgqueue.{table}") == 0
    with conn.transaction():
        ids = flow(conn, {}, {"after": [0]})
    assert states(conn, ids) == ["ready", "blocked"]


def test_a_key_that_another_job_holds_refuses_the_flow(conn: Conn, refused: Refused) -> None:
    holder = enqueue(conn, key="k")
    with refused("PQ002") as refusal:
        flow(conn, {}, {"key": "k", "after": [0]})
    assert refusal.hint == str(holder)
    assert scalar(conn, "select count(*) from pgqueue.queued_jobs") == 1


@pytest.mark.parametrize("outcome", ["dead", "cancelled", "expired"])
@pytest.mark.parametrize(
    ("policy", "expected"), [("cancel", "cancelled"), ("dead", "dead"), ("wait", None), (None, "cancelled")]
)
def test_a_parent_that_fails_meets_the_policy_of_its_child(
    conn: Conn, worker: Worker, outcome: str, policy: str | None, expected: str | None
) -> None:
    ids = flow(conn, {}, {}, {"after": [0, 1], "on_failure": policy}, {"after": [2], "on_failure": policy})
    run(worker, ids[0], outcome=outcome, error={"type": "E", "message": "m"})
    ended_as = "dead" if outcome == "dead" else "cancelled"
    assert outcomes(conn, ids) == [ended_as, None, expected, expected], "at once, whatever the other parent does"
    assert states(conn, ids[2:]) == [expected or "blocked"] * 2
    if expected:
        assert job(conn, ids[2])["error"]["message"] == f"it waited for job {ids[0]} (t), which ended as {ended_as}"
    run(worker, ids[1])
    assert states(conn, ids[2:]) == [expected or "blocked"] * 2
    assert due(worker) == []


def test_a_link_that_asks_for_any_end_lets_the_child_run(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, {}, {}, {"after": [ended(0), ended(1)]})
    run(worker, ids[0], outcome="dead")
    assert states(conn, ids)[2] == "blocked"
    run(worker, ids[1], outcome="cancelled")
    assert due(worker) == [ids[2]]


@pytest.mark.parametrize(("outcome", "expected"), [("dead", "ready"), ("succeeded", "cancelled")])
def test_a_link_that_asks_for_a_failure_runs_then_only(conn: Conn, worker: Worker, outcome: str, expected: str) -> None:
    ids = flow(conn, {}, {}, {"after": [{"index": 0, "when": "failed"}, {"index": 1, "when": "failed"}]})
    run(worker, ids[0])
    run(worker, ids[1], outcome=outcome)
    assert states(conn, ids)[2] == expected
    if expected == "cancelled":
        assert outcomes(conn, ids)[2] == "skipped"
        assert job(conn, ids[2])["error"]["message"] == "skipped"


def test_a_child_that_is_due_later_waits_for_that_too(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, {}, {"after": [0], "delay": "1 hour"})
    run(worker, ids[0])
    assert states(conn, ids) == ["succeeded", "scheduled"]


def test_barriers_without_parents_end_at_once_through_any_depth(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, barrier(), *(barrier(i) for i in range(50)), {"after": [50]})
    assert outcomes(conn, ids) == ["succeeded"] * 51 + [None]
    assert due(worker) == ids[-1:]


@pytest.mark.parametrize("members", [0, 1, 3, 150])
@pytest.mark.parametrize("outcome", [None, "dead", "cancelled"])
def test_a_batch_calls_back_once_when_all_members_have_ended(
    conn: Conn, worker: Worker, members: int, outcome: str | None
) -> None:
    ids = flow(conn, *batch(members), kind="batch")
    if members:
        assert states(conn, ids[-3:]) == ["blocked"] * 3
        run(worker, *ids[: members - 1]) if members > 1 else None
        assert states(conn, ids[-3:]) == ["blocked"] * 3
        run(worker, ids[members - 1], outcome=outcome or "succeeded")
    failed = bool(members and outcome)
    assert outcomes(conn, ids)[-4] == ("dead" if failed else "succeeded")
    assert due(worker) == ([ids[-2], ids[-1]] if failed else [ids[-3], ids[-2]])
    drain(worker)
    assert outcomes(conn, ids)[-3:] == (
        ["skipped", "succeeded", "succeeded"] if failed else ["succeeded", "succeeded", "skipped"]
    )


@pytest.mark.parametrize("failing", [0, 1, 2, None])
@pytest.mark.parametrize("outcome", ["dead", "cancelled"])
def test_a_saga_undoes_its_steps_in_reverse_order(
    conn: Conn, worker: Worker, failing: int | None, outcome: str
) -> None:
    ids = flow(conn, *saga(3), kind="saga")
    ran = 3 if failing is None else failing
    for step in ids[:ran]:
        run(worker, step)
    if failing is not None:
        run(worker, ids[failing], outcome=outcome)
    undone = []
    while found := due(worker):
        assert len(found) == 1
        undone += found
        run(worker, *found)
    assert undone == ([] if failing is None else ids[4 : 4 + ran][::-1])
    assert outcomes(conn, ids)[4:] == ["succeeded" if node in undone else "skipped" for node in ids[4:]]


def test_an_undo_that_dies_names_what_is_left_undone_and_its_retry_goes_on(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, *saga(3), kind="saga")
    run(worker, ids[0])
    run(worker, ids[1])
    run(worker, ids[2], outcome="dead")
    run(worker, ids[5], outcome="dead", error={"type": "E", "message": "no"})
    assert states(conn, ids[4:]) == ["blocked", "dead", "cancelled"]
    error = job(conn, ids[5])["error"]
    assert error["message"] == f"no; left undone: t (job {ids[5]}), t (job {ids[4]})"
    assert [entry["id"] for entry in error["undone"]] == [ids[5], ids[4]]


def test_what_waits_for_a_cancelled_job_is_told(conn: Conn, worker: Worker) -> None:
    ids = flow(conn, {}, {"after": [0]}, {"after": [1]}, {"after": [ended(1)]})
    assert cancel(conn, ids[1]) == "blocked"
    assert outcomes(conn, ids) == [None, "cancelled", "cancelled", None]
    assert due(worker) == sorted([ids[0], ids[3]])


@pytest.mark.parametrize("outcome", [None, "succeeded", "dead", "cancelled"])
def test_a_flow_may_wait_for_jobs_that_were_there_before(conn: Conn, worker: Worker, outcome: str | None) -> None:
    parent = enqueue(conn)
    if outcome:
        run(worker, parent, outcome=outcome)
    ids = flow(conn, {"after": [{"id": parent}]}, {"after": [{"id": parent, "when": "ended"}]})
    if outcome is None:
        assert states(conn, ids) == ["blocked", "blocked"]
        lease = worker.claim_one()
        worker.done(lease)  # the short way: it finds out that others wait
    assert outcomes(conn, ids) == ["cancelled" if outcome in ("dead", "cancelled") else None, None]
    assert due(worker) == (ids[1:] if outcome in ("dead", "cancelled") else ids)


def test_an_unknown_parent_is_refused(conn: Conn, refused: Refused) -> None:
    with refused("PQ001"):
        flow(conn, {"after": [{"id": 10**9}]})


def test_results_stay_with_the_nodes(conn: Conn, worker: Worker) -> None:
    (first, _) = flow(conn, {}, {"after": [0]})
    run(worker, first, result={"x": 1})
    assert scalar(conn, "select result from pgqueue.flow_nodes where id = %s", first) == {"x": 1}


@pytest.mark.parametrize("plans_are_made", ["empty", "full", "full and analysed"])
def test_the_end_of_a_job_reads_its_own_nodes_and_no_others(conn: Conn, worker: Worker, plans_are_made: str) -> None:
    """A plan is made once a session: whatever the statistics said then, it must walk by ids."""
    entries: list[dict[str, Any]] = [
        {},
        *({"after": [i]} for i in range(999)),
        {"after": [ended(0), ended(1)], "on_failure": "dead"},
    ]
    if plans_are_made == "empty":
        small = flow(conn, {}, {"after": [0]}, {"after": [1]})
        run(worker, small[0])
        run(worker, small[1], outcome="dead")
        assert drain(worker) == 0
    ids = flow(conn, *entries)
    others = flow(conn, *batch(1000))
    if "analysed" in plans_are_made:
        conn.execute("analyze")
    conn.execute("delete from pgqueue.queued_jobs where id = any(%s)", (others,))
    read = "select coalesce(sum(idx_tup_fetch + seq_tup_read), 0) from pg_stat_xact_user_tables where schemaname = 'pgqueue' and relname like 'flow%%'"
    for job_id, outcome, most in ((ids[0], "succeeded", 60), (ids[1], "succeeded", 60)):
        (lease,) = worker.claim(1)
        assert lease.id == job_id
        with conn.transaction():
            before = scalar(conn, read)
            worker.settle(lease.outcome(outcome))
            assert scalar(conn, read) - before < most
