"""What sessions do: the statements that workers, producers and operators send, each move split over its transaction.

Every move notes what it was told in its own transaction (see invariants.sql), so that the note is true if the move is.
"""

from collections.abc import Callable
from typing import Any

import psycopg

from tests.interleavings.runner import Script, Step
from tests.interleavings.stage import note_claim
from tests.sql import engine
from tests.sql.engine import Lease, Worker, scalar

Conn = psycopg.Connection[Any]
Call = Callable[[Conn], Any]
ENDS = Step("commit", lambda conn: conn.execute("commit"), ends=True)
ROLLS_BACK = Step("rollback", lambda conn: conn.execute("rollback"), ends=True)


def tx(name: str, *calls: Call, end: Step = ENDS) -> Script:
    """A transaction: a step for each call, the first of which begins it, and one for its end."""

    def first(conn: Conn) -> None:
        conn.execute("begin")
        calls[0](conn)

    names = [name] + [f"{name}, part {n + 2}" for n in range(len(calls) - 1)]
    return [Step(text, call) for text, call in zip(names, (first, *calls[1:]), strict=True)] + [end]


def sql(query: str, *params: Any) -> Call:
    return lambda conn: conn.execute(query.encode(), params)


def settle(worker: Worker, *leases: Lease, outcome: str = "succeeded", **fields: Any) -> Call:
    """Record what came of attempts, as the long way does."""

    def call(conn: Conn) -> None:
        stale = worker.settle(*(lease.outcome(outcome, **fields) for lease in leases), conn=conn)
        _note_said(conn, worker, leases, outcome, stale)

    return call


def settle_short(worker: Worker, *leases: Lease) -> Call:
    """Record successes without a result, the short way."""
    return lambda conn: _note_said(conn, worker, leases, "succeeded", worker.done(*leases, conn=conn))


def _note_said(conn: Conn, worker: Worker, leases: tuple[Lease, ...], outcome: str, stale: list[int]) -> None:
    for lease in leases:
        conn.execute(
            "insert into weave.said values (%s, %s, %s, %s, %s)",
            (lease.id, lease.attempt, worker.id, outcome, lease.id not in stale),
        )


def complete(lease: Lease) -> list[Call]:
    """A handler's own transaction: guard, its effect and the job's success."""

    def effect(conn: Conn) -> None:
        conn.execute("insert into weave.effects values (%s, %s)", (lease.id, lease.attempt))
        engine.complete(conn, lease)

    return [lambda conn: engine.guard(conn, lease), effect]


def guard(worker: Worker, lease: Lease) -> list[Call]:
    """A handler's transaction that goes on only while its lease holds, and finds that it still does at its end."""

    def look(conn: Conn) -> None:
        query = "select exists (select from pgqueue.queued_jobs j where j.id = %s and j.token = %s)"
        holds = scalar(conn, query, lease.id, lease.token)
        conn.execute(
            "insert into weave.said values (%s, %s, %s, 'guarded', %s)", (lease.id, lease.attempt, worker.id, holds)
        )

    return [lambda conn: engine.guard(conn, lease), look]


def claim(worker: Worker, found: list[Lease] | None = None, *, alone: bool = False, **options: Any) -> Call:
    """Claim what is due, or, as an idle worker does, what has to run alone; what it brings is put into `found`."""

    def call(conn: Conn) -> None:
        suspects = worker.claim_alone(conn=conn) if alone else []
        for lease in suspects or worker.step(conn=conn, **options).leases:
            note_claim(conn, worker, lease)
            if found is not None:
                found.append(lease)

    return call


def settle_found(worker: Worker, found: list[Lease], outcome: str = "succeeded") -> Call:
    """Settle what an earlier step has claimed."""
    return lambda conn: settle(worker, *found, outcome=outcome)(conn) if found else None


def enqueue(**options: Any) -> Call:
    """Enqueue one job; it may turn out to be another's."""

    def call(conn: Conn) -> None:
        note_made(conn, engine.enqueue(conn, **options))

    return call


def enqueue_many(*jobs: dict[str, Any]) -> Call:
    def call(conn: Conn) -> None:
        for job in engine.enqueue_many(conn, [{"task": "t", **given} for given in jobs]):
            note_made(conn, job)

    return call


def note_made(conn: Conn, job: int, *, early: bool = False) -> None:
    """Note an id that an enqueue has returned: a new job, or the one that holds the key."""
    conn.execute("insert into weave.made values (%s, %s)", (job, early))


def reopen(query: str, *jobs: int) -> Call:
    """What an operator runs again: the jobs may begin anew."""

    def call(conn: Conn) -> None:
        conn.execute(query.encode())
        for job in jobs:
            conn.execute("insert into weave.reopened values (%s)", (job,))

    return call


def remove(job: int) -> Call:
    def call(conn: Conn) -> None:
        scalar(conn, "select pgqueue.remove(%s)", job)
        conn.execute("insert into weave.removed values (%s)", (job,))

    return call
