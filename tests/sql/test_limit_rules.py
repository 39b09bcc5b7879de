"""Rules of limits and policies of queues: who may change them, and what becomes of those who wait."""

import json
from typing import Any

import pytest

from tests.sql.conftest import Refused
from tests.sql.engine import Conn, Worker, enqueue, enqueue_many, scalar, state


def limited(conn: Conn, count: int) -> list[int]:
    return enqueue_many(conn, [{"task": "t", "limits": "api"} for _ in range(count)])


def declare(conn: Conn, **rule: Any) -> list[tuple[str, str]]:
    definitions = json.dumps([{"name": "api", **rule}])
    return [tuple(row) for row in conn.execute("select * from pgqueue.declare_limits(%s)", (definitions,)).fetchall()]


def concurrency(conn: Conn) -> int:
    return int(scalar(conn, "select concurrency from pgqueue.limit_rules where name = 'api'"))


def test_an_operators_edit_outlives_restarts_and_a_changed_declaration_wins(conn: Conn) -> None:
    assert declare(conn, concurrency=4) == [("api", "created")]
    assert scalar(conn, "select pgqueue.set_limit('api', concurrency => 9)") == "changed"

    assert declare(conn, concurrency=4) == []
    assert concurrency(conn) == 9
    assert declare(conn, concurrency=5) == [("api", "changed")]
    assert concurrency(conn) == 5


def test_code_that_comes_to_say_what_an_operator_set_is_remembered(conn: Conn) -> None:
    scalar(conn, "select pgqueue.set_limit('api', concurrency => 9)")
    assert declare(conn, concurrency=9) == []

    scalar(conn, "select pgqueue.set_limit('api', concurrency => 2)")

    assert declare(conn, concurrency=9) == []
    assert concurrency(conn) == 2


def test_a_raised_limit_lets_those_who_wait_go_in_their_order(conn: Conn, worker: Worker) -> None:
    scalar(conn, "select pgqueue.set_limit('api', concurrency => 1)")
    ids = limited(conn, 4)
    assert [lease.id for lease in worker.claim()] == ids[:1]
    assert worker.claim() == []

    scalar(conn, "select pgqueue.set_limit('api', concurrency => 3)")

    assert [lease.id for lease in worker.claim()] == ids[1:3]
    assert worker.claim() == []
    assert state(conn, ids[3]) == "blocked"


def test_a_faster_rate_holds_at_once_for_those_told_to_come_later(conn: Conn, worker: Worker) -> None:
    scalar(conn, "select pgqueue.set_limit('api', rate => 1, per => '1 hour', burst => 1)")
    ids = limited(conn, 3)
    assert [lease.id for lease in worker.claim()] == ids[:1]
    assert worker.claim() == []

    scalar(conn, "select pgqueue.set_limit('api', concurrency => 5)")

    assert sorted(lease.id for lease in worker.claim()) == ids[1:]


