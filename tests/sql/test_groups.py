"""Message groups: one at a time, in id order among what is visible and due (I8), and nobody else waits for them."""

import random

from tests.conftest import Connect
from tests.sql.engine import (
    Background,
    Conn,
    Lease,
    Worker,
    attempts,
    cancel,
    enqueue,
    enqueue_many,
    job,
    rescue,
    retry,
    scalar,
    state,
)
from tests.support.waiting import wait_until


def groups(conn: Conn, count: int, key: str = "g", **options: object) -> list[int]:
    return enqueue_many(conn, [{"task": "t", "group_key": key, **options} for _ in range(count)])


def permits(conn: Conn) -> list[int]:
    return [row[0] for row in conn.execute("select job_id from pgqueue.permits where kind = 'group' order by job_id")]


def test_only_the_first_of_a_group_is_claimed_and_the_others_are_blocked(conn: Conn, worker: Worker) -> None:
    first, second, third = groups(conn, 3)
    free = enqueue(conn)

    found = worker.claim()

    assert sorted(lease.id for lease in found) == [first, free]
    assert [state(conn, i) for i in (second, third)] == ["blocked", "blocked"]
    assert job(conn, second)["run_at"] is None
    assert job(conn, second)["group_key"] == "g"
    assert worker.claim() == []


def test_the_end_of_one_is_the_turn_of_the_next_in_the_same_step(conn: Conn, worker: Worker) -> None:
    ids = groups(conn, 4)
    order = []
    done = worker.claim()
    while done:
        order += [lease.id for lease in done]
        done = worker.step(10, done=done).leases

    assert order == ids
    assert permits(conn) == []
    assert scalar(conn, "select count(*) from pgqueue.lane_waits") == 0


def test_groups_of_different_keys_and_queues_do_not_wait_for_each_other(conn: Conn, worker: Worker) -> None:
    a, b = groups(conn, 1, "a")[0], groups(conn, 1, "b")[0]
    c = enqueue(conn, group_key="a", queue="other")

    assert sorted(lease.id for lease in worker.claim()) == [a, b]
    assert [lease.id for lease in worker.claim(queue="other")] == [c]


def test_a_retry_keeps_the_turn_of_its_group(conn: Conn, worker: Worker) -> None:
    first, second = groups(conn, 2)
    (lease,) = worker.claim()

    worker.settle(lease.outcome("failed", delay=0.3))

    assert worker.claim() == []
    wait_until(lambda: bool(found := worker.claim()) and found[0].id == first)
    assert state(conn, second) == "blocked"


def test_a_retry_that_passes_lets_the_next_one_go_first(conn: Conn, worker: Worker) -> None:
    first, second = groups(conn, 2, group_retry="pass")
    (lease,) = worker.claim()

    worker.settle(lease.outcome("failed", delay=0.0))

    found = worker.claim()
    assert [lease.id for lease in found] == [second]
    worker.done(*found)
    wait_until(lambda: bool(found := worker.claim()) and found[0].id == first)


def test_a_dead_letter_and_a_cancelled_job_free_their_group(conn: Conn, worker: Worker) -> None:
    first, second, third = groups(conn, 3)
    (lease,) = worker.claim()
    worker.settle(lease.outcome("dead", error={"type": "E"}))
    (lease,) = worker.claim()
    assert lease.id == second

    worker.settle(lease.outcome("cancelled"))

    assert [lease.id for lease in worker.claim()] == [third]
    assert state(conn, first) == "dead"


def test_a_job_not_due_yet_holds_nobody_up(conn: Conn, worker: Worker) -> None:
    tomorrow = enqueue(conn, group_key="g", delay="1 day")
    now = enqueue(conn, group_key="g")

    assert [lease.id for lease in worker.claim()] == [now]
    assert state(conn, tomorrow) == "scheduled"


def test_cancelling_the_one_whose_turn_it_is_hands_the_turn_on(conn: Conn, worker: Worker) -> None:
    first, second, third = groups(conn, 3)
    (lease,) = worker.claim()
    worker.settle(lease.outcome("failed", delay=3600))

    assert cancel(conn, first) == "scheduled"

    assert [lease.id for lease in worker.claim()] == [second]
    assert cancel(conn, third) == "blocked"
    assert scalar(conn, "select count(*) from pgqueue.lane_waits") == 0


def test_a_lost_worker_gives_the_turn_back_to_the_first(conn: Conn, worker: Worker) -> None:
    ids = groups(conn, 3)
    other = Worker(conn)
    found = other.step(10, series=3).leases
    assert [lease.id for lease in found] == ids
    conn.execute(
        "update pgqueue.worker_processes set heartbeat_at = now() - interval '1 hour' where id = %s", (other.id,)
    )

    rescue(conn)

    assert permits(conn) == ids[:1]
    assert [lease.id for lease in worker.claim_alone()] == ids[:1]
    assert worker.claim_alone() == []
    assert [state(conn, i) for i in ids] == ["running", "blocked", "blocked"]


def test_a_series_is_claimed_beyond_the_room_and_in_order(conn: Conn, worker: Worker) -> None:
    ids = groups(conn, 5)

    found = worker.step(1, series=3).leases

    assert [lease.id for lease in found] == ids[:3]
    assert permits(conn) == ids[:3]
    found = worker.step(1, done=found, series=10).leases
    assert [lease.id for lease in found] == ids[3:]


