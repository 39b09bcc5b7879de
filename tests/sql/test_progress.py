"""Progress: the holder's latest word about a running attempt, gone when the attempt is."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import Connect
from tests.sql.engine import Conn, Lease, Worker, cancel, enqueue, enqueue_many, job, scalar


def report(conn: Conn, *reports: tuple[Lease, Any, str | None]) -> list[int]:
    text = json.dumps(
        [{"id": lease.id, "token": lease.token, "fraction": f, "note": note} for lease, f, note in reports]
    )
    return [row[0] for row in conn.execute("select x from pgqueue.report_progress(%s::jsonb) x", (text,))]


def shown(conn: Conn, job_id: int) -> tuple[float | None, str | None]:
    row = job(conn, job_id)
    return row["progress"], row["progress_note"]


def test_the_latest_report_is_shown(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()

    assert report(conn, (lease, 0.25, "a quarter")) == []
    assert shown(conn, job_id) == (0.25, "a quarter")
    assert report(conn, (lease, 0.5, None), (lease, 0.75, "last")) == []
    assert shown(conn, job_id) == (0.75, "last")


def test_i4_a_lost_lease_reports_nothing_and_keeps_no_other_from_reporting(conn: Conn, worker: Worker) -> None:
    one, two = enqueue_many(conn, [{"task": "t"}] * 2)
    first, second = worker.claim()
    worker.settle(first.outcome("failed", delay=0))
    again = worker.claim_one()

    assert report(conn, (first, 0.9, "zombie"), (second, 0.5, None)) == [one]
    assert (shown(conn, one), shown(conn, two)) == ((None, None), (0.5, None))
    assert report(conn, (again, 0.1, None)) == []


def test_the_progress_of_an_earlier_attempt_is_not_shown_for_the_next(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    report(conn, (lease, 0.9, "nearly"))
    worker.settle(lease.outcome("failed", delay=0))

    worker.claim_one()

    assert shown(conn, job_id) == (None, None)


@pytest.mark.parametrize(
    ("given", "kept"), [(2, 1), (-1, 0), ("NaN", None), ("Infinity", 1), (None, None), (1e308, 1), (0, 0)]
)
def test_an_odd_fraction_keeps_no_other_report_from_being_stored(
    conn: Conn, worker: Worker, given: Any, kept: float | None
) -> None:
    odd, plain = enqueue_many(conn, [{"task": "t"}] * 2)
    one, two = worker.claim()

    assert report(conn, (one, given, "odd"), (two, 0.5, None)) == []
    assert (shown(conn, odd), shown(conn, plain)) == ((kept, "odd"), (0.5, None))


@pytest.mark.parametrize("ending", ["done", "succeeded", "dead", "cancelled", "cancelled while waiting"])
def test_progress_goes_with_the_job(conn: Conn, worker: Worker, ending: str) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    report(conn, (lease, 0.5, None))

    if ending == "done":
        worker.done(lease)
    elif ending == "cancelled while waiting":
        worker.settle(lease.outcome("released"))
        cancel(conn, job_id)
    else:
        worker.settle(lease.outcome(ending))
    scalar(conn, "select pgqueue.sweep_cancel_requests()")

    assert scalar(conn, "select count(*) from pgqueue.job_progress") == 0
    assert job(conn, job_id)["progress"] == (1 if ending in ("done", "succeeded") else None)


def test_i14_reports_and_settles_of_the_same_jobs_in_opposite_orders_never_deadlock(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    connections = [connect() for _ in range(4)]
    for _ in range(15):
        enqueue_many(conn, [{"task": "t"}] * 40)
        leases = worker.claim()
        report(conn, *((lease, 0.1, None) for lease in leases))

        def act(place: int, leases: list[Lease] = leases) -> list[int]:
            on, order = connections[place], leases[:: 1 if place % 2 else -1]
            if place < 3:
                return report(on, *((lease, 0.5, None) for lease in order))
            return worker.settle(*(lease.outcome("succeeded") for lease in order), conn=on)

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(act, range(4)))[3] == []
