# ruff: noqa: E501 - SQL and names of tests are told on one line
"""The views: one row per thing, whatever state it is in, and the counts that operators and autoscalers read."""

from decimal import Decimal

from tests.sql.engine import Conn, Worker, attempts, cancel, column, enqueue, enqueue_many, job, scalar
from tests.sql.test_statistics import fold

JOBS = {
    "id",
    "task",
    "queue",
    "state",
    "priority",
    "args",
    "meta",
    "key",
    "group_key",
    "attempt",
    "max_attempts",
    "run_at",
    "created_at",
    "started_at",
    "finished_at",
    "worker_id",
    "progress",
    "result",
    "error",
}


def one_of_each(conn: Conn, worker: Worker) -> dict[str, int]:
    made = {}
    for outcome in ("succeeded", "cancelled", "dead"):
        made[outcome] = enqueue(conn)
        worker.settle(worker.claim_one().outcome(outcome, result={"r": 1}))
    made["running"] = enqueue(conn)
    worker.claim_one()
    made["ready"] = enqueue(conn)
    made["scheduled"] = enqueue(conn, delay="1 hour")
    return made


def test_jobs_has_the_contracts_columns_first_and_one_row_per_job(conn: Conn, worker: Worker) -> None:
    made = one_of_each(conn, worker)

    cursor = conn.execute("select * from pgqueue.jobs order by id")
    names = [column.name for column in cursor.description or []]
    assert set(names) >= JOBS
    assert [(row[0], row[names.index("state")]) for row in cursor] == [
        (job_id, state) for state, job_id in made.items()
    ]


def test_started_and_finished_times_and_the_worker_follow_the_state(conn: Conn, worker: Worker) -> None:
    made = one_of_each(conn, worker)

    for state, job_id in made.items():
        row = job(conn, job_id)
        ran, ended = state not in ("ready", "scheduled"), state in ("succeeded", "cancelled", "dead")
        assert (row["started_at"] is not None, row["worker_id"] == worker.id, row["finished_at"] is not None) == (
            ran,
            ran,
            ended,
        )


def test_attempts_tells_every_attempt_of_jobs_in_every_state(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    error = {"type": "E", "message": "m", "traceback": "t"}

    for outcome in ("failed", "snoozed", "released"):
        worker.settle(worker.claim_one().outcome(outcome, delay=0, error=error))
    worker.settle(worker.claim_one().outcome("succeeded"))

    assert attempts(conn, job_id) == [(1, "failed"), (2, "snoozed"), (3, "released"), (4, "succeeded")]
    row = conn.execute(
        "select error, worker_id, started_at <= finished_at from pgqueue.attempts where attempt = 1"
    ).fetchone()
    assert row == (error, worker.id, True)


def test_the_last_error_of_a_job_that_will_be_tried_again_is_shown(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    for message in ("first", "second"):
        worker.settle(worker.claim_one().outcome("failed", delay=0, error={"type": "E", "message": message}))

    assert job(conn, job_id)["error"]["message"] == "second"


def test_queues_counts_each_state_and_knows_paused_and_served_ones(conn: Conn, worker: Worker) -> None:
    one_of_each(conn, worker)
    scalar(conn, "select pgqueue.pause('asleep')")
    Worker(conn, queues=["served"])

    rows = conn.execute(
        "select queue, paused, scheduled, blocked, ready, running, succeeded, cancelled, dead, oldest_due_age >= '0' from pgqueue.queues order by 1"
    ).fetchall()

    assert rows == [("asleep", True, 0, 0, 0, 0, 0, 0, 0, None), ("default", False, 1, 0, 1, 1, 1, 1, 1, True),
                    ("served", False, 0, 0, 0, 0, 0, 0, 0, None)]  # fmt: skip


def test_queues_tells_jobs_and_failures_a_minute(conn: Conn, worker: Worker) -> None:
    enqueue_many(conn, [{"task": "t"}] * 20)
    leases = worker.claim()
    worker.step(
        0,
        done=leases[:10],
        outcomes=[lease.outcome("failed") for lease in leases[10:15]] + [leases[15].outcome("dead")],
    )
    fold(conn)

    assert conn.execute("select throughput, failures from pgqueue.queues").fetchone() == (Decimal(2), Decimal("1.2"))


def test_workers_are_alive_while_their_lease_lasts(conn: Conn, worker: Worker) -> None:
    silent = Worker(conn)
    silent.fall_silent()

    rows = dict(conn.execute("select id, alive from pgqueue.workers").fetchall())

    assert rows == {worker.id: True, silent.id: False}
    assert scalar(conn, "select concurrency from pgqueue.workers where id = %s", worker.id) == 10


def test_backlog_counts_due_and_running_jobs(conn: Conn, worker: Worker) -> None:
    one_of_each(conn, worker)
    enqueue(conn, queue="other")
    enqueue(conn, queue="other", delay="1 hour")

    assert [scalar(conn, "select pgqueue.backlog(%s)", queue) for queue in ("default", "other", "nothing", None)] == [
        2,
        1,
        0,
        3,
    ]


def test_the_views_join_with_business_tables(conn: Conn) -> None:
    conn.execute("create table orders (job_id bigint)")
    conn.execute("insert into orders select pgqueue.enqueue('t') from generate_series(1, 3)")

    assert column(conn, "select count(*) from orders o join pgqueue.jobs j on j.id = o.job_id") == [3]


def test_a_cancelled_and_a_waiting_job_show_no_attempt_that_was_not(conn: Conn) -> None:
    job_id = enqueue(conn)
    cancel(conn, job_id)

    assert attempts(conn, job_id) == []
