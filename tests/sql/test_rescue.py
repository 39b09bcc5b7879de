# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Rescue: what happens to the jobs of workers that fell silent, and to the one that killed them."""

import threading
from functools import partial

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.conftest import Connect
from tests.sql.engine import (
    Background,
    Conn,
    Worker,
    attempts,
    cancel,
    column,
    enqueue,
    enqueue_many,
    guard,
    holder,
    job,
    rescue,
    retry,
    scalar,
    state,
)  # fmt: skip
from tests.support.waiting import wait_until


def test_i5_the_jobs_of_a_silent_worker_are_handed_on_and_a_beating_one_keeps_its_own(conn: Conn) -> None:
    silent, beating = Worker(conn), Worker(conn)
    lost_job, kept = enqueue(conn), enqueue(conn)
    silent.claim(1)
    lease = beating.claim_one()

    silent.fall_silent()
    rescued = rescue(conn)

    assert [(row["worker_id"], row["jobs"]) for row in rescued] == [(silent.id, 1)]
    assert (state(conn, lost_job), state(conn, kept)) == ("ready", "running")
    assert beating.done(lease) == []
    assert attempts(conn, lost_job) == [(1, "lost")]
    assert "stopped beating" in job(conn, lost_job)["error"]["message"]


def test_i5_a_lost_job_is_claimed_again_until_it_is_settled(conn: Conn) -> None:
    job_id = enqueue(conn)
    worker = Worker(conn)
    worker.claim_one()
    worker.lose()

    again = Worker(conn)
    (lease,) = again.claim_alone()

    assert (again.done(lease), state(conn, job_id)) == ([], "succeeded")


def test_i5_a_rescue_of_many_jobs_comes_in_parts_that_go_on_where_the_last_one_ended(conn: Conn) -> None:
    """A rescue that takes longer than a heartbeat may is cut off and rolls back: the keeper asks for so many at a time."""
    first, second = Worker(conn), Worker(conn)
    ids = enqueue_many(conn, [{"task": "t"}] * 25)
    first.claim(10)
    second.claim(15)
    first.fall_silent()
    second.fall_silent()

    parts = [
        [row["jobs"] for row in conn.cursor(row_factory=dict_row).execute("select jobs from pgqueue.rescue(7)")]
        for _ in range(5)
    ]

    assert [sum(part) for part in parts] == [7, 7, 7, 4, 0]
    assert column(conn, "select state from pgqueue.jobs") == ["ready"] * len(ids)
    assert column(conn, "select rescued from pgqueue.worker_processes") == [True, True]
    assert [attempts(conn, job_id) for job_id in ids] == [[(1, "lost")]] * len(ids)


def test_lost_is_not_failed_and_what_was_only_claimed_beside_loses_nothing(conn: Conn) -> None:
    ids = enqueue_many(conn, [{"task": "t"}] * 3)
    worker = Worker(conn)
    worker.claim()

    worker.lose()

    for job_id in ids:
        assert (job(conn, job_id)["failures"], job(conn, job_id)["losses"], state(conn, job_id)) == (0, 0, "ready")


def test_i11_a_job_with_a_loss_runs_alone_and_is_no_part_of_ordinary_claims(conn: Conn) -> None:
    ids = enqueue_many(conn, [{"task": "t", "priority": p} for p in (1, 0)])
    worker = Worker(conn)
    worker.claim()
    worker.lose()

    other = Worker(conn)
    step = other.step()
    first, second, third = other.claim_alone(), other.claim_alone(), other.claim_alone()

    assert (step.leases, step.suspects) == ([], True)
    assert [[lease.id for lease in leases] for leases in (first, second, third)] == [[ids[1]], [ids[0]], []]
    assert other.step().suspects is False


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_i11_a_job_that_kills_its_worker_does_so_once_beside_others_and_cap_times_alone(conn: Conn, cap: int) -> None:
    conn.execute("update pgqueue.settings set max_losses = %s", (cap,))
    poison, neighbour = enqueue_many(conn, [{"task": "t", "key": "p"}, {"task": "t"}])
    deaths = 0

    worker = Worker(conn)
    worker.claim()
    worker.lose()
    deaths += 1
    while state(conn, poison) != "dead":
        worker = Worker(conn)
        (lease,) = worker.claim_alone()
        if lease.id == neighbour:
            worker.done(lease)
            continue
        worker.lose()
        deaths += 1

    row = job(conn, poison)
    assert (deaths, row["losses"], row["failures"]) == (cap + 1, cap, 0)
    assert "stopped beating" in row["error"]["message"]
    assert [outcome for _, outcome in attempts(conn, poison)] == ["lost"] * cap + ["dead"]
    assert holder(conn, "p") is None
    if state(conn, neighbour) != "succeeded":
        (lease,) = Worker(conn).claim_alone()
        assert (lease.id, worker.done(lease)) == (neighbour, [])
    assert job(conn, neighbour)["losses"] == 0


