# ruff: noqa: E501 - SQL and names of tests are told on one line
"""enqueue_many: an array in one statement, ids in its order, or a refusal that names the place."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import Background, Conn, Worker, cancel, column, enqueue, enqueue_many, holder, job, scalar, state


def test_ids_come_in_the_order_given(conn: Conn) -> None:
    jobs = [{"task": "t", "args": {"n": n}, "queue": f"q{n % 3}", "priority": -n % 7} for n in range(200)]

    ids = enqueue_many(conn, jobs)

    assert ids == sorted(ids)
    assert [job(conn, job_id)["args"]["n"] for job_id in ids[::20]] == list(range(200))[::20]


def test_an_empty_array_adds_nothing(conn: Conn) -> None:
    assert enqueue_many(conn, []) == []


def test_i2_the_first_of_one_array_holds_the_key_and_the_others_learn_its_id(conn: Conn) -> None:
    held = enqueue(conn, key="b")

    ids = enqueue_many(conn, [{"task": "t", "key": key} for key in "zbaaz"])

    assert ids[1] == held
    assert ids[2] == ids[3]
    assert ids[0] == ids[4]
    assert scalar(conn, "select count(*) from pgqueue.queued_jobs") == 3


def test_an_array_stores_what_enqueue_stores(conn: Conn) -> None:
    fields: dict[str, Any] = {
        "args": {"a": 1}, "queue": "q", "priority": 5, "run_at": "2999-01-01T00:00:00Z", "max_attempts": 3, "timeout": "00:00:07",
        "expires_at": "2999-02-01T00:00:00Z", "meta": {"m": 1},
    }  # fmt: skip

    one = job(conn, enqueue(conn, key="one", **fields))
    (many_id,) = enqueue_many(conn, [{"task": "t", "key": "many", **fields}])
    many = job(conn, many_id)

    for row in (one, many):
        for varying in ("id", "key", "created_at"):
            row.pop(varying)
    assert one == many


def test_json_null_means_not_given(conn: Conn) -> None:
    nulls = dict.fromkeys(
        ["args", "queue", "priority", "run_at", "key", "max_attempts", "timeout", "expires_at", "meta", "delay"]
    )

    (job_id,) = enqueue_many(conn, [{"task": "t", "key_policy": None, "key_period": None, "group_key": None, **nulls}])
    row = job(conn, job_id)

    assert (row["args"], row["queue"], row["priority"], row["key"], row["meta"]) == ({}, "default", 0, None, None)


@pytest.mark.parametrize(
    ("bad", "sqlstate", "message"),
    [
        ({}, "PQ004", "task: must not be empty"),
        (5, "PQ004", "each job must be an object, got number"),
        (None, "PQ004", "each job must be an object, got null"),
        ([], "PQ004", "each job must be an object, got array"),
        ({"task": "t", "colour": 1}, "PQ004", "unknown name colour; the names are task, args"),
        ({"task": "t", "priority": "abc"}, "PQ004", 'invalid input syntax for type integer: "abc"'),
        ({"task": "t", "priority": 1.5}, "PQ004", 'invalid input syntax for type integer: "1.5"'),
        ({"task": "t", "priority": 10**12}, "PQ004", "out of range for type integer"),
        ({"task": "t", "run_at": "yesterday noonish"}, "PQ004", "invalid input syntax for type timestamp"),
        ({"task": "t", "run_at": "infinity"}, "PQ004", "run_at: must be in the years 1 to 9999, got infinity"),
        ({"task": "t", "expires_at": "-infinity"}, "PQ004", "expires_at: must be in the years 1 to 9999"),
        ({"task": "t", "expires_at": "2026-02-30"}, "PQ004", "out of range"),
        ({"task": "t", "delay": "10000 years"}, "PQ004", "delay: must be from -100 to 1000 years"),
        ({"task": "t", "delay": "soon"}, "PQ004", 'invalid input syntax for type interval: "soon"'),
        ({"task": "t", "timeout": -1}, "PQ004", "timeout: must be positive"),
        ({"task": "t", "args": [1]}, "PQ004", "args: must be a JSON object, got array"),
        ({"task": "t", "meta": "m"}, "PQ004", "meta: must be a JSON object, got string"),
        ({"task": "t", "key": ""}, "PQ004", "key: must not be empty"),
        ({"task": "t", "key_period": "1 h"}, "PQ004", "key_period: given without a key"),
        ({"task": "t", "group_key": ""}, "PQ004", "group_key: must have 1 to 1000 bytes, got 0"),
        ({"task": "t", "key": "held", "key_policy": "raise"}, "PQ002", "key 'held' of queue 'default' is held by job"),
    ],
)
def test_one_bad_job_refuses_the_array_and_names_its_place(
    conn: Conn, refused: Refused, bad: Any, sqlstate: str, message: str
) -> None:
    enqueue(conn, key="held")

    with refused(sqlstate) as refusal:
        enqueue_many(conn, [{"task": "t"}, {"task": "t", "key": "k"}, bad, {"task": "t"}])

    assert refusal.message.startswith("jobs[2]: ")
    assert message in refusal.message
    assert scalar(conn, "select count(*) from pgqueue.jobs") == 1
    assert holder(conn, "k") is None


@pytest.mark.parametrize("jobs", ["{}", "null", "1", '"a"'])
def test_what_is_no_array_is_refused(conn: Conn, refused: Refused, jobs: str) -> None:
    with refused("PQ004") as refusal:
        enqueue_many(conn, jobs)

    assert "jobs must be a JSON array of objects" in refusal.message


def test_i1_nothing_of_a_rolled_back_array_stays(connect: Connect, conn: Conn) -> None:
    producer = connect(autocommit=False)

    enqueue_many(producer, [{"task": "t", "key": f"k{n}"} for n in range(10)])
    producer.rollback()

    assert (
        scalar(
            conn,
            "select (select count(*) from pgqueue.jobs) + (select count(*) from pgqueue.job_keys) + (select count(*) from pgqueue.job_args)",
        )
        == 0
    )


def test_replace_in_an_array_changes_the_holder_and_its_own_first(conn: Conn) -> None:
    held = enqueue(conn, key="a", args={"v": 0})

    ids = enqueue_many(
        conn, [{"task": "t", "key": k, "key_policy": "replace", "args": {"v": v}} for v, k in enumerate("abba", 1)]
    )

    assert ids[0] == ids[3] == held
    assert ids[1] == ids[2]
    assert (job(conn, held)["args"], job(conn, ids[1])["args"]) == ({"v": 4}, {"v": 3})


def test_i14_arrays_that_replace_in_opposite_orders_do_not_deadlock(connect: Connect, conn: Conn) -> None:
    """Stepped: each would hold the other's first job while both wait for the one in the middle."""
    a, b, c = (enqueue(conn, key=key) for key in "abc")
    blocker, first, second = connect(autocommit=False), connect(), connect()
    blocker.execute("select from pgqueue.queued_jobs where id = %s for update", (c,))

    def replace(on: Conn, keys: str) -> Background:
        return Background(
            on, lambda: enqueue_many(on, [{"task": "t", "key": k, "key_policy": "replace"} for k in keys])
        )

    one = replace(first, "acb").waits(conn)
    two = replace(second, "bca").waits(conn)
    blocker.rollback()

    assert (one.result(), two.result()) == ([a, c, b], [b, c, a])


