# ruff: noqa: E501 - SQL and names of tests are told on one line
"""The table TRANSITIONS against the SQL: every verb is tried in every state, and moves only where the table allows."""

from collections.abc import Callable
from itertools import pairwise

import psycopg
import pytest

from pgqueue.job import TRANSITIONS, State
from tests.sql.engine import (
    Conn,
    Lease,
    Worker,
    attempts,
    cancel,
    complete,
    enqueue,
    enqueue_many,
    guard,
    job,
    make_due,
    redrive,
    rescue,
    retry,
    scalar,
    state,
    sweep,
)  # fmt: skip
from tests.sql.flows import flow, flow_ids

STATES = [state for state in State if state is not State.BLOCKED]  # what blocks and frees jobs is below, by gate
ENDS = {State.SUCCEEDED, State.CANCELLED, State.DEAD}
Verb = Callable[[Conn, Worker, Lease], object]


def reach(conn: Conn, worker: Worker, wanted: State) -> tuple[int, Lease]:
    """Make a job in a state. The lease is the right one of a running job, the last one of others."""
    job_id = enqueue(conn, delay="1 hour" if wanted is State.SCHEDULED else "0", key="k")
    lease = Lease(job_id, 0)
    if wanted in ENDS | {State.RUNNING}:
        lease = worker.claim_one()
        if wanted is not State.RUNNING:
            worker.settle(lease.outcome(wanted.value))
    assert state(conn, job_id) == wanted
    return job_id, lease


def settle(outcome: str, delay: float | None = None) -> Verb:
    return lambda conn, worker, lease: worker.settle(lease.outcome(outcome, delay=delay))


def rescue_it(conn: Conn, worker: Worker, lease: Lease) -> object:
    worker.fall_silent()
    return rescue(conn)


# Each verb, from which states it moves a job, and whereto. All others leave the job as it was, or refuse.
VERBS: dict[str, tuple[Verb, dict[State, State]]] = {
    "claim": (lambda conn, worker, lease: worker.claim(), {State.READY: State.RUNNING}),
    "claim_alone": (lambda conn, worker, lease: worker.claim_alone(), {}),
    "time passes": (lambda conn, worker, lease: make_due(conn, lease.id), {State.SCHEDULED: State.READY}),
    "done": (lambda conn, worker, lease: worker.done(lease), {State.RUNNING: State.SUCCEEDED}),
    "succeeded": (settle("succeeded"), {State.RUNNING: State.SUCCEEDED}),
    "complete": (lambda conn, worker, lease: complete(conn, lease), {State.RUNNING: State.SUCCEEDED}),
    "failed": (settle("failed", 3600), {State.RUNNING: State.SCHEDULED}),
    "failed, due at once": (settle("failed", 0), {State.RUNNING: State.READY}),
    "snoozed": (settle("snoozed", 3600), {State.RUNNING: State.SCHEDULED}),
    "released": (settle("released"), {State.RUNNING: State.READY}),
    "lost": (settle("lost"), {State.RUNNING: State.READY}),
    "dead": (settle("dead"), {State.RUNNING: State.DEAD}),
    "cancelled": (settle("cancelled"), {State.RUNNING: State.CANCELLED}),
    "expired": (settle("expired"), {State.RUNNING: State.CANCELLED}),
    "cancel": (lambda conn, worker, lease: cancel(conn, lease.id), {State.SCHEDULED: State.CANCELLED, State.READY: State.CANCELLED}),
    "retry": (
        lambda conn, worker, lease: retry(conn, lease.id),
        {State.SCHEDULED: State.READY, State.CANCELLED: State.READY, State.DEAD: State.READY},
    ),
    "redrive": (lambda conn, worker, lease: redrive(conn), {State.DEAD: State.READY}),
    "rescue": (rescue_it, {State.RUNNING: State.READY}),
    "leave": (lambda conn, worker, lease: worker.leave(), {State.RUNNING: State.READY}),
    "sweep": (lambda conn, worker, lease: sweep(conn), {}),
    "guard": (lambda conn, worker, lease: guard(conn, lease), {}),
    "beat": (lambda conn, worker, lease: worker.beat(), {}),
    "recover": (lambda conn, worker, lease: worker.recover(lease.token), {}),
    "progress": (
        lambda conn, worker, lease: scalar(
            conn, "select pgqueue.report_progress(jsonb_build_array(jsonb_build_object('id', %s::bigint, 'token', %s::bigint)))", lease.id, lease.token
        ),
        {},
    ),
    "enqueue of its key": (lambda conn, worker, lease: enqueue(conn, key="k", delay="1 hour"), {}),
    "pause": (lambda conn, worker, lease: scalar(conn, "select pgqueue.pause('default')"), {}),
}  # fmt: skip


def refused(verb: Verb, conn: Conn, worker: Worker, lease: Lease) -> str | None:
    """Run a verb; return the SQLSTATE of its refusal."""
    try:
        verb(conn, worker, lease)
    except psycopg.Error as error:
        return error.sqlstate
    return None


