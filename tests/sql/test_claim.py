"""Claim: who gets which job, in which order, and never twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Connect
from tests.sql.engine import Conn, Lease, Worker, column, enqueue, enqueue_many, job, make_due, scalar, state


def test_strictly_by_priority_then_due_time_then_id(conn: Conn, worker: Worker) -> None:
    late, first, second, urgent, lazy = enqueue_many(
        conn,
        [{"task": "t"}, {"task": "t", "run_at": "2020-01-01Z"}, {"task": "t", "run_at": "2020-01-01Z"},
         {"task": "t", "priority": -100}, {"task": "t", "priority": 100, "run_at": "2000-01-01Z"}],
    )  # fmt: skip

    assert [lease.id for lease in worker.claim()] == [urgent, first, second, late, lazy]


def test_a_claim_takes_no_more_than_it_was_asked_for_across_priorities(conn: Conn, worker: Worker) -> None:
    ids = enqueue_many(conn, [{"task": "t", "priority": p} for p in (3, 2, 1) for _ in range(3)])

    step = worker.step(5)

    assert step.ids == [*ids[6:9], *ids[3:5]]
    assert scalar(conn, "select count(*) from pgqueue.queued_jobs where worker_id is not null") == 5


def test_i3_a_claimed_job_is_leased_to_one_worker_and_not_claimed_again(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    other = Worker(conn)

    lease = worker.claim_one()

    row = job(conn, job_id)
    assert (row["state"], row["worker_id"], row["attempt"], lease.attempt) == ("running", worker.id, 1, 1)
    assert worker.claim() == other.claim() == other.claim_alone() == []


def test_i3_a_claim_passes_by_what_another_claim_is_taking(connect: Connect, conn: Conn, worker: Worker) -> None:
    ids = enqueue_many(conn, [{"task": "t"}] * 4)
    first, other = connect(autocommit=False), Worker(conn)

    taken = worker.claim(2, conn=first)
    passed = other.claim()
    first.commit()

    assert ([lease.id for lease in taken], [lease.id for lease in passed]) == (ids[:2], ids[2:])
    assert other.claim() == []


def test_i3_a_claim_that_rolled_back_took_nothing_and_burnt_no_attempt_number(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    job_id = enqueue(conn)
    first = connect(autocommit=False)

    worker.claim(conn=first)
    first.rollback()

    assert (state(conn, job_id), worker.claim_one().attempt) == ("ready", 1)


def test_i3_attempt_numbers_grow_by_one_through_every_outcome_and_never_repeat(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    seen = []

    for outcome in ["failed", "snoozed", "released", "failed", "snoozed"]:
        lease = worker.claim_one()
        seen.append(lease.attempt)
        worker.settle(lease.outcome(outcome, delay=0))
    worker.settle(worker.claim_one().outcome("dead"))
    scalar(conn, "select pgqueue.retry(%s)", job_id)
    lease = worker.claim_one()
    scalar(conn, "select pgqueue.cancel(%s)", job_id)
    worker.settle(lease.outcome("cancelled"))
    scalar(conn, "select pgqueue.retry(%s)", job_id)
    lease = worker.claim_one()

    assert [*seen, lease.attempt] == [1, 2, 3, 4, 5, 8]
    assert column(conn, "select attempt from pgqueue.attempts order by attempt") == [1, 2, 3, 4, 5, 6, 7]


def test_i3_8_claimers_share_2000_jobs_without_overlap(connect: Connect, conn: Conn) -> None:
    enqueue_many(conn, [{"task": "t", "priority": n % 3} for n in range(2000)])
    workers = [Worker(connect()) for _ in range(8)]

    def drain(worker: Worker) -> list[Lease]:
        taken: list[Lease] = []
        step = worker.step(17)
        while step.leases:
            taken += step.leases
            step = worker.step(17, done=step.leases)
            assert step.stale == []
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [lease for some in pool.map(drain, workers) for lease in some]
    for worker in workers:  # a claim may pass by what another has only just locked and let go
        taken += drain(worker)

    assert len(taken) == len({lease.id for lease in taken}) == 2000
    assert {lease.attempt for lease in taken} == {1}
    assert scalar(conn, "select count(*) from pgqueue.finished_jobs where succeeded") == 2000


def test_i7_a_job_is_not_claimed_before_it_is_due(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn, delay="1 hour")

    step = worker.step()

    assert step.leases == []
    assert step.next_due == job(conn, job_id)["run_at"]
    make_due(conn, job_id)
    assert worker.claim_one().id == job_id


def test_i7_marks_of_the_future_and_of_other_clocks_claim_nothing_early_and_miss_nothing_due(
    conn: Conn, worker: Worker
) -> None:
    """A worker's clock or marks decide nothing: marks later than 250 ms ago are taken back."""
    due = enqueue(conn)
    enqueue(conn, delay="1 hour")

    step = worker.step(marks=[(0, "9999-01-01Z", 2**62)])

    assert step.ids == [due]


def test_marks_begin_at_the_place_given_and_a_full_pass_finds_what_is_behind(conn: Conn, worker: Worker) -> None:
    ids = enqueue_many(conn, [{"task": "t", "run_at": f"2020-01-0{n}Z"} for n in (1, 2, 2, 3)])

    marked = worker.step(marks=[(0, "2020-01-02Z", ids[2])])

    assert marked.ids == ids[2:]
    assert worker.step().ids == ids[:2]


