# ruff: noqa: E501 - SQL and names of tests are told on one line
"""The table TRANSITIONS against the SQL: every verb is tried in every state, and moves only where the table allows."""

from collections.abc import Callable

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

STATES = [state for state in State if state is not State.BLOCKED]  # nothing blocks in this version
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


def test_every_transition_of_the_table_is_one_that_a_verb_makes() -> None:
    made = {(before, after) for _, moves in VERBS.values() for before, after in moves.items()}
    legal = {
        (before, after) for before, afters in TRANSITIONS.items() for after in afters if before is not State.BLOCKED
    }

    assert made <= legal
    by_request = {(State.RUNNING, State.CANCELLED), (State.DEAD, State.CANCELLED)}  # held by test_cancel
    assert legal - made <= by_request
