"""Retry and redrive: the operator's way back from the end, and nobody else's."""

import psycopg
import pytest

from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import (
    Background,
    Conn,
    Worker,
    attempts,
    cancel,
    column,
    enqueue,
    enqueue_many,
    holder,
    job,
    make_due,
    redrive,
    retry,
    scalar,
    state,
)  # fmt: skip


def kill(conn: Conn, worker: Worker, n: int = 1, **options: object) -> list[int]:
    """Make dead letters."""
    ids = enqueue_many(conn, [{"task": "t", **options}] * n)
    worker.settle(*(lease.outcome("dead") for lease in worker.claim(n, queue=str(options.get("queue", "default")))))
    return ids


def test_a_dead_job_is_ready_again_with_its_id_its_history_and_both_counts_at_zero(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn, args={"v": 1}, meta={"m": 1}, priority=5, max_attempts=2, timeout="7 s")
    worker.settle(worker.claim_one().outcome("failed", delay=0))
    worker.settle(worker.claim_one().outcome("dead"))

    assert retry(conn, job_id) == job_id

    row = job(conn, job_id)
    assert (row["state"], row["attempt"], row["failures"], row["losses"]) == ("ready", 2, 0, 0)
    assert (row["args"], row["meta"], row["priority"], row["max_attempts"], row["timeout"].seconds) == (
        {"v": 1},
        {"m": 1},
        5,
        2,
        7,
    )
    assert attempts(conn, job_id) == [(1, "failed"), (2, "dead")]
    assert worker.claim_one().attempt == 3


@pytest.mark.parametrize("started", [True, False])
def test_a_cancelled_job_is_ready_again(conn: Conn, worker: Worker, started: bool) -> None:
    job_id = enqueue(conn, args={"v": 1})
    worker.settle(worker.claim_one().outcome("cancelled")) if started else cancel(conn, job_id)

    retry(conn, job_id)

    row = job(conn, job_id)
    assert (row["state"], row["args"], row["attempt"]) == ("ready", {"v": 1}, int(started))
    assert attempts(conn, job_id) == ([(1, "cancelled")] if started else [])


def test_a_scheduled_job_is_ready_now_and_a_ready_one_stays(conn: Conn, worker: Worker) -> None:
    later, now = enqueue(conn, delay="1 hour"), enqueue(conn)
    due = job(conn, now)["run_at"]

    retry(conn, later)
    retry(conn, now)

    assert (state(conn, later), state(conn, now), job(conn, now)["run_at"]) == ("ready", "ready", due)


