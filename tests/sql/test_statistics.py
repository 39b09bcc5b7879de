# ruff: noqa: E501 - SQL is told on one line
"""The statistics are the history counted up: each attempt once, whoever folds, whoever dies, wherever the attempt went meanwhile."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.sql.engine import Conn, Lease, Worker, cancel, enqueue_many, redrive, retry, scalar

OUTCOMES = ("succeeded", "failed", "dead", "cancelled", "lost", "snoozed", "released")
COUNTED = ", ".join(f"count(*) filter (where a.outcome = '{name}')" for name in OUTCOMES)
# Every attempt that the views tell; run times of handlers that ended by themselves.
BY_HAND = f"""
  select date_trunc('minute', a.finished_at, 'UTC'), j.queue, j.task, {COUNTED},
         coalesce(round(sum(extract(epoch from a.finished_at - a.started_at)) filter (where a.outcome not in ('lost', 'released')), 3), 0),
         count(*) filter (where a.outcome not in ('lost', 'released'))
  from pgqueue.attempts a join pgqueue.jobs j on j.id = a.job_id group by 1, 2, 3 order by 1, 2, 3"""
FOLDED = f"""
  select minute, queue, task, {", ".join(OUTCOMES)}, round(run_seconds::numeric, 3), (select sum(x)::bigint from unnest(run_buckets) x)
  from pgqueue.statistics order by 1, 2, 3"""


def fold(conn: Conn, lag: str = "0") -> Any:
    return scalar(conn, "select pgqueue.fold_statistics(%s::interval)", lag)


def rows(conn: Conn, query: str) -> list[tuple[Any, ...]]:
    return conn.execute(query).fetchall()


def some_day(conn: Conn, seed: int, fold_after: Callable[[], object]) -> None:
    """Random jobs in two queues of two tasks, with every kind of end, retries, redrives, cancels and lost workers."""
    chance = random.Random(seed)
    queues = ("default", "mail")
    worker = Worker(conn, queues=queues, tasks=("t", "u"))
    ended: list[int] = []
    for _ in range(12):
        enqueue_many(conn, [{"task": chance.choice("tu"), "queue": chance.choice(queues)} for _ in range(8)])
        for queue in queues:
            leases = worker.claim(chance.randint(1, 9), queue=queue)
            for lease in leases:
                if chance.random() < 0.1:
                    cancel(conn, lease.id)
            worker.step(0, outcomes=[some_outcome(chance, lease) for lease in leases])
            ended += [lease.id for lease in leases]
        if chance.random() < 0.3:
            worker.claim(3, queue="mail")
            worker.lose()
            worker = Worker(conn, queues=queues, tasks=("t", "u"))
        if chance.random() < 0.3:
            redrive(conn, limit=chance.randint(1, 5))
        for job_id in chance.sample(ended, min(len(ended), 3)):
            if scalar(conn, "select state from pgqueue.jobs where id = %s", job_id) == "cancelled":
                retry(conn, job_id)
        fold_after()


def some_outcome(chance: random.Random, lease: Lease) -> dict[str, Any]:
    outcome = chance.choice(("succeeded", "succeeded", "failed", "failed", "dead", "cancelled", "snoozed", "released"))
    return lease.outcome(outcome, delay=0, error={"type": "E", "message": "m"})


@pytest.mark.parametrize("seed", range(3))
def test_statistics_are_the_attempts_counted_up(conn: Conn, seed: int) -> None:
    chance = random.Random(seed)
    some_day(conn, seed, lambda: fold(conn) if chance.random() < 0.5 else None)
    fold(conn)

    assert rows(conn, FOLDED) == rows(conn, BY_HAND)
    assert fold(conn) == 0