def test_a_dropped_limit_holds_its_jobs_until_it_is_set_again(conn: Conn, worker: Worker) -> None:
    scalar(conn, "select pgqueue.set_limit('api', concurrency => 1)")
    ids = limited(conn, 2)
    (lease,) = worker.claim()
    assert worker.claim() == []

    assert scalar(conn, "select pgqueue.drop_limit('api')")
    assert worker.claim() == []
    worker.step(10, done=[lease])
    assert not scalar(conn, "select pgqueue.drop_limit('api')")
    scalar(conn, "select pgqueue.set_limit('api', concurrency => 1)")
    conn.execute("update pgqueue.queued_jobs set run_at = now() where id = %s", (ids[1],))

    assert [lease.id for lease in worker.claim()] == ids[1:]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("''", "1 to 200 bytes"),
        ("'api'", "give a rate or a concurrency"),
        ("'api', rate => 0", "rate must be positive"),
        ("'api', rate => 1, per => '0'", "per must be positive"),
        ("'api', rate => 1e-300", "more than 3650 days to grant 1"),
        ("'api', rate => 1e-308, burst => 2147483647", "more than 3650 days to grant 2147483647"),
        ("'api', rate => 1e12", "at most 1000000 a second"),
        ("'api', rate => 1e308", "at most 1000000 a second"),
        ("'api', concurrency => 1, burst => 3", "burst belongs to a rate"),
        ("'api', rate => 1, burst => 0", "burst must be at least 1"),
        ("'api', concurrency => 0", "concurrency must be at least 1"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(conn: Conn, refused: Refused, arguments: str, said: str) -> None:
    with refused("PQ004") as refusal:
        conn.execute(f"select pgqueue.set_limit({arguments})")

    assert said in refusal.message


@pytest.mark.parametrize(
    "rule",
    [
        "rate => 1e6",
        "rate => 1e3, per => '1 ms'",
        "rate => 1, per => '366 days', burst => 9",
        "rate => 1e-8, burst => 3",
        "rate => 7, burst => 2147483647",
    ],
)
def test_claims_can_count_with_the_fastest_and_the_slowest_rates(conn: Conn, worker: Worker, rule: str) -> None:
    scalar(conn, f"select pgqueue.set_limit('api', {rule})")
    ids = limited(conn, 200)

    first = [lease.id for lease in worker.claim(300)]

    assert first == ids[: len(first)] != []
    assert worker.claim(300) == []
    assert (
        scalar(conn, "select count(*) from pgqueue.jobs where run_at < clock_timestamp() + interval '3000 years'")
        == 200
    )


def test_the_views_show_who_holds_and_who_waits(conn: Conn, worker: Worker) -> None:
    scalar(conn, "select pgqueue.set_limit('api', concurrency => 1)")
    scalar(conn, "select pgqueue.set_limit('mail', rate => 50)")
    first, _ = limited(conn, 2)
    grouped = enqueue(conn, group_key="g")
    worker.claim()

    rows = conn.execute("select name, key, burst, concurrency, held, waiting from pgqueue.limits order by 1").fetchall()
    assert [tuple(row) for row in rows] == [("api", "", None, 1, 1, 1), ("mail", None, 5, None, 0, 0)]
    rows = conn.execute("select kind, name, key, job_id, worker_id from pgqueue.permit_holders order by 1").fetchall()
    assert [tuple(row) for row in rows] == [
        ("group", "default", "g", grouped, worker.id),
        ("limit", "api", "", first, worker.id),
    ]


def test_a_queue_that_stops_being_fair_lets_its_lines_go(conn: Conn, worker: Worker) -> None:
    assert scalar(conn, "select pgqueue.set_queue('default', fair => true)")
    ids = [enqueue(conn, fair_key=key) for key in ("a", "a", "b")]
    assert [state(conn, i) for i in ids] == ["blocked"] * 3

    assert scalar(conn, "select pgqueue.set_queue('default', fair => false)")

    assert [lease.id for lease in worker.claim()] == ids
    assert not scalar(conn, "select pgqueue.set_queue('default', fair => false)")


def test_a_job_that_lined_up_behind_the_back_of_the_change_is_swept_along(connect: Any, worker: Worker) -> None:
    conn, other = connect(), connect(autocommit=False)
    scalar(conn, "select pgqueue.set_queue('default', fair => true)")
    late = enqueue(other, fair_key="a")
    scalar(conn, "select pgqueue.set_queue('default', fair => false)")
    other.commit()
    assert state(conn, late) == "blocked"

    assert scalar(conn, "select pgqueue.sweep_lines()") == 1

    assert [lease.id for lease in worker.claim()] == [late]
    assert scalar(conn, "select pgqueue.sweep_lines()") == 0


def test_aging_and_fairness_are_set_one_without_the_other(conn: Conn) -> None:
    scalar(conn, "select pgqueue.set_queue('mail', fair => true)")
    scalar(conn, "select pgqueue.set_queue('mail', aging => '5 min')")
    assert scalar(conn, "select fair and aging = '5 min' from pgqueue.queue_policies where queue = 'mail'")

    scalar(conn, "select pgqueue.set_queue('mail', aging => '0')")

    assert scalar(conn, "select fair and aging is null from pgqueue.queue_policies where queue = 'mail'")


def test_shares_are_set_and_forgotten(conn: Conn, refused: Refused) -> None:
    assert scalar(conn, "select pgqueue.set_share('mail', 'acme', 3)")
    assert not scalar(conn, "select pgqueue.set_share('mail', 'acme', 3)")
    assert scalar(conn, "select pgqueue.set_share('mail', 'acme', 1)")
    assert scalar(conn, "select count(*) from pgqueue.fair_weights") == 0
    with refused("PQ004"):
        conn.execute("select pgqueue.set_share('mail', 'acme', 1001)")
