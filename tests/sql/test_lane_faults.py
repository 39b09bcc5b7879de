# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Saboteurs at lanes: whoever runs release, hand_on, deal, take_series or gate is killed just before or just after its commit, runs it
again as a zombie, or runs it beside another. What was not committed never was, what was is there once, and the lines go on.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from tests.conftest import Connect
from tests.sql.engine import Background, Conn, Lease, Worker, column, enqueue, scalar
from tests.support.waiting import wait_until

QUEUES = ("default", "shared")
TABLES = {
    "permits": "select job_id, kind, name, key, weight from pgqueue.permits order by 1, 2, 3, 4",
    "lines": "select kind, name, key, priority, job_id from pgqueue.lane_waits order by 1, 2, 3, 4, 5",
    "lanes": "select kind, name, key, held, tat::text, slot::text from pgqueue.lanes where held > 0 or tat is not null order by 1, 2, 3",
    "jobs": "select id, run_at::text, attempt, failures, worker_id, token from pgqueue.queued_jobs order by id",
    "history": "select id, succeeded from pgqueue.finished_jobs order by id",
}
WRONG = {
    "a job runs without its group's turn": """
        select j.id from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day and a.gates ? 'group'
        where j.worker_id is not null and not exists (select from pgqueue.permits p where p.job_id = j.id and p.kind = 'group')""",
    "jobs of one group run at two workers": """
        select min(j.id) from pgqueue.permits p join pgqueue.queued_jobs j on j.id = p.job_id and j.worker_id is not null
        where p.kind = 'group' group by p.name, p.key having count(distinct j.token) > 1""",
    "a job stands in line for a turn that it has": """
        select p.job_id from pgqueue.permits p join pgqueue.lane_waits w on w.job_id = p.job_id and w.kind = p.kind where p.kind <> 'limit'""",
    "a permit of a limit without an attempt (I9)": """
        select p.job_id from pgqueue.permits p left join pgqueue.queued_jobs j on j.id = p.job_id
        where p.kind = 'limit' and j.worker_id is null""",
    "a lane does not know what is out": """
        select l.held from pgqueue.lanes l where l.kind = 'limit'
        and l.held <> (select coalesce(sum(p.weight), 0) from pgqueue.permits p where p.kind = 'limit' and p.name = l.name and p.key = l.key)""",
    "more are out than the rule allows (I9)": """
        select r.concurrency from pgqueue.limit_rules r join pgqueue.lanes l on l.kind = 'limit' and l.name = r.name where l.held > r.concurrency""",
    "a turn of a job that is gone": """
        select p.job_id from pgqueue.permits p where not exists (select from pgqueue.queued_jobs j where j.id = p.job_id)""",
    "a parked job that stands in no line": """
        select j.id from pgqueue.queued_jobs j where j.run_at = 'infinity' and j.worker_id is null
        and not exists (select from pgqueue.lane_waits w where w.job_id = j.id)""",
}


def picture(conn: Conn) -> dict[str, list[Any]]:
    """All that lanes are about."""
    return {name: conn.execute(query).fetchall() for name, query in TABLES.items()}


def check(conn: Conn) -> None:
    for wrong, query in WRONG.items():
        assert column(conn, query) == [], wrong


@dataclass(slots=True)
class House:
    """A database with lines at every kind of lane, and a worker that holds what is to be settled."""

    conn: Conn
    worker: Worker
    leases: list[Lease] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)


Act = Callable[[House, Conn], Any]


def build(conn: Conn) -> House:
    conn.execute("select pgqueue.set_limit('api', concurrency => 2)")
    conn.execute("insert into pgqueue.queue_policies (queue, fair) values ('shared', true)")
    house = House(conn, Worker(conn, queues=QUEUES))
    for _ in range(4):
        house.ids += [enqueue(conn, group_key="g"), enqueue(conn, group_key="h"), enqueue(conn, limits='"api"')]
        house.ids += [enqueue(conn, queue="shared", fair_key=key) for key in "abb"]
    house.ids += [enqueue(conn, group_key="g", limits='"api"')]
    return house


def held(house: House) -> House:
    """The worker has claimed the first of each line."""
    house.leases = house.worker.claim(3)
    assert len(house.leases) == 3
    return house


