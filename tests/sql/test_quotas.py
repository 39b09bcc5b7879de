# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Depth quotas: a full queue refuses new jobs, has room again when jobs end, and queues without a quota pay nothing."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import Background, Conn, Worker, cancel, column, enqueue, enqueue_many, redrive, retry, scalar

TRIGGER = "select count(*) from pg_trigger where tgrelid = 'pgqueue.queued_jobs'::regclass and not tgisinternal"
SEQUENCES = "select count(*) from pg_class where relkind = 'S' and relname ~ '^quota_' and relnamespace = 'pgqueue'::regnamespace"


def set_quota(conn: Conn, max_depth: int, queue: str = "default") -> bool:
    return bool(scalar(conn, "select pgqueue.set_queue(%s, max_depth => %s)", queue, max_depth))


def depth(conn: Conn, queue: str = "default") -> int:
    return int(scalar(conn, "select count(*) from pgqueue.queued_jobs where queue = %s", queue))


def fill(conn: Conn, queue: str = "default") -> int:
    """Enqueue until it is refused; how many were let in."""
    for count in range(1000):
        try:
            enqueue(conn, queue=queue)
        except psycopg.errors.DatabaseError as error:
            if error.sqlstate != "PQ007":
                raise
            return count
    raise AssertionError("nothing was refused")


def test_a_full_queue_refuses_and_says_which_and_how_much(conn: Conn, refused: Refused) -> None:
    set_quota(conn, 3)
    assert fill(conn) == 3

    with refused("PQ007") as refusal:
        enqueue(conn, "send_mail")

    assert "'send_mail'" in refusal.message
    assert "queue 'default' is full, it may hold 3 unfinished jobs" in refusal.message
    assert depth(conn) == 3
    assert scalar(conn, "select count(*) from pgqueue.job_args") == 3


@pytest.mark.parametrize("before", [0, 2, 3, 5])
def test_what_is_there_when_the_quota_comes_counts(conn: Conn, before: int) -> None:
    enqueue_many(conn, [{"task": "t"}] * before)
    set_quota(conn, 3)

    assert fill(conn) == max(0, 3 - before)


def test_there_is_room_again_as_soon_as_jobs_end(conn: Conn, worker: Worker) -> None:
    set_quota(conn, 4)
    assert fill(conn) == 4

    worker.done(*worker.claim(2))
    cancel(conn, column(conn, "select id from pgqueue.queued_jobs where worker_id is null limit 1")[0])

    assert fill(conn) == 3
    assert depth(conn) == 4


def test_a_busy_queue_that_is_never_full_refuses_nothing(conn: Conn, worker: Worker) -> None:
    set_quota(conn, 5)
    for _ in range(40):
        enqueue_many(conn, [{"task": "t"}] * 4)
        worker.done(*worker.claim())

    assert depth(conn) == 0


def test_an_array_goes_in_whole_or_not_at_all(conn: Conn, refused: Refused) -> None:
    set_quota(conn, 10)
    enqueue_many(conn, [{"task": "t"}] * 6)

    with refused("PQ007"):
        enqueue_many(conn, [{"task": "t", "key": f"k{n}"} for n in range(5)])

    assert depth(conn) == 6
    assert scalar(conn, "select count(*) from pgqueue.job_keys") == 0
    enqueue_many(conn, [{"task": "t"}] * 4)
    assert fill(conn) == 0


def test_flows_schedules_and_children_are_bounded_too(conn: Conn, refused: Refused) -> None:
    set_quota(conn, 2)
    flow = """select pgqueue.enqueue_flow('{"kind": "chain", "jobs": [{"task": "a"}, {"task": "b", "after": [0]}, {"task": "c", "after": [1]}]}')"""

    with refused("PQ007"):
        conn.execute(flow)

    assert [
        scalar(conn, f"select count(*) from pgqueue.{table}") for table in ("queued_jobs", "flow_nodes", "job_flows")
    ] == [0, 0, 0]
    set_quota(conn, 3)
    conn.execute(flow)
    assert fill(conn) == 0  # those that wait for others are unfinished too


def test_a_job_that_is_there_already_is_found_in_a_full_queue(conn: Conn) -> None:
    set_quota(conn, 2)
    held = enqueue(conn, key="k")
    assert fill(conn) == 1

    assert enqueue(conn, key="k") == held
    assert enqueue_many(conn, [{"task": "t", "key": "k"}]) == [held]
    assert enqueue(conn, key="k", key_policy="replace", priority=5) == held


