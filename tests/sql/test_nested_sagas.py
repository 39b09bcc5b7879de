# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Sagas inside other flows: cancelled, failed or retried they are undone as a saga by itself is, whatever the kind of the whole."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.sql.conftest import Refused
from tests.sql.engine import Conn, Worker, cancel, job, redrive, retry
from tests.sql.flows import (
    barrier,
    cancel_flow,
    drain,
    due,
    ended,
    flow_ids,
    flow_state,
    moved,
    outcomes,
    retry_flow,
    run,
    saga,
    states,
)

Entries = list[dict[str, Any]]
STEPS, END, UNDOS = (1, 2, 3), 4, (5, 6, 7)


def inside(*, when: str, on_failure: str = "cancel") -> Entries:
    """A job, a saga of three steps after it, and a job after the saga: the job is 0, the saga 1 to 7, the last one 8."""
    entries = [{}, *moved(saga(3), 1)]
    entries[1]["after"] = [0]
    soft = "not_failed" if when == "succeeded" else "ended"
    exits = [{"index": END, "when": when}, *({"index": undo, "when": soft} for undo in UNDOS)]
    return [*entries, {"after": exits, "on_failure": on_failure}]


def in_a_batch() -> Entries:
    """The same, with the job and the saga as members of a batch, and its callback on failure in the last place."""
    entries = [{}, *moved(saga(3), 1)]
    exits = [ended(0), ended(END), *map(ended, UNDOS)]
    return [
        *entries,
        barrier(*exits, verdict=True, gather=True),
        {"role": "on_failed", "after": [{"index": 8, "when": "failed"}]},
    ]


OUTER: dict[str, Callable[[], Entries]] = {
    "chain": lambda: inside(when="succeeded"),
    "dag": lambda: inside(when="ended"),
    "batch": in_a_batch,
    "saga": lambda: moved(saga(3), 0),
}


def started(conn: Conn, worker: Worker, kind: str, steps: int = 2) -> tuple[int, list[int]]:
    """Enqueue the flow and let its first job and so many steps succeed. The ids are those of the saga: steps, end, undos; then the rest."""
    flow_id, ids = flow_ids(conn, *OUTER[kind](), kind=kind)
    if kind != "saga":
        run(worker, ids[0])
        ids = ids[1:] + ids[:1]
    for step in ids[:steps]:
        run(worker, step)
    return flow_id, ids


@pytest.mark.parametrize("kind", list(OUTER))
def test_a_saga_is_undone_in_reverse_when_the_flow_around_it_is_cancelled(
    conn: Conn, worker: Worker, kind: str
) -> None:
    flow_id, ids = started(conn, worker, kind)

    cancel_flow(conn, flow_id)

    assert cancel_flow(conn, flow_id) == 0, "what is being undone is not cancelled"
    for undo in (ids[5], ids[4]):
        assert due(worker) == [undo]
        run(worker, undo)
    assert outcomes(conn, ids[:7]) == ["succeeded"] * 2 + ["cancelled", "dead", "succeeded", "succeeded", "skipped"]
    assert drain(worker) == 0, "nothing else of the flow runs"
    assert flow_state(conn, flow_id)["state"] == "cancelled"


@pytest.mark.parametrize("kind", list(OUTER))
@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_a_step_that_runs_while_the_flow_is_cancelled_decides_what_is_undone(
    conn: Conn, worker: Worker, kind: str, outcome: str
) -> None:
    flow_id, ids = started(conn, worker, kind, 1)
    (lease,) = worker.claim()
    cancel_flow(conn, flow_id)
    assert worker.beat() == [ids[1]]

    worker.settle(lease.outcome(outcome))

    for undo in [ids[5]] * (outcome == "succeeded") + [ids[4]]:
        assert due(worker) == [undo]
        run(worker, undo)
    assert drain(worker) == 0


@pytest.mark.parametrize("kind", list(OUTER))
def test_an_undo_that_runs_is_not_stopped_by_a_cancel_of_the_flow(conn: Conn, worker: Worker, kind: str) -> None:
    flow_id, ids = started(conn, worker, kind)
    run(worker, ids[2], outcome="dead")
    if kind == "dag":
        assert states(conn, ids[7:8]) == ["blocked"]
    (lease,) = [lease for lease in worker.claim() if lease.id == ids[5]]

    cancel_flow(conn, flow_id)

    assert ids[5] not in (worker.beat() or [])
    worker.settle(lease.outcome("succeeded"))
    run(worker, ids[4])
    assert outcomes(conn, ids[4:7]) == ["succeeded", "succeeded", "skipped"]


@pytest.mark.parametrize(
    ("kind", "rest"), [("chain", ["cancelled"]), ("dag", ["succeeded"]), ("batch", ["dead", "succeeded"]), ("saga", [])]
)
def test_a_saga_that_fails_inside_another_flow_is_undone(
    conn: Conn, worker: Worker, kind: str, rest: list[str]
) -> None:
    _, ids = started(conn, worker, kind)

    run(worker, ids[2], outcome="dead")

    for undo in (ids[5], ids[4]):
        assert due(worker) == [undo]
        run(worker, undo)
    drain(worker)
    assert outcomes(conn, ids[:7]) == ["succeeded"] * 2 + ["dead", "dead", "succeeded", "succeeded", "skipped"]
    assert outcomes(conn, ids[7 : 7 + len(rest)]) == rest


