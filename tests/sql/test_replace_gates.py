# ruff: noqa: E501 - SQL and names of tests are told on one line
"""A job that is replaced gets the gates of the newer request, and what it held or stood in line for goes to those it is due to."""

import random
from typing import Any

import pytest

from tests.conftest import Connect
from tests.sql.engine import (
    Background,
    Conn,
    Worker,
    column,
    enqueue,
    enqueue_many,
    job,
    make_due,
    scalar,
    state,
)
from tests.sql.flows import counts, flow, run


def replace(conn: Conn, **options: Any) -> int:
    return enqueue(conn, key="k", key_policy="replace", **options)


def gates(conn: Conn, job_id: int) -> Any:
    query = "select a.gates from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day where j.id = %s"
    return scalar(conn, query, job_id)


def turns(conn: Conn) -> list[tuple[str, int]]:
    query = "select key, job_id from pgqueue.permits where kind = 'group' order by key, job_id"
    return [(row[0], row[1]) for row in conn.execute(query)]


def lines(conn: Conn) -> list[tuple[str, str, int]]:
    query = "select kind, key, job_id from pgqueue.lane_waits order by kind, key, job_id"
    return [(row[0], row[1], row[2]) for row in conn.execute(query)]


def with_the_turn(conn: Conn, worker: Worker, **options: Any) -> int:
    """A job that holds the turn of group g and is not running: it was the next in line."""
    first = enqueue(conn, group_key="g")
    holder = enqueue(conn, group_key="g", key="k", **options)
    worker.done(worker.claim_one())
    assert turns(conn) == [("g", holder)]
    assert first < holder
    return holder


NEW = {
    "a group": ({"group_key": "new"}, {"group": "new"}),
    "a group that passes": ({"group_key": "new", "group_retry": "pass"}, {"group": "new", "pass": True}),
    "limits": ({"limits": {"api": "x"}}, {"limits": {"api": {"key": "x", "weight": 1}}}),
    "a fair key": ({"fair_key": "f"}, {"fair": "f"}),
    "none": ({}, None),
}


@pytest.mark.parametrize("old", ["none", "a group", "limits"])
@pytest.mark.parametrize("new", list(NEW))
@pytest.mark.parametrize("many", [False, True])
def test_a_replaced_job_has_the_gates_of_the_newer_request(conn: Conn, old: str, new: str, many: bool) -> None:
    held = enqueue(conn, key="k", **NEW[old][0])
    options, expected = NEW[new]

    if many:
        assert enqueue_many(conn, [{"task": "t", "key": "k", "key_policy": "replace", **options}]) == [held]
    else:
        assert replace(conn, **options) == held

    assert gates(conn, held) == expected
    assert job(conn, held)["group_key"] == (expected or {}).get("group")
    assert scalar(conn, "select gated from pgqueue.queued_jobs where id = %s", held) is (expected is not None)
    assert lines(conn) == ([("group", "new", held)] if "group" in (expected or {}) else [])


def test_a_replaced_job_obeys_its_new_limit(conn: Conn, worker: Worker) -> None:
    conn.execute("select pgqueue.set_limit('api', concurrency => 1)")
    enqueue(conn, limits='"api"')
    held = enqueue(conn, key="k")
    assert replace(conn, limits='"api"') == held

    (first,) = worker.claim()

    assert state(conn, held) == "blocked"
    assert [lease.id for lease in worker.step(1, done=[first]).leases] == [held]


def test_a_replaced_job_that_stood_in_line_for_a_limit_it_no_longer_has_runs_at_once(
    conn: Conn, worker: Worker
) -> None:
    conn.execute("select pgqueue.set_limit('api', concurrency => 1)")
    enqueue(conn, limits='"api"')
    held = enqueue(conn, limits='"api"', key="k")
    (first,) = worker.claim()
    assert state(conn, held) == "blocked"

    replace(conn)

    assert [lease.id for lease in worker.claim()] == [held]
    assert worker.done(first) == []
    assert lines(conn) == []