def test_i12_only_registered_tasks_are_claimed_and_unknown_ones_wait(conn: Conn) -> None:
    unknown, known, other = enqueue(conn, "unknown"), enqueue(conn, "known"), enqueue(conn, "other")
    worker = Worker(conn, tasks=["known", "other"])

    assert [lease.id for lease in worker.claim()] == [known, other]
    assert state(conn, unknown) == "ready"
    assert scalar(conn, "select task from pgqueue.jobs where state = 'ready' and run_at <= now()") == "unknown"
    assert Worker(conn, tasks=[]).claim() == []
    assert Worker(conn, tasks=["unknown"]).claim_one().id == unknown


def test_i12_a_job_that_has_to_run_alone_goes_only_to_a_worker_that_knows_its_task(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    worker.settle(worker.claim_one().outcome("lost"))

    assert Worker(conn, tasks=["known"]).claim_alone() == []
    assert [lease.id for lease in worker.claim_alone()] == [job_id]


def test_a_claim_takes_from_its_queue_alone(conn: Conn, worker: Worker) -> None:
    enqueue(conn, queue="a")
    b = enqueue(conn, queue="b")

    assert worker.claim_one(queue="b").id == b
    assert worker.claim(queue="c") == []


def test_a_paused_queue_is_not_claimed_from_until_it_is_resumed(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    worker.settle(worker.claim_one().outcome("lost"))
    plain = enqueue(conn)

    assert scalar(conn, "select pgqueue.pause('default')") is True
    assert scalar(conn, "select pgqueue.pause('default')") is False
    assert (worker.claim(), worker.claim_alone()) == ([], [])
    assert scalar(conn, "select paused from pgqueue.queues where queue = 'default'") is True
    assert scalar(conn, "select pgqueue.resume('default')") is True
    assert scalar(conn, "select pgqueue.resume('default')") is False
    assert (worker.claim_one().id, worker.claim_alone()[0].id) == (plain, job_id)


def test_a_step_settles_on_a_paused_queue(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    scalar(conn, "select pgqueue.pause('default')")

    assert worker.step(done=[lease]).stale == []
    assert state(conn, job_id) == "succeeded"


def test_a_step_claims_what_its_own_settle_freed(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()

    step = worker.step(outcomes=[lease.outcome("failed", delay=0)])

    assert [(again.id, again.attempt) for again in step.leases] == [(job_id, 2)]


def test_an_expired_job_is_claimed_as_expired_and_settles_as_cancelled(conn: Conn, worker: Worker) -> None:
    job_id, fresh = enqueue(conn, expires_at="2020-01-01Z", key="k"), enqueue(conn, expires_at="2999-01-01Z")

    leases = worker.claim()
    worker.settle(leases[0].outcome("expired"))

    assert [lease.row["expired"] for lease in leases] == [True, False]
    row = job(conn, job_id)
    assert (row["state"], row["error"], row["started_at"]) == (
        "cancelled",
        {"type": "Cancelled", "message": "expired"},
        None,
    )
    assert state(conn, fresh) == "running"


def test_a_claim_whose_arguments_were_dropped_still_brings_the_others(conn: Conn, worker: Worker) -> None:
    bare, whole = enqueue(conn), enqueue(conn, args={"v": 1})
    conn.execute("delete from pgqueue.job_args where id = %s", (bare,))

    assert [(lease.id, lease.row["args"]) for lease in worker.claim()] == [(bare, None), (whole, '{"v": 1}')]
    assert job(conn, bare)["args"] is None


def test_a_full_pass_goes_over_every_priority_and_reports_them(conn: Conn, worker: Worker) -> None:
    enqueue_many(conn, [{"task": "t", "priority": p} for p in (100, -100, 0, 7, 7)])

    assert scalar(conn, "select pgqueue.priorities('default')") == [-100, 0, 7, 100]
    assert [lease.row["priority"] for lease in worker.claim()] == [-100, 0, 7, 7, 100]
    assert scalar(conn, "select pgqueue.priorities('nothing')") == []


@pytest.mark.parametrize("max_jobs", [0, -1])
def test_a_step_without_room_claims_nothing(conn: Conn, worker: Worker, max_jobs: int) -> None:
    enqueue(conn)

    assert worker.step(max_jobs).leases == []


def test_i14_a_claim_never_waits_for_any_locked_job(connect: Connect, conn: Conn, worker: Worker) -> None:
    ids = enqueue_many(conn, [{"task": "t"}] * 6)
    locker = connect(autocommit=False)
    locker.execute("select from pgqueue.queued_jobs where id = any(%s) for update", (ids[::2],))
    conn.execute("set lock_timeout = '1 s'")

    assert [lease.id for lease in worker.claim()] == ids[1::2]
    locker.rollback()
    assert [lease.id for lease in worker.claim()] == ids[::2]


def test_a_job_that_commits_late_behind_the_marks_is_found_by_a_full_pass(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    producer = connect(autocommit=False)
    late = enqueue(producer)
    producer.execute("update pgqueue.queued_jobs set run_at = run_at - interval '5 s' where id = %s", (late,))
    on_time = enqueue(conn)
    claimed = worker.claim_one()
    producer.commit()

    behind = worker.step(marks=[(0, str(claimed.row["run_at"]), claimed.id)])

    assert claimed.id == on_time
    assert behind.leases == []
    assert worker.claim_one().id == late
