# ruff: noqa: E501 - SQL is told on one line
"""After the server forgot acknowledged commits, a worker and the database agree again about who has which job (I5)."""

from collections.abc import Sequence
from typing import Any

import psycopg

from tests.sql.engine import Lease, Worker, attempts, column, enqueue, scalar, state

Conn = psycopg.Connection[Any]
RECONCILE = """select id, finding from pgqueue.reconcile(%s, %s::bigint[], %s::bigint[], %s::timestamptz[], %s::bigint[],
  (select array_agg(clock_timestamp()) from unnest(%s::bigint[])), %s::bigint[], %s, %s)"""


def reconcile(
    conn: Conn, worker: Worker, *, held: Sequence[Lease] = (), ended: Sequence[int] = (), spared: Sequence[int] = (),
    timeline: int | None = None,
) -> dict[int, str]:  # fmt: skip
    ids, tokens, created = [x.id for x in held], [x.token for x in held], [x.row["created_at"] for x in held]
    system = None if timeline is None else 1
    params = (worker.id, ids, tokens, created, list(ended), list(ended), list(spared), system, timeline)
    return dict(conn.execute(RECONCILE, params).fetchall())


def test_nothing_is_found_where_nothing_was_forgotten(conn: Conn, worker: Worker) -> None:
    ended, held = (enqueue(conn) for _ in range(2))
    leases = {lease.id: lease for lease in worker.claim()}
    worker.done(leases[ended])

    assert reconcile(conn, worker, held=[leases[held]], ended=[ended], timeline=2) == {}
    assert state(conn, held) == "running"
    assert scalar(conn, "select count(*) from pgqueue.failover_jobs") == 0


def test_i5_a_job_that_its_worker_has_forgotten_is_handed_back(conn: Conn, worker: Worker) -> None:
    job = enqueue(conn)
    lease = worker.claim_one()  # its settle was acknowledged, and lost by the server

    assert reconcile(conn, worker, ended=[job], timeline=2) == {job: "released"}
    assert state(conn, job) == "ready"
    assert attempts(conn, job) == [(1, "released")]
    assert worker.done(lease) == [job], "the old token is worth nothing"
    assert column(conn, "select finding from pgqueue.failover_jobs where timeline = 2") == ["released"]


def test_claims_on_their_way_and_jobs_of_others_are_left_alone(conn: Conn, worker: Worker) -> None:
    on_its_way, others = (enqueue(conn) for _ in range(2))
    lease = worker.claim(1)[0]
    other = Worker(conn)
    other.claim()

    assert reconcile(conn, worker, spared=[lease.token]) == {}
    assert [state(conn, job) for job in (on_its_way, others)] == ["running", "running"]


def test_a_claim_that_was_forgotten_is_told_while_the_job_waits_and_while_another_has_it(
    conn: Conn, worker: Worker
) -> None:
    waits, taken = (enqueue(conn) for _ in range(2))
    leases = worker.claim()
    conn.execute("update pgqueue.queued_jobs set worker_id = null, token = null")
    other = Worker(conn)
    (other_lease,) = [lease for lease in other.claim(2) if lease.id == taken]
    conn.execute("update pgqueue.queued_jobs set worker_id = null, token = null where id = %s", [waits])

    assert reconcile(conn, worker, held=leases, timeline=2) == {waits: "undone", taken: "undone"}
    assert other.done(other_lease) == []


def test_a_job_that_is_gone_is_told_also_where_its_id_was_issued_again(conn: Conn, worker: Worker) -> None:
    gone, issued_again, ended_and_gone = (enqueue(conn) for _ in range(3))
    leases = {lease.id: lease for lease in worker.claim()}
    conn.execute("delete from pgqueue.queued_jobs where id in (%s, %s)", [gone, ended_and_gone])
    conn.execute("update pgqueue.queued_jobs set created_at = clock_timestamp(), worker_id = null, token = null")

    found = reconcile(conn, worker, held=[leases[gone], leases[issued_again]], ended=[ended_and_gone], timeline=2)

    assert found == {gone: "gone", issued_again: "gone", ended_and_gone: "gone"}


def test_a_job_whose_end_and_claim_were_forgotten_is_told_to_run_again(conn: Conn, worker: Worker) -> None:
    job = enqueue(conn)

    assert reconcile(conn, worker, ended=[job], timeline=2) == {job: "again"}
    assert state(conn, job) == "ready"


def test_a_job_that_completed_in_its_handlers_transaction_is_no_finding(conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    lease = worker.claim_one()
    conn.execute("select pgqueue.complete(%s, %s, null)", [lease.id, lease.token])

    assert reconcile(conn, worker, held=[lease], timeline=2) == {}


def test_a_failover_is_noted_once_and_the_ids_move_on_once(conn: Conn) -> None:
    before = enqueue(conn)
    note = "select pgqueue.note_failover(1, 2, 1, 1, array['0/1', 'FF/0']::pg_lsn[], array[timestamptz '2026-01-01', '2026-01-02'])"

    assert [scalar(conn, note), scalar(conn, note)] == [True, False]
    assert before + 1_000_000 < enqueue(conn) < before + 1_000_100
    row = conn.execute(
        "select workers, seen_lsn::text, kept_at < seen_at, seen_lsn > begins_lsn from pgqueue.failovers"
    ).fetchone()
    assert row == (2, "FF/0", True, True)
