"""Whoever makes a job claimable wakes a sleeper of its queue, and of no other."""

from collections.abc import Callable

import pytest

from tests.conftest import Connect
from tests.sql.engine import Conn, Worker, cancel, enqueue, enqueue_many, rescue, scalar


def _retry(conn: Conn) -> Callable[[], object]:
    job_id = enqueue(conn, "t")
    cancel(conn, job_id)
    return lambda: conn.execute("select pgqueue.retry(%s)", [job_id])


def _redrive(conn: Conn) -> Callable[[], object]:
    enqueue(conn, "t")
    worker = Worker(conn)
    (lease,) = worker.claim()
    worker.settle(lease.outcome("dead"))
    return lambda: conn.execute("select pgqueue.redrive('default')")


def _resume(conn: Conn) -> Callable[[], object]:
    enqueue(conn, "t")
    conn.execute("select pgqueue.pause('default')")
    return lambda: conn.execute("select pgqueue.resume('default')")


def _leave(conn: Conn) -> Callable[[], object]:
    enqueue(conn, "t")
    worker = Worker(conn)
    worker.claim()
    return worker.leave


def _rescue(conn: Conn) -> Callable[[], object]:
    enqueue(conn, "t")
    worker = Worker(conn)
    worker.claim()
    worker.fall_silent()
    return lambda: rescue(conn)


MOVES: dict[str, Callable[[Conn], Callable[[], object]]] = {
    "enqueue": lambda conn: lambda: enqueue(conn, "t"),
    "enqueue_many": lambda conn: lambda: enqueue_many(conn, [{"task": "t"}]),
    "retry": _retry,
    "redrive": _redrive,
    "resume": _resume,
    "leave": _leave,
    "rescue": _rescue,
}


@pytest.mark.parametrize("name", MOVES)
def test_who_makes_a_job_claimable_wakes_the_sleepers_of_its_queue(conn: Conn, connect: Connect, name: str) -> None:
    move = MOVES[name](conn)
    sleepers = [connect(), connect()]
    for sleeper, queue in zip(sleepers, ("default", "other"), strict=True):
        channel = scalar(sleeper, "select pgqueue.wake_channel(%s)", queue)
        sleeper.execute(f'listen "{channel}"')
        assert scalar(sleeper, "select pg_try_advisory_lock_shared(pgqueue.wake_key(%s))", queue)

    move()

    woken = [list(sleeper.notifies(timeout=wait, stop_after=1)) for sleeper, wait in zip(sleepers, (5, 0), strict=True)]
    assert [len(notified) for notified in woken] == [1, 0]