def settle(house: House, conn: Conn) -> list[int]:
    """release, and hand_on in it: all that was held ends in a way of its own."""
    outcomes = [
        lease.outcome(outcome, delay=0)
        for lease, outcome in zip(house.leases, ["succeeded", "failed", "cancelled"], strict=True)
    ]
    return house.worker.step(0, outcomes=outcomes, conn=conn).stale


def hand_on(house: House, conn: Conn) -> int:
    """hand_on by the keeper: the turns were left with nobody."""
    return int(scalar(conn, "select pgqueue.hand_on_idle()"))


def deal(house: House, conn: Conn) -> None:
    conn.execute("select pgqueue.deal('shared', 4, clock_timestamp())")


def take_series(house: House, conn: Conn) -> list[int]:
    """gate, and take_series behind it."""
    return house.worker.step(4, series=3, conn=conn).ids


def gate(house: House, conn: Conn) -> list[int]:
    return house.worker.step(2, conn=conn).ids


def claim_shared(house: House, conn: Conn) -> list[int]:
    """deal, and the gate of shares behind it."""
    return house.worker.step(3, queue="shared", conn=conn).ids


def idle(house: House) -> House:
    """Turns that nobody has, though somebody is in line."""
    held(house)
    house.conn.execute(
        "delete from pgqueue.permits where kind = 'group' and job_id = any(%s)", ([x.id for x in house.leases],)
    )
    house.worker.settle(*(lease.outcome("succeeded") for lease in house.leases))
    house.conn.execute("delete from pgqueue.permits where kind = 'group'")
    query = "insert into pgqueue.lane_waits select 'group', j.queue, a.gates ->> 'group', 0, j.id from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day where a.gates ? 'group' on conflict do nothing"
    house.conn.execute(query)
    query = "update pgqueue.queued_jobs j set run_at = 'infinity' from pgqueue.lane_waits w where w.job_id = j.id and w.kind = 'group'"
    house.conn.execute(query)
    return house


ACTS: dict[str, tuple[Callable[[House], House], Act]] = {
    "release": (held, settle),
    "hand_on": (idle, hand_on),
    "deal": (lambda house: house, deal),
    "claim_shared": (lambda house: house, claim_shared),
    "take_series": (lambda house: house, take_series),
    "gate": (lambda house: house, gate),
}


def terminate(victim: Conn, conn: Conn) -> None:
    conn.execute("select pg_terminate_backend(%s)", (victim.info.backend_pid,))


def cut(victim: Conn, conn: Conn) -> None:
    """Close the socket under the client, as the end of its process does."""
    wire = socket.socket(fileno=os.dup(victim.pgconn.socket))
    wire.shutdown(socket.SHUT_RDWR)
    wire.close()


def ended(victim: int, conn: Conn) -> None:
    wait_until(lambda: scalar(conn, "select count(*) from pg_stat_activity where pid = %s", victim) == 0)


def drain(house: House) -> list[int]:
    """Let everything succeed at a worker of today, its predecessor being lost; return the ids in the order of their ends."""
    house.worker.lose()
    worker, order, idle_rounds = Worker(house.conn, queues=QUEUES), list[int](), 0
    while idle_rounds < 3:  # a share that is dealt in one round is claimed in the next
        found = [*worker.step(10, series=2).leases, *worker.step(10, queue="shared").leases]
        if not found:  # what has to run alone
            found = [lease for queue in QUEUES for lease in worker.claim_alone(queue=queue)]
        check(house.conn)
        order += [lease.id for lease in found]
        assert worker.settle(*(lease.outcome("succeeded") for lease in found)) == []
        idle_rounds = 0 if found or scalar(house.conn, "select pgqueue.hand_on_idle()") else idle_rounds + 1
    return order


def all_over(house: House) -> None:
    """Everything ends, once, each group in its order, and nothing is left of its lanes."""
    order = drain(house)
    conn = house.conn
    assert column(conn, "select id from pgqueue.queued_jobs") == []
    assert len(order) == len(set(order)), "once"
    assert column(conn, "select id from pgqueue.finished_jobs order by id") == house.ids
    for key in "gh":
        query = "select a.id from pgqueue.job_args a where a.gates ->> 'group' = %s order by id"
        members = [job for job in column(conn, query, key) if job in order]
        assert [job for job in order if job in members] == members, "in the order of ids (I8)"
    assert column(conn, "select job_id from pgqueue.permits") == []
    assert column(conn, "select job_id from pgqueue.lane_waits") == []
    assert column(conn, "select held from pgqueue.lanes where held <> 0") == []