@pytest.mark.parametrize("in_transaction", [False, True])
def test_i8_a_turn_of_a_job_that_is_put_off_passes_to_the_next_in_line(
    connect: Connect, conn: Conn, worker: Worker, in_transaction: bool
) -> None:
    held = with_the_turn(conn, worker)
    waiting = [enqueue(conn, group_key="g") for _ in range(2)]
    producer = connect(autocommit=not in_transaction)

    replace(producer, group_key="g", delay="1 day")
    if in_transaction:
        assert worker.claim() == [], "not before it is committed"
        producer.commit()

    assert scalar(conn, "select pgqueue.backlog()") == 1
    assert turns(conn) == [("g", waiting[0])]
    for expected in waiting:
        lease = worker.claim_one()
        assert lease.id == expected
        assert scalar(conn, "select pgqueue.backlog()") == 1
        worker.done(lease)
    assert (state(conn, held), turns(conn), lines(conn)) == ("scheduled", [], [])


def test_i8_a_job_that_was_put_off_takes_its_turn_when_it_is_due(conn: Conn, worker: Worker) -> None:
    held = with_the_turn(conn, worker)
    waiting = enqueue(conn, group_key="g")
    replace(conn, group_key="g", delay="1 day")
    (lease,) = worker.claim()
    make_due(conn, held)

    assert worker.claim() == [], "one at a time"
    assert lease.id == waiting
    assert [found.id for found in worker.step(1, done=[lease]).leases] == [held]


@pytest.mark.parametrize("new", [{"group_key": "h"}, {}])
def test_i8_a_turn_of_a_job_that_leaves_its_group_passes_to_the_next_in_line(
    conn: Conn, worker: Worker, new: dict[str, Any]
) -> None:
    held = with_the_turn(conn, worker)
    waiting = enqueue(conn, group_key="g")

    replace(conn, **new)

    assert sorted(lease.id for lease in worker.claim()) == [held, waiting]
    assert turns(conn) == [("g", waiting), *([("h", held)] if new else [])]


def test_i8_a_job_that_is_replaced_and_due_keeps_its_turn(conn: Conn, worker: Worker) -> None:
    held = with_the_turn(conn, worker)
    enqueue(conn, group_key="g")

    replace(conn, group_key="g", args={"v": 2})

    assert turns(conn) == [("g", held)]
    assert (held, "group") not in [(waiting, kind) for kind, _, waiting in lines(conn)]
    lease = worker.claim_one()
    assert (lease.id, lease.row["args"]) == (held, '{"v": 2}')


def test_i8_a_retry_that_is_put_off_by_a_replacement_holds_nobody_up(conn: Conn, worker: Worker) -> None:
    held = enqueue(conn, group_key="g", key="k")
    waiting = enqueue(conn, group_key="g")
    worker.settle(worker.claim_one().outcome("failed", delay=60))
    assert worker.claim() == []

    replace(conn, group_key="g", delay="1 day")

    assert [lease.id for lease in worker.claim()] == [waiting]
    assert state(conn, held) == "scheduled"


def test_a_dealt_share_goes_back_and_the_job_stands_in_its_new_keys_line(conn: Conn, worker: Worker) -> None:
    conn.execute("insert into pgqueue.queue_policies (queue, fair) values ('default', true)")
    held = enqueue(conn, fair_key="a", key="k")
    conn.execute("select pgqueue.deal('default', 5, clock_timestamp())")
    assert column(conn, "select job_id from pgqueue.permits where kind = 'fair'") == [held]

    replace(conn, fair_key="b")

    assert scalar(conn, "select count(*) from pgqueue.permits") == 0
    assert lines(conn) == [("fair", "b", held)]
    assert [lease.id for lease in worker.claim()] == [held]


