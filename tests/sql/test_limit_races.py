# ruff: noqa: E501 - SQL and names of tests are told on one line
"""set_limit against a claim that is under way: whoever is granted something after it has committed is granted it by the new rule (I9)."""

from collections.abc import Callable

import pytest

from tests.conftest import Connect
from tests.sql.engine import Background, Conn, Lease, Worker, enqueue, scalar, state

PAUSE = "perform pg_advisory_xact_lock_shared(4242);"
Pause = Callable[[str, str, str], None]


@pytest.fixture
def pause(conn: Conn) -> Pause:
    """Let a function stop where the test holds an advisory lock: it waits there, and then does what it did."""

    def put(name: str, arguments: str, body: str) -> None:
        conn.execute(
            f"create or replace function pgqueue.{name}({arguments} language plpgsql as $$ begin {PAUSE} {body} end $$"
        )

    return put


def waiting(conn: Conn, count: int) -> list[int]:
    return [enqueue(conn, limits='"api"') for _ in range(count)]


def claim(conn: Conn, worker: Worker) -> Callable[[], list[Lease]]:
    return lambda: worker.claim(conn=conn)


def test_i9_a_claim_that_has_the_lane_is_waited_for_by_set_limit(connect: Connect, conn: Conn, pause: Pause) -> None:
    """The claim stops while it reads the rule: it must have the lane by then, or it grants by a rule that is over."""
    conn.execute("select pgqueue.set_limit('api', rate => 50)")
    worker = Worker(conn)
    waiting(conn, 1)
    worker.done(*worker.claim())
    ids = waiting(conn, 4)
    pause(
        "default_burst",
        "rate double precision, per interval) returns integer",
        "return greatest(1, ceil(rate / extract(epoch from per) / 10))::integer;",
    )
    gate, claimer, operator = connect(), connect(), connect()
    gate.execute("select pg_advisory_lock(4242)")

    claiming = Background(claimer, claim(claimer, worker)).waits(conn)
    setting = Background(operator, lambda: scalar(operator, "select pgqueue.set_limit('api', concurrency => 1)")).waits(
        conn
    )
    gate.execute("select pg_advisory_unlock(4242)")

    assert [lease.id for lease in claiming.result()] == ids, "granted before the change"
    assert setting.result() == "changed"
    assert len(waiting(conn, 3)) == 3
    assert len(worker.claim()) == 1


def test_i9_a_claim_that_makes_the_lane_is_waited_for_by_set_limit_too(
    connect: Connect, conn: Conn, pause: Pause
) -> None:
    conn.execute("select pgqueue.set_limit('api', concurrency => 5)")
    worker = Worker(conn)
    ids = waiting(conn, 5)
    pause(
        "make_lane",
        "kind text, name text, key text) returns void",
        "insert into pgqueue.lanes (kind, name, key) values (make_lane.kind, make_lane.name, make_lane.key) on conflict do nothing;",
    )
    gate, claimer, operator = connect(), connect(), connect()
    gate.execute("select pg_advisory_lock(4242)")

    claiming = Background(claimer, claim(claimer, worker)).waits(conn)
    setting = Background(operator, lambda: scalar(operator, "select pgqueue.set_limit('api', concurrency => 1)"))
    setting.waits(conn)
    gate.execute("select pg_advisory_unlock(4242)")

    assert [lease.id for lease in claiming.result()] == ids, "granted before the change"
    assert setting.result() == "changed"
    waiting(conn, 1)
    assert worker.claim() == []


def test_i9_while_set_limit_is_under_way_a_new_lane_is_left_for_later(connect: Connect, conn: Conn) -> None:
    """set_limit cannot see a lane that is being made: who makes one tries the rule's row for it."""
    conn.execute("select pgqueue.set_limit('api', concurrency => 5)")
    worker = Worker(conn)
    ids = waiting(conn, 5)
    operator, claimer = connect(autocommit=False), connect()

    operator.execute("select pgqueue.set_limit('api', concurrency => 1)")
    assert Background(claimer, claim(claimer, worker)).result() == [], "it does not wait, and it grants nothing"
    operator.commit()

    assert [lease.id for lease in worker.claim()] == ids[:1]
    assert scalar(conn, "select held from pgqueue.limits") == 1


def test_a_lane_that_somebody_has_costs_no_lock_of_the_rule(connect: Connect, conn: Conn) -> None:
    conn.execute("select pgqueue.set_limit('api', concurrency => 5)")
    worker = Worker(conn)
    waiting(conn, 1)
    worker.done(*worker.claim())
    waiting(conn, 1)
    busy, claimer = connect(autocommit=False), connect(autocommit=False)
    busy.execute("select from pgqueue.lanes for update")

    assert worker.claim(conn=claimer) == []
    conn.execute("select from pgqueue.limit_rules for update nowait")


def test_i7_a_job_in_line_that_is_put_off_while_a_settle_calls_the_line_is_not_called(
    connect: Connect, conn: Conn
) -> None:
    conn.execute("select pgqueue.set_limit('api', concurrency => 1)")
    worker = Worker(conn)
    waiting(conn, 1)
    held = enqueue(conn, limits='"api"', key="k")
    (lease,) = worker.claim()
    producer, settler = connect(autocommit=False), connect()

    enqueue(producer, limits='"api"', key="k", key_policy="replace", delay="1 day")
    settling = Background(settler, lambda: worker.done(lease, conn=settler)).waits(conn)
    producer.commit()

    assert settling.result() == []
    assert state(conn, held) == "scheduled"
    assert worker.claim() == []