@pytest.mark.parametrize("policy", ["skip", "replace"])
def test_i2_i14_overlapping_arrays_of_8_connections_never_deadlock(connect: Connect, conn: Conn, policy: str) -> None:
    keys = [f"k{n:02}" for n in range(30)]
    connections = [connect() for _ in range(8)]

    def produce(place: int) -> list[int]:
        mine = keys[place:] + keys[:place]
        orders = [mine, mine[::-1], mine[1::2] + mine[::2], mine[::3]]
        ids: list[int] = []
        for turn in range(12):
            jobs = [
                {"task": "t", "key": k, "key_policy": policy, "args": {"p": place}} for k in orders[(turn + place) % 4]
            ]
            ids += enqueue_many(connections[place], json.dumps(jobs))
        return ids

    with ThreadPoolExecutor(8) as pool:
        produced = list(pool.map(produce, range(8)))

    assert scalar(conn, "select count(*) from pgqueue.queued_jobs") == len(keys)
    assert {job_id for ids in produced for job_id in ids} == set(column(conn, "select id from pgqueue.queued_jobs"))


def test_i2_i14_arrays_against_settles_cancels_and_claims_of_the_same_keys_never_deadlock(
    connect: Connect, conn: Conn
) -> None:
    keys = [f"k{n:02}" for n in range(20)]
    producers, workers, canceller = [connect() for _ in range(4)], [Worker(connect()) for _ in range(2)], connect()

    def produce(place: int) -> None:
        for turn in range(25):
            order = keys if (place + turn) % 2 else keys[::-1]
            enqueue_many(
                producers[place], [{"task": "t", "key": k, "key_policy": ("skip", "replace")[turn % 2]} for k in order]
            )

    def work(worker: Worker) -> None:
        step = worker.step(7)
        for turn in range(40):
            half = len(step.leases) // 2
            others = [lease.outcome(("dead", "failed", "cancelled")[turn % 3], delay=0) for lease in step.leases[half:]]
            step = worker.step(7, done=step.leases[:half], outcomes=others or None)
            assert step.stale == []

    def stop() -> None:
        for _ in range(40):
            for job_id in column(canceller, "select id from pgqueue.queued_jobs order by id desc limit 5"):
                cancel(canceller, job_id)

    with ThreadPoolExecutor(8) as pool:
        tasks = (
            [pool.submit(produce, n) for n in range(4)] + [pool.submit(work, w) for w in workers] + [pool.submit(stop)]
        )
        for task in tasks:
            task.result()

    assert (
        scalar(
            conn, "select count(*) from (select key from pgqueue.queued_jobs group by queue, key having count(*) > 1) x"
        )
        == 0
    )
    assert (
        scalar(
            conn,
            "select count(*) from pgqueue.job_keys k where not exists (select from pgqueue.queued_jobs j where j.id = k.job_id)",
        )
        == 0
    )
    assert (
        scalar(
            conn,
            "select count(*) from pgqueue.queued_jobs j where not exists (select from pgqueue.job_keys k where k.job_id = j.id)",
        )
        == 0
    )


def test_a_job_that_is_not_due_yet_and_one_that_is_have_the_states(conn: Conn) -> None:
    now, later = enqueue_many(conn, [{"task": "t"}, {"task": "t", "delay": "1 hour"}])

    assert (state(conn, now), state(conn, later)) == ("ready", "scheduled")