@pytest.mark.parametrize("kind", list(OUTER))
def test_a_retry_of_the_flow_lets_the_undos_run_that_failed_and_no_step(conn: Conn, worker: Worker, kind: str) -> None:
    flow_id, ids = started(conn, worker, kind)
    run(worker, ids[2], outcome="dead")
    run(worker, ids[5], outcome="dead")
    assert states(conn, ids[4:6]) == ["blocked", "dead"]
    drain(worker)

    assert retry_flow(conn, flow_id) == 1
    for undo in (ids[5], ids[4]):
        assert due(worker) == [undo]
        run(worker, undo)
    drain(worker)
    before = outcomes(conn, ids)
    assert before[:4] == ["succeeded", "succeeded", "dead", "dead"]
    assert retry_flow(conn, flow_id) == 0
    assert (drain(worker), outcomes(conn, ids)) == (0, before)
    assert flow_state(conn, flow_id)["state"] == "failed"


@pytest.mark.parametrize("kind", list(OUTER))
def test_a_step_of_a_saga_inside_another_flow_is_not_run_again_while_the_others_are_undone(
    conn: Conn, worker: Worker, refused: Refused, kind: str
) -> None:
    _, ids = started(conn, worker, kind)
    run(worker, ids[2], outcome="dead")

    with refused("PQ003") as refusal:
        retry(conn, ids[2])

    assert f"job {ids[2]} is a step of a saga that was given up" in refusal.message
    assert redrive(conn) == 0
    assert due(worker) == [ids[5]]


@pytest.mark.parametrize("kind", ["chain", "dag", "batch", "saga"])
def test_a_saga_that_had_done_nothing_runs_again_as_a_whole_with_its_net(
    conn: Conn, worker: Worker, refused: Refused, kind: str
) -> None:
    flow_id, ids = started(conn, worker, kind, 0)
    run(worker, ids[0], outcome="dead")
    drain(worker)
    with refused("PQ003") as refusal:
        retry(conn, ids[0])
    assert "retry its flow" in refusal.message, "by itself it would run without its undo"

    retry_flow(conn, flow_id)

    assert states(conn, ids[:7])[:3] == ["ready", "blocked", "blocked"]
    run(worker, ids[0])
    run(worker, ids[1])
    run(worker, ids[2], outcome="dead")
    for undo in (ids[5], ids[4]):
        assert due(worker) == [undo]
        run(worker, undo)


def test_a_saga_that_was_not_reached_runs_when_the_flow_is_retried(conn: Conn, worker: Worker) -> None:
    flow_id, ids = flow_ids(conn, *OUTER["chain"](), kind="chain")
    run(worker, ids[0], outcome="dead")
    assert outcomes(conn, ids)[4:] == ["dead", "skipped", "skipped", "skipped", "cancelled"]

    assert retry_flow(conn, flow_id) == 8

    assert drain(worker) == 5
    assert outcomes(conn, ids) == ["succeeded"] * 5 + ["skipped"] * 3 + ["succeeded"]


def test_a_saga_that_was_skipped_has_its_net_when_it_runs_after_all(conn: Conn, worker: Worker) -> None:
    """The callback of a batch that failed is a saga: its end was content while its steps were skipped."""
    entries = [{}, barrier(ended(0), verdict=True), *moved(saga(2), 2)]
    entries[2] |= {"after": [{"index": 1, "when": "if_succeeded"}]}
    flow_id, ids = flow_ids(conn, *entries, kind="batch")
    run(worker, ids[0], outcome="dead")
    assert outcomes(conn, ids) == ["dead", "dead", "skipped", "skipped", "succeeded", "skipped", "skipped"]

    retry_flow(conn, flow_id)
    run(worker, ids[0])
    run(worker, ids[2])
    run(worker, ids[3], outcome="dead")

    assert due(worker) == [ids[5]]
    drain(worker)
    assert outcomes(conn, ids[4:]) == ["dead", "succeeded", "skipped"]


def test_an_undo_that_fails_names_what_is_left_undone_of_its_own_saga(conn: Conn, worker: Worker) -> None:
    one, two = moved(saga(2), 0), moved(saga(2), 5)
    _, ids = flow_ids(conn, *one, *two, kind="group")
    run(worker, ids[0], ids[5])
    run(worker, ids[1], ids[6], outcome="dead")
    run(worker, ids[3], outcome="dead", error={"type": "E", "message": "no"})

    assert [left["id"] for left in job(conn, ids[3])["error"]["undone"]] == [ids[3]]


def test_a_cancel_of_one_undo_by_hand_is_still_possible(conn: Conn, worker: Worker) -> None:
    flow_id, ids = started(conn, worker, "chain")
    cancel_flow(conn, flow_id)
    assert cancel(conn, ids[5]) == "ready"
    assert outcomes(conn, ids[4:6]) == [None, "cancelled"]