def test_i11_a_worker_that_is_certain_which_job_killed_it_counts_it_beside_others_too(
    conn: Conn, worker: Worker
) -> None:
    conn.execute("update pgqueue.settings set max_losses = 1")
    poison, neighbour = enqueue_many(conn, [{"task": "t"}] * 2)
    one, two = worker.claim()

    worker.settle(one.outcome("lost", alone=True), two.outcome("released"))

    assert (state(conn, poison), state(conn, neighbour), job(conn, neighbour)["losses"]) == ("dead", "ready", 0)


def test_i11_a_retry_of_a_poison_job_starts_its_count_again_but_it_still_runs_alone(conn: Conn) -> None:
    conn.execute("update pgqueue.settings set max_losses = 1")
    job_id = enqueue(conn)
    for claim in (Worker.claim, Worker.claim_alone):
        worker = Worker(conn)
        claim(worker)
        worker.lose()
    assert state(conn, job_id) == "dead"

    retry(conn, job_id)

    assert job(conn, job_id)["losses"] == 0
    assert Worker(conn).claim() == []
    assert [lease.attempt for lease in Worker(conn).claim_alone()] == [3]


def test_i4_a_worker_declared_lost_can_neither_beat_nor_claim_nor_settle_what_was_handed_on(conn: Conn) -> None:
    job_id = enqueue(conn)
    worker = Worker(conn)
    lease = worker.claim_one()
    worker.lose()
    enqueue(conn)

    step = worker.step(done=[lease])

    assert worker.beat() is None
    assert (step.lost, step.leases, step.stale) == (True, [], [job_id])
    assert worker.claim_alone() == []


def test_i3_a_claim_under_way_is_not_passed_by_the_rescue(connect: Connect, conn: Conn) -> None:
    """The claim holds the worker's row: the rescue leaves that worker for the next time, then finds all its jobs."""
    job_id = enqueue(conn)
    worker = Worker(conn)
    claiming = connect(autocommit=False)

    worker.claim(conn=claiming)
    worker.fall_silent()
    during = rescue(conn)
    claiming.commit()
    after = rescue(conn)

    assert (during, after[0]["jobs"], state(conn, job_id)) == ([], 1, "ready")


def test_i3_a_claim_that_waited_for_the_rescue_claims_nothing(connect: Connect, conn: Conn) -> None:
    enqueue(conn)
    worker = Worker(conn)
    worker.fall_silent()
    rescuing, claiming = connect(autocommit=False), connect()

    rescue(rescuing)
    step = Background(claiming, lambda: worker.step(conn=claiming)).waits(conn)
    rescuing.commit()

    assert (step.result().lost, step.result().leases) == (True, [])


def test_a_heartbeat_that_comes_first_keeps_the_worker(connect: Connect, conn: Conn) -> None:
    worker = Worker(conn)
    worker.fall_silent()
    beating = connect(autocommit=False)

    beating.execute("select pgqueue.beat(%s, 0)", (worker.id,))
    during = rescue(conn)
    beating.commit()

    assert (during, rescue(conn), worker.beat()) == ([], [], [])


def test_i6_a_settle_under_way_wins_over_the_rescue(connect: Connect, conn: Conn) -> None:
    job_id = enqueue(conn)
    worker = Worker(conn)
    lease = worker.claim_one()
    settling = connect(autocommit=False)

    worker.done(lease, conn=settling)
    worker.fall_silent()
    (lost,) = rescue(conn)
    settling.commit()
    rescue(conn)

    assert (lost["jobs"], state(conn, job_id), attempts(conn, job_id)) == (0, "succeeded", [(1, "succeeded")])
    assert scalar(conn, "select rescued from pgqueue.worker_processes where id = %s", worker.id) is True


def test_i4_a_settle_that_waited_for_the_rescue_is_stale(connect: Connect, conn: Conn) -> None:
    job_id = enqueue(conn)
    worker = Worker(conn)
    lease = worker.claim_one()
    worker.fall_silent()
    rescuing, settling = connect(autocommit=False), connect()

    rescue(rescuing)
    late = Background(settling, lambda: worker.done(lease, conn=settling)).waits(conn)
    rescuing.commit()

    assert (late.result(), state(conn, job_id)) == ([job_id], "ready")


