"""Fair shares between the keys of a queue, and aging between priorities."""

from collections import Counter

from tests.sql.engine import Conn, Worker, enqueue_many, job, scalar, state


def fair(conn: Conn, **weights: int) -> None:
    conn.execute("insert into pgqueue.queue_policies (queue, fair) values ('default', true)")
    for key, weight in weights.items():
        conn.execute("insert into pgqueue.fair_weights (queue, key, weight) values ('default', %s, %s)", (key, weight))


def tenants(conn: Conn, **counts: int) -> dict[int, str]:
    found: dict[int, str] = {}
    for key, count in counts.items():
        for i in enqueue_many(conn, [{"task": "t", "fair_key": key} for _ in range(count)]):
            found[i] = key
    return found


def test_a_flood_of_one_key_does_not_delay_the_other(conn: Conn, worker: Worker) -> None:
    fair(conn)
    owner = tenants(conn, flood=200, small=5)

    first = [owner[lease.id] for lease in worker.step(10).leases]

    assert Counter(first) == {"flood": 5, "small": 5}


def test_weights_share_in_proportion_also_one_by_one(conn: Conn, worker: Worker) -> None:
    fair(conn, big=3)
    owner = tenants(conn, big=100, small=100)

    seen: Counter[str] = Counter()
    for _ in range(40):
        (lease,) = worker.step(1).leases
        seen[owner[lease.id]] += 1
        worker.done(lease)

    assert seen == {"big": 30, "small": 10}


def test_weights_share_in_proportion_whatever_the_sizes_of_the_claims(conn: Conn, worker: Worker) -> None:
    fair(conn, big=3)
    owner = tenants(conn, big=600, small=600)

    seen: Counter[str] = Counter()
    for size in (5, 21, 7, 2, 13, 50, 1, 9, 17, 5, 5, 5, 33, 23, 23, 21):
        found = worker.step(size).leases
        seen.update(owner[lease.id] for lease in found)
        worker.done(*found)

    assert seen.total() == 240
    assert abs(seen["small"] - 60) <= 3


def test_a_key_without_work_leaves_its_share_to_the_others(conn: Conn, worker: Worker) -> None:
    fair(conn, idle=1000)
    tenants(conn, a=30)

    assert len(worker.step(20).leases) == 20


def test_order_within_a_key_is_priority_then_id_and_nothing_is_lost(conn: Conn, worker: Worker) -> None:
    fair(conn)
    slow = enqueue_many(conn, [{"task": "t", "fair_key": "a", "priority": 5}, {"task": "t", "fair_key": "a"}])
    order = []
    while found := worker.step(1).leases:
        order += [lease.id for lease in found]
        worker.done(*found)

    assert order == [slow[1], slow[0]]
    assert scalar(conn, "select count(*) from pgqueue.permits") == 0
    assert scalar(conn, "select count(*) from pgqueue.lane_waits") == 0


def test_a_retry_of_a_fair_job_stands_in_its_line_again(conn: Conn, worker: Worker) -> None:
    fair(conn)
    (only,) = tenants(conn, a=1)
    (lease,) = worker.step(5).leases
    worker.settle(lease.outcome("failed", delay=0.0))

    found = worker.step(5).leases + worker.step(5).leases

    assert [x.id for x in found] == [only]


def test_jobs_in_line_are_blocked_and_can_be_cancelled(conn: Conn, worker: Worker) -> None:
    fair(conn)
    ids = list(tenants(conn, a=3))
    assert state(conn, ids[2]) == "blocked"

    assert scalar(conn, "select pgqueue.cancel(%s)", ids[2]) == "blocked"

    assert [x.id for x in worker.step(5).leases] == ids[:2]


def test_aging_lets_an_old_job_of_low_priority_go_before_a_new_urgent_one(conn: Conn, worker: Worker) -> None:
    conn.execute("insert into pgqueue.queue_policies (queue, aging) values ('default', '1 minute')")
    old, young, urgent = enqueue_many(
        conn,
        [
            {"task": "t", "priority": 10, "run_at": "2020-01-01T00:00:00+00:00"},
            {"task": "t", "priority": 10},
            {"task": "t", "priority": 0},
        ],
    )
    conn.execute("update pgqueue.queued_jobs set run_at = now() - interval '11 minutes' where id = %s", (old,))

    assert [worker.step(1).leases[0].id for _ in range(3)] == [old, urgent, young]
    assert job(conn, old)["priority"] == 10