def test_a_job_that_waits_for_others_is_due_as_the_newer_request_says(conn: Conn, worker: Worker) -> None:
    parent, child = flow(conn, {}, {"after": [0], "key": "k"})

    assert replace(conn, delay="1 day", group_key="g") == child
    assert state(conn, child) == "blocked"
    run(worker, parent)

    assert state(conn, child) == "scheduled"
    assert gates(conn, child) == {"group": "g"}
    assert counts(conn, child)["blocked"] is False


def test_i14_a_replacement_does_not_wait_for_a_lane_and_its_turn_is_found_by_the_keeper(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    """A settle has the lane and waits for a row in its line, which is the caller's: waiting for the lane would be a deadlock."""
    held = with_the_turn(conn, worker)
    waiting = enqueue(conn, group_key="g")
    busy, producer = connect(autocommit=False), connect()
    busy.execute("select from pgqueue.lanes where kind = 'group' and key = 'g' for update")

    replacing = Background(producer, lambda: replace(producer, group_key="g", delay="1 day"))

    assert replacing.result() == held, "it does not wait"
    busy.rollback()
    assert turns(conn) == []
    assert scalar(conn, "select pgqueue.hand_on_idle()") == 1
    assert [lease.id for lease in worker.claim()] == [waiting]


def test_i14_a_settle_that_waits_for_a_job_being_replaced_hands_the_turn_to_another(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    enqueue(conn, group_key="g")
    (lease,) = worker.claim()
    held, waiting = enqueue(conn, group_key="g", key="k"), enqueue(conn, group_key="g")
    producer, settler = connect(autocommit=False), connect()

    replace(producer, group_key="h")
    settling = Background(settler, lambda: worker.done(lease, conn=settler)).waits(conn)
    producer.commit()

    assert settling.result() == []
    found = sorted(lease.id for lease in worker.claim())
    assert found == [held, waiting]
    assert sorted(turns(conn)) == [("g", waiting), ("h", held)]


def test_i8_replacements_of_all_kinds_leave_no_line_without_a_turn_for_long(conn: Conn, worker: Worker) -> None:
    """Whoever runs has its group's turn, nobody stands in line for a turn that it has, and in the end nothing is left behind."""
    rng = random.Random(4)
    options: list[dict[str, Any]] = [
        {"group_key": "g"},
        {"group_key": "h"},
        {"group_key": "g", "delay": "1 day"},
        {},
        {"group_key": "h", "group_retry": "pass"},
    ]
    held: list[Any] = []
    for _ in range(250):
        action = rng.random()
        if action < 0.6:
            enqueue(conn, key=rng.choice("abcd"), key_policy="replace", **rng.choice(options))
        elif action < 0.8:
            held += worker.step(rng.randint(1, 3), series=rng.randint(1, 3)).leases
        elif held:
            lease = held.pop(rng.randrange(len(held)))
            worker.settle(lease.outcome(rng.choice(["succeeded", "failed", "released"])))
        running = "select count(*) from (select from pgqueue.jobs j where state = 'running' and group_key is not null and not exists (select from pgqueue.permits p where p.job_id = j.id and p.kind = 'group')) x"
        assert scalar(conn, running) == 0
        both = "select count(*) from pgqueue.permits p join pgqueue.lane_waits w on w.job_id = p.job_id and w.kind = p.kind where p.kind = 'group'"
        assert scalar(conn, both) == 0, "in line for a turn that it has"
    for lease in held:
        worker.done(lease)
    conn.execute(
        "update pgqueue.queued_jobs set run_at = clock_timestamp() where run_at > clock_timestamp() and run_at < 'infinity'"
    )
    while (called := scalar(conn, "select pgqueue.hand_on_idle()")) or (found := worker.step(5).leases):
        if not called:
            worker.done(*found)
    assert scalar(conn, "select count(*) from pgqueue.queued_jobs") == 0
    assert (turns(conn), lines(conn)) == ([], [])
