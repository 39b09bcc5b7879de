"""Limits: never more permits or grants than allowed (I9), and nobody spins while held back."""

import json
from datetime import timedelta

from tests.sql.engine import Conn, Worker, cancel, enqueue, enqueue_many, job, rescue, scalar, state
from tests.support.waiting import wait_until


def rule(conn: Conn, name: str = "api", **values: object) -> None:
    columns = {"rate": None, "per": timedelta(seconds=1), "burst": None, "concurrency": None, **values}
    conn.execute(
        "insert into pgqueue.limit_rules (name, rate, per, burst, concurrency) values (%s, %s, %s, %s, %s)",
        (name, *columns.values()),
    )


def limited(conn: Conn, count: int, limits: object = "api", **options: object) -> list[int]:
    return enqueue_many(conn, [{"task": "t", "limits": limits, **options} for _ in range(count)])


def held(conn: Conn, name: str = "api", key: str = "") -> int:
    return int(
        scalar(conn, "select held from pgqueue.lanes where kind = 'limit' and name = %s and key = %s", name, key)
    )


def test_no_more_than_the_permits_are_claimed_and_the_rest_is_parked(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=2)
    ids = limited(conn, 5)

    found = worker.claim()

    assert [lease.id for lease in found] == ids[:2]
    assert [state(conn, i) for i in ids[2:]] == ["blocked"] * 3
    assert worker.claim() == []
    assert held(conn) == 2


def test_a_permit_that_comes_back_calls_the_next_in_the_same_step(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=2)
    ids = limited(conn, 5)
    one, two = worker.claim()

    assert [lease.id for lease in worker.step(10, done=[one]).leases] == [ids[2]]
    assert [lease.id for lease in worker.step(10, outcomes=[two.outcome("failed", delay=3600)]).leases] == [ids[3]]
    assert held(conn) == 2


def test_who_waits_is_called_by_priority(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=1)
    ids = limited(conn, 3)
    (lease,) = worker.claim()
    urgent = enqueue(conn, limits='"api"', priority=-5)
    assert worker.claim() == []

    (lease,) = worker.step(10, done=[lease]).leases

    assert lease.id == urgent
    assert [state(conn, i) for i in ids[1:]] == ["blocked", "blocked"]


def test_each_key_has_permits_of_its_own(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=1)
    a = limited(conn, 2, {"api": "a"})
    b = limited(conn, 2, {"api": "b"})

    assert [lease.id for lease in worker.claim()] == [a[0], b[0]]


def test_weights_count_and_one_above_the_limit_takes_all_of_it(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=4)
    heavy = enqueue(conn, limits=json.dumps({"api": {"weight": 9}}))
    light = enqueue(conn, limits='"api"')

    (lease,) = worker.claim()
    assert lease.id == heavy
    assert held(conn) == 4
    assert [x.id for x in worker.step(10, done=[lease]).leases] == [light]
    assert held(conn) == 1


def test_a_job_takes_all_of_its_limits_or_none(conn: Conn, worker: Worker) -> None:
    rule(conn, "a", concurrency=1)
    rule(conn, "b", concurrency=1)
    first = enqueue(conn, limits='["b"]')
    second = enqueue(conn, limits='["a", "b"]')
    third = enqueue(conn, limits='["a"]')

    found = worker.claim()

    assert sorted(lease.id for lease in found) == [first, third]
    worker.done(*[lease for lease in found if lease.id == first])
    assert worker.claim() == []  # b is free now, a is not
    assert state(conn, second) == "blocked"
    assert [x.id for x in worker.step(10, done=[lease for lease in found if lease.id == third]).leases] == [second]


def test_a_lost_worker_and_a_cancelled_job_give_their_permits_back(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=1)
    first, second, third = limited(conn, 3)
    other = Worker(conn)
    (lease,) = other.claim()
    assert lease.id == first
    assert worker.claim() == []
    conn.execute("update pgqueue.worker_processes set heartbeat_at = now() - interval '1 h' where id = %s", (other.id,))

    rescue(conn)

    assert held(conn) == 0
    (lease,) = worker.claim()
    assert lease.id == second
    assert cancel(conn, third) in ("blocked", "ready")
    assert scalar(conn, "select count(*) from pgqueue.lane_waits where job_id = %s", third) == 0


def test_settling_twice_gives_one_permit_back(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=3)
    limited(conn, 3)
    one, _two, _three = worker.claim()

    assert worker.done(one) == []
    assert worker.done(one) == [one.id]

    assert held(conn) == 2