def test_jobs_that_come_back_are_let_in(conn: Conn, worker: Worker) -> None:
    dead = [enqueue(conn) for _ in range(2)]
    worker.settle(*(lease.outcome("dead", error={"type": "E", "message": "m"}) for lease in worker.claim()))
    set_quota(conn, 1)
    assert fill(conn) == 1

    assert retry(conn, dead[0]) == dead[0]
    assert redrive(conn) == 1

    assert depth(conn) == 3


def test_other_queues_and_rollbacks_take_no_room(connect: Connect) -> None:
    conn, undone = connect(), connect(autocommit=False)
    set_quota(conn, 3)
    for _ in range(5):
        enqueue(conn, queue="other")
        enqueue(undone)
        enqueue(undone)
        undone.rollback()

    assert fill(conn) == 3
    assert depth(conn, "other") == 5


def test_each_queue_has_its_own(conn: Conn) -> None:
    set_quota(conn, 2, "a")
    set_quota(conn, 4, 'b\'s "queue" $1 %s')
    set_quota(conn, 1, "ü" * 100)

    assert [fill(conn, queue) for queue in ("a", 'b\'s "queue" $1 %s', "ü" * 100)] == [2, 4, 1]
    enqueue_many(conn, [{"task": "t", "queue": "c"}] * 20)


def test_a_quota_is_changed_and_lifted_and_leaves_nothing_behind(conn: Conn) -> None:
    assert scalar(conn, TRIGGER) == 0
    assert set_quota(conn, 2)
    assert not set_quota(conn, 2)
    set_quota(conn, 2, "other")
    assert fill(conn) == 2

    assert set_quota(conn, 5)
    assert fill(conn) == 3
    assert set_quota(conn, 0)
    assert not set_quota(conn, 0)
    enqueue_many(conn, [{"task": "t"}] * 20)
    assert fill(conn, "other") == 2

    assert [scalar(conn, TRIGGER), scalar(conn, SEQUENCES)] == [1, 2]
    set_quota(conn, 0, "other")
    assert [
        scalar(conn, TRIGGER),
        scalar(conn, SEQUENCES),
        scalar(conn, "select count(*) from pgqueue.queue_quotas"),
    ] == [0, 0, 0]


@pytest.mark.parametrize("max_depth", [-1, 1_000_000_001])
def test_a_quota_that_cannot_be_meant_is_refused(conn: Conn, refused: Refused, max_depth: int) -> None:
    with refused("PQ004") as refusal:
        set_quota(conn, max_depth)

    assert f"max_depth must be from 1 to 1000000000, or 0 for a queue without bound, got {max_depth}" in refusal.message


def test_producers_at_the_same_time_pass_it_by_what_was_open_at_the_most(connect: Connect) -> None:
    producers = 4
    conns = [connect() for _ in range(producers)]
    set_quota(conns[0], 50)

    with ThreadPoolExecutor(producers) as pool:
        let_in = list(pool.map(fill, conns))

    assert sum(let_in) == depth(conns[0])
    assert 50 <= depth(conns[0]) < 50 + producers


def test_a_producers_transaction_holds_up_no_other_producer(connect: Connect) -> None:
    conn, first, second = connect(), connect(autocommit=False), connect()
    set_quota(conn, 10)
    enqueue(first)

    assert fill(second) in (9, 10)  # the one that is not committed has its ticket, but no count sees it

    first.commit()
    assert depth(conn) <= 11


def test_a_quota_waits_for_open_transactions_only_for_moments(connect: Connect, conn: Conn) -> None:
    open_one, setter = connect(autocommit=False), connect()
    enqueue(open_one)
    setting = Background(setter, lambda: set_quota(setter, 5))

    for _ in range(20):
        enqueue(conn)  # they wait behind it for at most 200 ms
    open_one.commit()

    assert setting.result(30) is True
    assert fill(conn) == 0


def test_workers_claim_and_settle_beside_a_quota_as_ever(conn: Conn, worker: Worker) -> None:
    set_quota(conn, 100)
    enqueue_many(conn, [{"task": "t"}] * 100)

    leases = worker.claim(100)
    again: list[Any] = worker.done(*leases)

    assert (len(leases), again) == (100, [])
    assert fill(conn) == 100