@pytest.mark.parametrize("before", STATES)
def test_i15_each_verb_moves_a_job_only_where_the_table_allows(
    conn: Conn, before: State, subtests: pytest.Subtests
) -> None:
    for name, (verb, moves) in VERBS.items():
        with subtests.test(name):
            conn.execute("delete from pgqueue.queued_jobs; delete from pgqueue.dead_jobs; delete from pgqueue.job_keys")
            conn.execute("delete from pgqueue.paused_queues; delete from pgqueue.worker_processes")
            worker = Worker(conn)
            job_id, lease = reach(conn, worker, before)
            was, history = job(conn, job_id), attempts(conn, job_id)

            refusal = refused(verb, conn, worker, lease)

            assert refusal in (None, "PQ003", "PQ005")
            assert refusal is None or before not in moves

            after = State(state(conn, job_id))
            assert after is moves.get(before, before)
            if before not in moves:
                now = job(conn, job_id) | {"progress": was["progress"]}
                assert (now, attempts(conn, job_id)) == (was, history)
            else:
                assert after in TRANSITIONS[before] or after is before


def limit_is_full(conn: Conn, worker: Worker) -> list[State]:
    scalar(conn, "select pgqueue.set_limit('api', concurrency => 1)")
    _, second = enqueue_many(conn, [{"task": "t", "limits": "api"} for _ in range(2)])
    seen = [state(conn, second)]
    (lease,) = worker.claim()
    seen.append(state(conn, second))
    worker.done(lease)
    return [State(found) for found in [*seen, state(conn, second)]]


def rate_is_used_up(conn: Conn, worker: Worker) -> list[State]:
    scalar(conn, "select pgqueue.set_limit('api', rate => 1, per => '1 hour', burst => 1)")
    _, second = enqueue_many(conn, [{"task": "t", "limits": "api"} for _ in range(2)])
    seen = [state(conn, second)]
    worker.claim()
    return [State(found) for found in [*seen, state(conn, second)]]


def series_of_a_group_is_broken_off(conn: Conn, worker: Worker) -> list[State]:
    _, second = enqueue_many(conn, [{"task": "t", "group_key": "g"} for _ in range(2)])
    first, *rest = worker.step(1, series=2).leases
    seen = [state(conn, second)]
    worker.settle(first.outcome("failed", delay=3600))
    worker.settle(*(lease.outcome("released") for lease in rest))
    return [State(found) for found in [*seen, state(conn, second)]]


def parent_ends(after: str, delay: str) -> Callable[[Conn, Worker], list[State]]:
    def come_to(conn: Conn, worker: Worker) -> list[State]:
        _, child = flow(conn, {}, {"after": [0], "delay": delay, "on_failure": "dead" if after == "dead" else "cancel"})
        seen = [state(conn, child)]
        worker.settle(worker.claim_one().outcome(after))
        return [State(found) for found in [*seen, state(conn, child)]]

    return come_to


def flow_is_retried(policy: str) -> Callable[[Conn, Worker], list[State]]:
    def come_to(conn: Conn, worker: Worker) -> list[State]:
        flow_id, (_, child) = flow_ids(conn, {}, {"after": [0], "on_failure": policy})
        worker.settle(worker.claim_one().outcome("dead"))
        seen = [state(conn, child)]
        scalar(conn, "select pgqueue.retry_flow(%s)", flow_id)
        return [State(found) for found in [*seen, state(conn, child)]]

    return come_to


B = State.BLOCKED
# What gates do to a job, and the states that it comes through.
GATES: dict[str, tuple[Callable[[Conn, Worker], list[State]], list[State]]] = {
    "a limit is full, then free": (limit_is_full, [State.READY, B, State.READY]),
    "a rate is used up": (rate_is_used_up, [State.READY, State.SCHEDULED]),
    "a series is broken off": (series_of_a_group_is_broken_off, [State.RUNNING, B]),
    "the parent succeeds": (parent_ends("succeeded", "0 s"), [B, State.READY]),
    "the parent succeeds, due later": (parent_ends("succeeded", "1 h"), [B, State.SCHEDULED]),
    "the parent is cancelled": (parent_ends("cancelled", "0 s"), [B, State.CANCELLED]),
    "the parent dies, and the child with it": (parent_ends("dead", "0 s"), [B, State.DEAD]),
    "a flow is retried": (flow_is_retried("cancel"), [State.CANCELLED, B]),
    "a flow with a dead child is retried": (flow_is_retried("dead"), [State.DEAD, B]),
}


@pytest.mark.parametrize("gate", GATES)
def test_i15_gates_move_a_job_only_where_the_table_allows(conn: Conn, worker: Worker, gate: str) -> None:
    come_to, expected = GATES[gate]

    assert come_to(conn, worker) == expected
    assert all(after in TRANSITIONS[before] for before, after in pairwise(expected))


def test_every_transition_of_the_table_is_one_that_a_verb_or_a_gate_makes() -> None:
    made = {(before, after) for _, moves in VERBS.values() for before, after in moves.items()}
    made |= {move for _, states in GATES.values() for move in pairwise(states)}
    legal = {(before, after) for before, afters in TRANSITIONS.items() for after in afters}

    assert made <= legal
    by_request = {(State.RUNNING, State.CANCELLED), (State.DEAD, State.CANCELLED)}  # held by test_cancel
    assert legal - made <= by_request