def test_i6_two_rescues_at_once_hand_each_job_on_once(connect: Connect, conn: Conn) -> None:
    ids = enqueue_many(conn, [{"task": "t"}] * 4)
    workers = [Worker(conn) for _ in range(2)]
    for worker in workers:
        worker.claim(2)
        worker.fall_silent()
    first = connect(autocommit=False)
    conn.execute("set lock_timeout = '2 s'")

    rescued = len(rescue(first))
    beside = rescue(conn)
    first.commit()

    assert (rescued, beside, rescue(conn)) == (2, [], [])
    assert [attempts(conn, job_id) for job_id in ids] == [[(1, "lost")]] * 4


def test_i15_one_bad_row_does_not_stop_a_rescue(conn: Conn) -> None:
    """The bad row: the log of attempts refuses this one, as a damaged row or a full index would."""
    ids = enqueue_many(conn, [{"task": "t"}] * 3)
    bad, good = Worker(conn), Worker(conn)
    other = enqueue(conn)
    bad.claim(3)
    good.claim(1)
    for worker in (bad, good):
        worker.fall_silent()
    conn.execute(f"alter table pgqueue.job_attempts add constraint bad check (job_id <> {ids[1]})")
    heard: list[str] = []
    conn.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))

    rescued = rescue(conn)
    between = [state(conn, job_id) for job_id in (*ids, other)]
    conn.execute("alter table pgqueue.job_attempts drop constraint bad")
    rescue(conn)

    assert {row["worker_id"] for row in rescued} == {bad.id, good.id}
    assert between == ["ready", "running", "ready", "ready"]
    assert any(line.startswith(f"rescue of job {ids[1]}: ") for line in heard)
    assert state(conn, ids[1]) == "ready"


def test_i15_one_bad_request_does_not_stop_the_sweep(conn: Conn, worker: Worker) -> None:
    ids = enqueue_many(conn, [{"task": "t"}] * 3)
    leases = worker.claim()
    conn.execute("insert into pgqueue.cancel_requests select id, now() from pgqueue.queued_jobs")
    conn.execute("update pgqueue.queued_jobs set worker_id = null, token = null")
    conn.execute(f"alter table pgqueue.finished_jobs add constraint bad check (id <> {ids[1]})")

    ended = scalar(conn, "select pgqueue.sweep_cancel_requests()")

    assert (ended, [state(conn, job_id) for job_id in ids]) == (2, ["cancelled", "ready", "cancelled"])
    assert len(leases) == 3


def test_a_job_asked_to_stop_is_cancelled_by_the_rescue(conn: Conn) -> None:
    job_id = enqueue(conn)
    worker = Worker(conn)
    worker.claim_one()
    cancel(conn, job_id)

    worker.lose()

    assert state(conn, job_id) == "cancelled"


def test_the_listening_backend_of_a_lost_worker_is_ended(connect: Connect, conn: Conn) -> None:
    listener = connect()
    worker = Worker(conn)
    conn.execute("select pgqueue.beat(%s, 0, %s)", (worker.id, listener.info.backend_pid))

    worker.lose()

    wait_until(
        lambda: not scalar(conn, "select count(*) from pg_stat_activity where pid = %s", listener.info.backend_pid)
    )
    with pytest.raises(psycopg.OperationalError):
        listener.execute("select 1")


def test_a_pid_that_was_reused_is_not_ended(connect: Connect, conn: Conn) -> None:
    innocent = connect()
    worker = Worker(conn)
    conn.execute("select pgqueue.beat(%s, 0, %s)", (worker.id, innocent.info.backend_pid))
    conn.execute("update pgqueue.worker_processes set listener_at = listener_at - interval '1 s'")

    worker.lose()

    assert scalar(innocent, "select 1") == 1


def test_a_role_that_may_not_signal_the_listener_still_rescues(connect: Connect, conn: Conn) -> None:
    conn.execute("create role pgq_weak; grant usage on schema pgqueue to pgq_weak")
    try:
        conn.execute(
            "grant all on all tables in schema pgqueue to pgq_weak; grant all on all functions in schema pgqueue to pgq_weak"
        )
        conn.execute("grant all on all sequences in schema pgqueue to pgq_weak")
        listener = connect()
        job_id = enqueue(conn)
        worker = Worker(conn)
        worker.claim_one()
        conn.execute("select pgqueue.beat(%s, 0, %s)", (worker.id, listener.info.backend_pid))
        worker.fall_silent()
        weak = connect()
        weak.execute("set role pgq_weak")

        assert len(rescue(weak)) == 1
        assert (state(conn, job_id), scalar(listener, "select 1")) == ("ready", 1)
    finally:
        conn.execute("drop owned by pgq_weak; drop role pgq_weak")