def test_a_retry_of_a_job_that_waits_for_its_backoff_resets_its_counts(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    worker.settle(worker.claim_one().outcome("failed", delay=3600))

    retry(conn, job_id)

    assert (state(conn, job_id), job(conn, job_id)["failures"], job(conn, job_id)["attempt"]) == ("ready", 0, 1)


def test_i15_a_running_or_succeeded_job_cannot_be_retried(conn: Conn, worker: Worker, refused: Refused) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()

    with refused("PQ003") as running:
        retry(conn, job_id)
    worker.done(lease)
    with refused("PQ003") as succeeded:
        retry(conn, job_id)

    assert running.message == f"job {job_id} is running: cancel it first, or wait until it ends"
    assert succeeded.message == f"job {job_id} is succeeded: only dead, cancelled and scheduled jobs can be retried"
    assert state(conn, job_id) == "succeeded"


def test_an_unknown_job_is_an_error(conn: Conn, refused: Refused) -> None:
    with refused("PQ001") as refusal:
        retry(conn, 4711)

    assert "4711" in refusal.message


def test_a_job_whose_arguments_retention_has_dropped_is_not_run_without_them(conn: Conn, refused: Refused) -> None:
    job_id = enqueue(conn)
    cancel(conn, job_id)
    conn.execute("delete from pgqueue.job_args")

    with refused("PQ003") as refusal:
        retry(conn, job_id)

    assert "retention has dropped its arguments" in refusal.message
    assert state(conn, job_id) == "cancelled"


@pytest.mark.parametrize("ending", ["dead", "cancelled"])
def test_i6_two_retries_of_one_job_at_once_make_it_ready_once(
    connect: Connect, conn: Conn, worker: Worker, ending: str
) -> None:
    job_id = enqueue(conn)
    worker.settle(worker.claim_one().outcome(ending))
    first, second = connect(autocommit=False), connect()

    retry(first, job_id)
    other = Background(second, lambda: retry(second, job_id)).waits(conn)
    first.commit()

    assert other.result() == job_id
    assert column(conn, "select id from pgqueue.queued_jobs") == [job_id]
    assert (state(conn, job_id), attempts(conn, job_id)) == ("ready", [(1, ending)])


@pytest.mark.parametrize("ending", ["dead", "cancelled"])
def test_a_retry_that_meets_another_retry_and_a_claim_says_that_it_runs(
    connect: Connect, conn: Conn, worker: Worker, ending: str, refused: Refused
) -> None:
    """It looks again where the job has gone, and never says that a job which exists does not."""
    job_id = enqueue(conn)
    worker.settle(worker.claim_one().outcome(ending))
    first, second = connect(autocommit=False), connect()

    retry(first, job_id)
    worker.claim(conn=first)
    other = Background(second, lambda: retry(second, job_id)).waits(conn)
    first.commit()

    with refused("PQ003") as refusal:
        other.result()
    assert "is running" in refusal.message


def test_a_retry_that_rolls_back_changed_nothing(connect: Connect, conn: Conn, worker: Worker) -> None:
    (job_id,) = kill(conn, worker, key="k")
    before, history = job(conn, job_id), attempts(conn, job_id)
    operator = connect(autocommit=False)

    retry(operator, job_id)
    operator.rollback()

    assert (job(conn, job_id), attempts(conn, job_id), holder(conn, "k")) == (before, history, None)


def test_redrive_takes_all_or_by_queue_task_and_limit_oldest_first(conn: Conn, worker: Worker) -> None:
    a, b = kill(conn, worker, 3, queue="a"), kill(conn, worker, 3, queue="b")
    conn.execute("update pgqueue.dead_jobs set task = 'u' where id = %s", (b[1],))

    assert redrive(conn, queue="nothing") == 0
    assert redrive(conn, queue="a", limit=2) == 2
    assert [state(conn, job_id) for job_id in a] == ["ready", "ready", "dead"]
    assert redrive(conn, task="u") == 1
    assert [state(conn, job_id) for job_id in b] == ["dead", "ready", "dead"]
    assert redrive(conn, limit=0) == 0
    assert redrive(conn) == 3
    assert redrive(conn) == 0


def test_redrive_refuses_a_negative_limit(conn: Conn, refused: Refused) -> None:
    with refused("PQ004") as refusal:
        redrive(conn, limit=-1)

    assert refusal.message == "redrive: limit must not be negative, got -1"


def notices(conn: Conn) -> list[str]:
    heard: list[str] = []
    conn.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
    return heard


def test_i15_redrive_keeps_and_reports_what_has_its_key_taken_and_moves_the_rest(conn: Conn, worker: Worker) -> None:
    taken, twin, free = [kill(conn, worker, key=key)[0] for key in ("a", "b", "c")]
    (same,) = kill(conn, worker, key="c")
    new = enqueue(conn, key="a")
    heard = notices(conn)

    assert redrive(conn) == 2

    assert [state(conn, job_id) for job_id in (taken, twin, free, same)] == ["dead", "ready", "ready", "dead"]
    assert f'job {taken} stays dead: its key "a" of queue "default" is held by job {new}' in heard
    assert f'job {same} stays dead: its key "c" of queue "default" is held by job {free}' in heard


def test_i15_one_bad_dead_letter_does_not_stop_a_redrive(conn: Conn, worker: Worker) -> None:
    ids = [kill(conn, worker, key=f"k{n}")[0] for n in range(3)]
    conn.execute('update pgqueue.dead_jobs set attempts = \'[{"attempt": "many"}]\' where id = %s', (ids[1],))
    heard = notices(conn)

    assert redrive(conn) == 2

    assert [state_of(conn, job_id) for job_id in ids] == ["queued", "dead", "queued"]
    assert holder(conn, "k1") is None
    assert any(f"job {ids[1]} stays dead" in line for line in heard)


def state_of(conn: Conn, job_id: int) -> str:
    """By the tables: the view cannot show a damaged row."""
    return "dead" if scalar(conn, "select count(*) from pgqueue.dead_jobs where id = %s", job_id) else "queued"


def test_i14_two_redrives_at_once_share_the_work_and_wait_for_nobody(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    ids = kill(conn, worker, 6)
    first = connect(autocommit=False)
    conn.execute("set lock_timeout = '2 s'")

    moved = redrive(first, limit=4)
    rest = redrive(conn)
    first.commit()

    assert (moved, rest) == (4, 2)
    assert {state(conn, job_id) for job_id in ids} == {"ready"}


def test_i2_a_redrive_and_an_enqueue_of_one_key_at_once_leave_one_job(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    (dead,) = kill(conn, worker, key="k")
    producer, operator = connect(autocommit=False), connect()

    new = enqueue(producer, key="k")
    moving = Background(operator, lambda: redrive(operator)).waits(conn)
    producer.commit()

    assert (moving.result(), state(conn, dead), holder(conn, "k")) == (0, "dead", new)


@pytest.mark.parametrize("verb", [cancel, retry])
def test_under_repeatable_read_a_job_that_moved_since_the_snapshot_is_40001_or_as_it_was(
    connect: Connect, conn: Conn, worker: Worker, verb: object
) -> None:
    job_id = enqueue(conn, delay="1 hour")
    operator = connect(autocommit=False)
    operator.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    operator.execute("select count(*) from pgqueue.jobs")

    make_due(conn, job_id)
    worker.done(worker.claim_one())
    with pytest.raises(psycopg.errors.SerializationFailure):
        verb(operator, job_id)  # type: ignore[operator]

    assert state(conn, job_id) == "succeeded"