def test_the_rest_of_a_series_waits_again_behind_the_one_that_failed(conn: Conn, worker: Worker) -> None:
    ids = groups(conn, 4)
    one, two, three, four = worker.step(1, series=4).leases

    worker.settle(
        one.outcome("succeeded"), two.outcome("failed", delay=0.2), three.outcome("released"), four.outcome("released")
    )

    assert permits(conn) == [ids[1]]
    assert [state(conn, i) for i in ids[2:]] == ["blocked", "blocked"]
    late = groups(conn, 1)[0]
    order = []
    while len(order) < 4:
        found = worker.step(1, series=10).leases
        order += [lease.id for lease in found]
        worker.done(*found)
    assert order == [*ids[1:], late]


def test_attempt_numbers_of_a_group_grow_by_one(conn: Conn, worker: Worker) -> None:
    (first,) = groups(conn, 1)
    for number in (1, 2):
        (lease,) = worker.claim()
        assert lease.attempt == number
        worker.settle(lease.outcome("failed", delay=0.0))

    assert attempts(conn, first) == [(1, "failed"), (2, "failed")]


def test_a_dead_job_that_is_retried_stands_in_line_again(conn: Conn, worker: Worker) -> None:
    first, second = groups(conn, 2)
    (lease,) = worker.claim()
    worker.settle(lease.outcome("dead", error={"type": "E"}))
    (running,) = worker.claim()
    assert running.id == second

    retry(conn, first)

    assert worker.claim() == []
    assert state(conn, first) == "blocked"
    worker.done(running)
    assert [lease.id for lease in worker.claim()] == [first]


def test_backlog_counts_a_busy_group_once(conn: Conn, worker: Worker) -> None:
    groups(conn, 10)
    enqueue(conn)
    worker.step(1, series=5)
    worker.claim()

    assert scalar(conn, "select pgqueue.backlog()") == 2


def test_two_claims_of_one_group_at_once_never_both_get_it(conn: Conn, connect: Connect) -> None:
    """The second finds the lane busy, and comes back some milliseconds later."""
    one, two = connect(), connect()
    a, b = Worker(one), Worker(two)
    ids = groups(conn, 2)
    with one.transaction():
        first = a.claim(1)
        assert [lease.id for lease in first] == ids[:1]
        assert b.claim(10) == []
    wait_until(lambda: b.claim(10) == [] and state(conn, ids[1]) == "blocked")
    a.done(*first)
    wait_until(lambda: [lease.id for lease in b.claim(10)] == ids[1:])


def test_a_settle_and_a_claim_that_parks_at_once_lose_no_turn(conn: Conn, connect: Connect) -> None:
    """The claim that parks holds the lane's row, so the settle waits and then sees the parked job."""
    one, two = connect(), connect()
    a, b = Worker(one), Worker(two)
    first = groups(conn, 1)[0]
    leases = a.claim()
    assert [lease.id for lease in leases] == [first]
    second = groups(conn, 1)[0]
    with two.transaction():
        assert b.claim() == []  # parks the second, uncommitted
        settling = Background(one, lambda: a.done(*leases)).waits(conn)
    settling.result()
    wait_until(lambda: [lease.id for lease in b.claim()] == [second])


def overlaps(conn: Conn) -> int:
    """Count the groups that two workers have at once."""
    query = """select count(*) from (
      select p.key from pgqueue.permits p join pgqueue.queued_jobs j on j.id = p.job_id
      where p.kind = 'group' and j.worker_id is not null
      group by p.key having count(distinct j.worker_id) > 1) both_have"""
    return int(scalar(conn, query))


def end_one(rng: random.Random, held: list[tuple[Worker, Lease]]) -> None:
    """Settle the oldest claim: mostly well, else it fails and the rest of its series goes back."""
    who, lease = held.pop(0)
    if rng.random() < 0.8:
        who.done(lease)
        return
    rest = [entry for entry in held if entry[1].row["group_key"] == lease.row["group_key"]]
    for entry in rest:
        held.remove(entry)
    who.settle(lease.outcome("failed", delay=0.0), *[entry[1].outcome("released") for entry in rest])


def test_random_groups_never_overlap_and_lose_nothing(conn: Conn, worker: Worker) -> None:
    rng = random.Random(7)
    ids: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    held: list[tuple[Worker, Lease]] = []
    other = Worker(conn)
    for _ in range(300):
        action = rng.random()
        if action < 0.4:
            key = rng.choice(sorted(ids))
            ids[key] += groups(conn, rng.randint(1, 4), key)
        elif action < 0.7:
            who = rng.choice([worker, other])
            held += [(who, lease) for lease in who.step(rng.randint(1, 5), series=rng.randint(1, 4)).leases]
        elif held:
            end_one(rng, held)
        assert overlaps(conn) == 0
    while held:
        end_one(rng, held)
    while found := worker.step(5, series=4).leases:
        worker.done(*found)

    for key, expected in ids.items():
        query = "select id from pgqueue.jobs where group_key = %s and state = 'succeeded' order by id"
        assert [row[0] for row in conn.execute(query, (key,))] == expected
    assert permits(conn) == []


def test_a_job_in_line_that_is_replaced_by_a_later_one_holds_nobody_up(conn: Conn, worker: Worker) -> None:
    tomorrow = enqueue(conn, group_key="g", key="k")
    assert enqueue(conn, group_key="g", key="k", key_policy="replace", delay="1 day") == tomorrow
    now = enqueue(conn, group_key="g")

    assert [lease.id for lease in worker.claim()] == [now]
    assert state(conn, tomorrow) == "scheduled"
