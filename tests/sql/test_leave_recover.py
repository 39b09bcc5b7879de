"""How a worker goes, and how it comes back after its connection broke."""

from tests.conftest import Connect
from tests.sql.engine import (
    Background,
    Conn,
    Worker,
    attempts,
    cancel,
    enqueue,
    enqueue_many,
    guard,
    job,
    rescue,
    scalar,
    state,
)


def test_i16_a_worker_that_leaves_hands_back_everything_without_burning_an_attempt(conn: Conn, worker: Worker) -> None:
    ids = enqueue_many(conn, [{"task": "t", "run_at": "2020-01-01Z"}] * 3)
    leases = worker.claim()
    worker.done(leases[0])

    assert worker.leave() == 2

    assert [state(conn, job_id) for job_id in ids] == ["succeeded", "ready", "ready"]
    row = job(conn, ids[1])
    assert (row["failures"], row["losses"], row["run_at"].year) == (0, 0, 2020)
    assert attempts(conn, ids[1]) == [(1, "released")]
    assert scalar(conn, "select count(*) from pgqueue.workers") == 0
    assert [lease.attempt for lease in Worker(conn).claim()] == [2, 2]


def test_leaving_twice_and_leaving_as_nobody_do_nothing(conn: Conn, worker: Worker) -> None:
    worker.leave()

    assert (worker.leave(), scalar(conn, "select pgqueue.leave(12345)")) == (0, 0)


def test_i3_a_worker_that_left_claims_nothing_more(conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    worker.leave()

    assert (worker.step().lost, worker.beat(), worker.claim_alone()) == (True, None, [])


def test_i16_leave_waits_for_a_claim_under_way_and_hands_that_back_too(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    job_id = enqueue(conn)
    claiming, leaving = connect(autocommit=False), connect()

    worker.claim(conn=claiming)
    left = Background(leaving, lambda: scalar(leaving, "select pgqueue.leave(%s)", worker.id)).waits(conn)
    claiming.commit()

    assert (left.result(), state(conn, job_id)) == (1, "ready")


def test_i5_what_a_leaving_worker_cannot_hand_back_is_rescued(connect: Connect, conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    handler = connect(autocommit=False)

    guard(handler, lease)
    handed_back = worker.leave()
    handler.commit()
    rescue(conn)

    assert (handed_back, state(conn, job_id)) == (0, "ready")


def test_a_job_asked_to_stop_is_not_handed_back_but_cancelled(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    worker.claim_one()
    cancel(conn, job_id)

    worker.leave()

    assert state(conn, job_id) == "cancelled"


def test_i5_recover_brings_the_jobs_whose_answer_was_lost(conn: Conn, worker: Worker) -> None:
    enqueue_many(conn, [{"task": "t", "args": {"n": n}} for n in range(3)])
    answered = worker.claim_one()
    lost = worker.step(token=77).leases

    rows = worker.recover(77)

    assert [(row["held"], row["epoch"], row["id"]) for row in rows] == [
        (True, 1, None),
        *((True, 1, lease.id) for lease in lost),
    ]
    assert [(row["args"], row["attempt"], row["queue"]) for row in rows[1:]] == [
        ('{"n": 1}', 1, "default"),
        ('{"n": 2}', 1, "default"),
    ]
    assert worker.done(answered, *lost) == []


def test_i3_after_recover_a_claim_still_on_its_way_is_refused(conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    old = Worker.__new__(Worker)
    old.conn, old.id, old.epoch, old.tasks = conn, worker.id, 0, worker.tasks

    worker.recover()

    assert (old.step().lost, old.claim_alone()) == (True, [])
    assert len(worker.claim()) == 1


def test_i3_recover_waits_for_the_claim_under_way_and_sees_its_jobs(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    job_id = enqueue(conn)
    claiming, second = connect(autocommit=False), connect()

    worker.step(token=88, conn=claiming)
    recovering = Background(
        second, lambda: second.execute("select id from pgqueue.recover(%s, 88)", (worker.id,)).fetchall()
    )
    recovering.waits(conn)
    claiming.commit()

    assert recovering.result() == [(None,), (job_id,)]


def test_a_lost_worker_recovers_nothing(conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    worker.step(token=99)
    worker.lose()

    rows = worker.recover(99)

    assert [(row["held"], row["id"]) for row in rows] == [(False, None)]


def test_settling_goes_on_in_the_new_epoch(conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    lease = worker.claim_one()

    worker.recover()

    assert worker.done(lease) == []


def test_a_taken_worker_id_is_refused(conn: Conn, worker: Worker) -> None:
    query = "select pgqueue.register_worker(%s, 'h', 1, '{}', '{}', 1, interval '1 s')"

    assert scalar(conn, query, worker.id) is False