def test_an_unknown_limit_holds_its_jobs_until_somebody_says_what_it_is(conn: Conn, worker: Worker) -> None:
    (waiting,) = limited(conn, 1)

    assert worker.claim() == []
    assert state(conn, waiting) == "scheduled"
    rule(conn, concurrency=1)
    wait_until(lambda: [lease.id for lease in worker.claim()] == [waiting])


def test_a_rate_grants_its_burst_and_dates_the_others(conn: Conn, worker: Worker) -> None:
    rule(conn, rate=10, burst=3)
    ids = limited(conn, 6)

    step = worker.step(10)

    assert [lease.id for lease in step.leases] == ids[:3]
    due = [job(conn, i)["run_at"] for i in ids[3:]]
    assert [round((at - step.clock).total_seconds(), 3) for at in due] == [0.1, 0.2, 0.3]
    assert step.next_due == due[0]


def test_a_dated_job_is_not_overtaken_by_a_later_one(conn: Conn, worker: Worker) -> None:
    rule(conn, rate=5, burst=1)
    first, second = limited(conn, 2)
    assert [lease.id for lease in worker.claim()] == [first]
    wait_until(lambda: job(conn, second)["state"] == "ready")
    (late,) = limited(conn, 1, priority=-100)

    found = worker.claim()

    assert [lease.id for lease in found] in (
        [second],
        [late, second],
        [late],
    )  # urgent ones may be first when it is due
    wait_until(lambda: not worker.claim() and state(conn, late) == state(conn, second) == "running")


def test_over_a_simulated_minute_no_window_sees_more_than_budget_and_burst(conn: Conn, worker: Worker) -> None:
    """The gate is asked with times of our own; a job that was dated comes back when it was told to."""
    rule(conn, rate=20, burst=5)
    limited(conn, 400)
    start = scalar(conn, "select clock_timestamp()")
    grants: list[float] = []
    now = 0.0
    while now < 18:
        at = start + timedelta(seconds=now)
        with conn.transaction():
            ids = [
                row[0]
                for row in conn.execute(
                    "select id from pgqueue.queued_jobs where run_at <= %s order by run_at, id limit 200 for update",
                    (at,),
                )
            ]
            passed = (
                scalar(conn, "select pgqueue.gate(%s::bigint[], 'default', '{t}', %s, 100)", ids, at) if ids else []
            )
            conn.execute("delete from pgqueue.queued_jobs where id = any (%s)", (passed,))
        grants += [now] * len(passed)
        now += 0.13
    for window in (0.1, 0.5, 1.0, 3.0):
        worst = max(sum(1 for g in grants if start_at <= g < start_at + window) for start_at in grants)
        assert worst <= 20 * window + 5
    assert len(grants) >= 0.95 * 18 * 20


def test_a_limited_job_costs_no_slot_and_the_next_one_is_claimed(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=1)
    ids = limited(conn, 50)
    free = enqueue(conn)

    found = worker.step(2).leases + worker.step(1).leases  # a claim that has something does not look on; it says more

    assert sorted(lease.id for lease in found) == [ids[0], free]


def test_an_undefined_limit_does_not_disturb_the_others(conn: Conn, worker: Worker) -> None:
    rule(conn, "b", concurrency=5)
    held_back = enqueue(conn, limits='"a_undefined"')
    free = enqueue(conn, limits='"b"')

    assert [lease.id for lease in worker.claim()] == [free]
    assert state(conn, held_back) == "scheduled"
    assert held(conn, "b") == 1


def test_a_job_in_line_that_is_replaced_by_a_later_one_is_not_called_early(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=1)
    limited(conn, 1)
    waiting = enqueue(conn, limits='"api"', key="k")
    (lease,) = worker.claim()

    assert enqueue(conn, limits='"api"', key="k", key_policy="replace", delay="1 day") == waiting

    assert state(conn, waiting) == "scheduled"
    assert worker.step(10, done=[lease]).leases == []
    assert worker.claim() == []


def test_jobs_that_fill_the_room_leave_those_with_limits_for_the_next_claim(conn: Conn, worker: Worker) -> None:
    """Retries that hold their groups' turns pass beyond the room when many are looked at: its rest was negative."""
    rule(conn, rate=1, per=timedelta(hours=1))
    groups = [enqueue(conn, group_key=name) for name in "abc"]
    turns = worker.claim()
    limited(conn, 1)
    worker.done(*worker.claim())  # the bucket is empty
    limited(conn, 1)
    worker.settle(*(lease.outcome("failed", delay=0) for lease in turns))
    limited(conn, 1)

    found = [lease.id for _ in range(3) for lease in worker.step(1).leases]

    assert found == groups
