"""The thread that reads the depth of the queues: what it counts, and what it does when nobody answers."""

import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgqueue.worker import sampler
from pgqueue.worker.sampler import Reading, Sampler
from tests.support.faultproxy import FaultProxy
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import psycopg

    Conn = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(sampler, "PART", 1.0)


def worker(conn: "Conn", pid: int, *, host: str | None = None, queues: str = "{mail}", concurrency: int = 10) -> None:
    conn.execute(
        "insert into pgqueue.worker_processes (id, host, pid, queues, tasks, concurrency, lease, "
        "started_at, heartbeat_at) values (%s, %s, %s, %s, '{t}', %s, '1 hour', now(), now())",
        [pid, host or socket.gethostname(), pid, queues, concurrency],
    )


@pytest.fixture
def ask(dsn: str) -> Iterator[Any]:
    there: list[Sampler] = []

    def begin(queues: list[str], *, address: str = dsn) -> Sampler:
        there.append(Sampler(address, "pgqueue", queues))
        there[-1].pids = [os.getpid()]
        there[-1].start()
        return there[-1]

    yield begin
    for one in there:
        one.close()
        one._thread.join(5)


def test_it_reads_the_queues_that_its_processes_serve_and_knows_what_others_have(ask: Any, conn: "Conn") -> None:
    worker(conn, os.getpid(), concurrency=20)
    worker(conn, 1, concurrency=5)
    worker(conn, 2, host="elsewhere", queues="{mail,default}", concurrency=7)
    worker(conn, 3, queues="{video}", concurrency=9)
    conn.execute("select pgqueue.enqueue('t', queue => queue) from unnest('{mail,mail,video}'::text[]) queue")
    conn.execute("select pgqueue.enqueue('t', queue => 'mail', run_at => now() + interval '1 hour')")

    reading = wait_until(ask([]).take)

    assert (reading.ready, reading.slots, reading.other_slots) == (2, 20, 12)
    assert reading.lag >= 0


def test_queues_that_were_named_are_read_and_paused_ones_are_not(ask: Any, conn: "Conn") -> None:
    worker(conn, os.getpid(), queues="{mail,video,idle}")
    conn.execute("select pgqueue.enqueue('t', queue => queue) from unnest('{mail,video,idle}'::text[]) queue")
    conn.execute("select pgqueue.pause('idle')")

    assert wait_until(ask(["mail", "idle"]).take).ready == 1


def test_there_is_no_reading_before_a_process_is_there(ask: Any, conn: "Conn") -> None:
    one = ask([])
    wait_until(lambda: one._conn is not None)

    nothing = one.take()
    worker(conn, os.getpid())

    assert nothing is None
    assert isinstance(wait_until(one.take), Reading)


def test_a_server_that_does_not_answer_is_let_go_and_asked_again(
    ask: Any, conn: "Conn", dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler, "PATIENCE_SECONDS", 0.3)
    worker(conn, os.getpid())
    server = conninfo_to_dict(dsn)
    with FaultProxy(conn.info.hostaddr or "127.0.0.1", int(server["port"])) as proxy:
        one = ask([], address=make_conninfo(dsn, host="127.0.0.1", port=str(proxy.port)))
        wait_until(one.take)

        proxy.black_hole()
        wait_until(lambda: one.take() is None and one._asked_at is not None)
        wait_until(lambda: one.take() is None and one._conn is None, 10)
        proxy.restore()

        assert isinstance(wait_until(one.take, 15), Reading)
        one.close()
        one._thread.join(5)


def test_an_error_of_any_kind_does_not_end_it(ask: Any, conn: "Conn", monkeypatch: pytest.MonkeyPatch) -> None:
    worker(conn, os.getpid())
    statement, calls = sampler.statement, iter(range(100))

    def failing_first(name: str, schema: str) -> Any:
        if next(calls) == 0:
            raise RuntimeError("not of psycopg's")
        return statement(name, schema)

    monkeypatch.setattr(sampler, "statement", failing_first)

    assert isinstance(wait_until(ask([]).take), Reading)