@pytest.mark.parametrize("kill", [terminate, cut])
@pytest.mark.parametrize("name", list(ACTS))
def test_i6_a_death_just_before_the_commit_leaves_nothing(
    connect: Connect, conn: Conn, name: str, kill: Callable[[Conn, Conn], None]
) -> None:
    prepare, act = ACTS[name]
    house, victim = prepare(build(conn)), connect(autocommit=False)
    before = picture(conn)

    act(house, victim)
    pid = victim.info.backend_pid
    kill(victim, conn)
    ended(pid, conn)

    with pytest.raises(psycopg.OperationalError):
        victim.commit()
    assert picture(conn) == before
    check(conn)
    all_over(house)


@pytest.mark.parametrize("kill", [terminate, cut])
@pytest.mark.parametrize("name", list(ACTS))
def test_i6_a_death_just_after_the_commit_leaves_all_of_it(
    connect: Connect, conn: Conn, name: str, kill: Callable[[Conn, Conn], None]
) -> None:
    prepare, act = ACTS[name]
    house, victim = prepare(build(conn)), connect(autocommit=False)
    before = picture(conn)
    act(house, victim)
    victim.commit()
    after = picture(conn)
    pid = victim.info.backend_pid
    kill(victim, conn)
    ended(pid, conn)

    assert picture(conn) == after != before
    check(conn)
    all_over(house)


@pytest.mark.parametrize("name", list(ACTS))
def test_i4_a_zombie_that_comes_again_changes_nothing_of_others(connect: Connect, conn: Conn, name: str) -> None:
    """It did it, was declared lost, others went on with its jobs; then it does it again, as if it had had no answer."""
    prepare, act = ACTS[name]
    house, zombie = prepare(build(conn)), connect()
    act(house, zombie)
    house.worker.lose()
    other = Worker(conn, queues=QUEUES)
    leases = [*other.step(10, series=2).leases, *other.claim_alone()]
    before = picture(conn)

    found = act(house, zombie)

    if name == "release":
        assert sorted(found) == sorted(lease.id for lease in house.leases), "told that none of them is its own any more"
    if name in ("gate", "take_series", "claim_shared"):
        assert found == [], "who was declared lost claims nothing"
    if name not in ("deal", "hand_on"):  # these are anybody's, and ask for no lease
        assert picture(conn) == before
    check(conn)
    assert other.settle(*(lease.outcome("released") for lease in leases)) == []
    house.worker = Worker(conn, queues=QUEUES)
    all_over(house)


@pytest.mark.parametrize("first_commits", [True, False])
@pytest.mark.parametrize("name", list(ACTS))
def test_i3_i9_twice_at_once_is_once(connect: Connect, conn: Conn, name: str, first_commits: bool) -> None:
    """The second comes while the first has not committed, in another process that holds the same leases: it waits or passes by."""
    prepare, act = ACTS[name]
    house = prepare(build(conn))
    first, second = connect(autocommit=False), connect()

    one = act(house, first)
    other = Background(second, lambda: act(house, second)).settled_or_waits(conn)
    first.commit() if first_commits else first.rollback()
    two = other.result()

    check(conn)
    if name in ("gate", "take_series", "claim_shared") and first_commits:
        assert not set(one) & set(two), "claimed twice"
    if name == "release":
        assert sorted(two) == (sorted(lease.id for lease in house.leases) if first_commits else []), "settled once"
    all_over(house)


@pytest.mark.parametrize("one", list(ACTS))
@pytest.mark.parametrize("other", ["release", "hand_on", "deal", "take_series"])
def test_i14_any_two_at_once_end_without_a_deadlock_and_in_order(
    connect: Connect, conn: Conn, one: str, other: str
) -> None:
    house = held(build(conn))
    first, second = connect(autocommit=False), connect()

    ACTS[one][1](house, first)
    beside = Background(second, lambda: ACTS[other][1](house, second)).settled_or_waits(conn)
    first.commit()
    beside.result()

    check(conn)
    all_over(house)