def test_i7_leases_are_told_by_the_databases_clock_even_in_an_old_transaction(connect: Connect, conn: Conn) -> None:
    """now() is the transaction's begin: what has run out since then is over, and a heartbeat is as of when it is told."""
    old = connect(autocommit=False)
    old.execute("select now()")
    healthy, beating, over = Worker(conn, lease="1 hour"), Worker(conn, lease="1 hour"), Worker(conn, lease="1 hour")
    ended = "update pgqueue.worker_processes set heartbeat_at = clock_timestamp() - lease where id = any (%s)"
    conn.execute(ended, [[beating.id, over.id]])
    old.execute("select pgqueue.beat(%s, 0)", [beating.id])

    lost = [row["worker_id"] for row in rescue(old)]
    age = "select clock_timestamp() - heartbeat_at < clock_timestamp() - now() from pgqueue.worker_processes where id = %s"
    fresh = scalar(old, age, beating.id)
    old.commit()

    assert (lost, fresh) == ([over.id], True)
    assert healthy.beat() == []


def work(on: Conn, stop: threading.Event) -> None:
    """Claim, settle, fall silent and leave in turns, as ever new workers."""
    worker, turn = Worker(on), 0
    while not stop.is_set():
        turn += 1
        step = worker.step(9)
        leases = step.leases + worker.claim_alone(conn=on)
        if step.lost:
            worker = Worker(on)
        elif turn % 5 == 0:
            worker.fall_silent()
        elif turn % 7 == 0:
            worker.leave()
            worker = Worker(on)
        else:
            worker.step(0, done=leases[::2], outcomes=[lease.outcome("failed", delay=0) for lease in leases[1::2]])


def house(on: Conn, stop: threading.Event) -> None:
    while not stop.is_set():
        rescue(on)
        scalar(on, "select pgqueue.sweep_cancel_requests()")


def test_i14_rescues_settles_claims_cancels_and_leaves_at_once_never_deadlock_nor_lose(
    connect: Connect, conn: Conn
) -> None:
    ids = enqueue_many(conn, [{"task": "t", "key": f"k{n}", "max_attempts": 3} for n in range(120)])
    conn.execute("update pgqueue.settings set max_losses = 1000")
    stop = threading.Event()

    calls = [Background(on := connect(), partial(f, on, stop)) for f in (work, work, work, house, house)]
    operator = connect()
    for job_id in ids[::6]:
        cancel(operator, job_id)
    wait_until(lambda: scalar(conn, "select count(*) < 30 from pgqueue.queued_jobs"), 30)
    stop.set()
    for call in calls:
        call.result(20)
    conn.execute("update pgqueue.worker_processes set heartbeat_at = heartbeat_at - 2 * lease")
    last = Worker(conn)
    wait_until(lambda: drained(conn, last), 20)

    ended = column(conn, "select id from pgqueue.finished_jobs order by id")
    assert ended == ids
    assert (
        scalar(
            conn,
            "select count(*) from (select job_id, attempt from pgqueue.attempts group by 1, 2 having count(*) > 1) x",
        )
        == 0
    )
    assert (
        scalar(conn, "select (select count(*) from pgqueue.job_keys) + (select count(*) from pgqueue.cancel_requests)")
        == 0
    )


def drained(conn: Conn, worker: Worker) -> bool:
    rescue(conn)
    scalar(conn, "select pgqueue.sweep_cancel_requests()")
    worker.beat()
    for lease in worker.claim() + worker.claim_alone():
        worker.done(lease)
    return scalar(conn, "select count(*) = 0 from pgqueue.queued_jobs") is True


def test_a_guarded_job_of_a_lost_worker_is_left_for_the_next_time_and_the_rest_moves(
    connect: Connect, conn: Conn
) -> None:
    ids = enqueue_many(conn, [{"task": "t"}] * 3)
    worker = Worker(conn)
    leases = worker.claim()
    handler = connect(autocommit=False)

    guard(handler, leases[1])
    worker.fall_silent()
    first = rescue(conn)
    handler.commit()
    second = rescue(conn)

    assert (first[0]["jobs"], second[0]["jobs"], rescue(conn)) == (2, 1, [])
    assert {state(conn, job_id) for job_id in ids} == {"ready"}
