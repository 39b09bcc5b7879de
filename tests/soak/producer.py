"""A process that enqueues: `python -m tests.soak.producer`, with its orders as JSON in SOAK_PRODUCER.

It says what it is about to enqueue, enqueues it in a transaction of its own, and says that the commit was acknowledged.
What was not acknowledged it tries again only when the jobs have keys: so nothing of its own doing is there twice.
"""

import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from pgqueue import batch
from pgqueue.errors import PgQueueError
from tests.soak import app as tasks
from tests.soak.ledger import FOLDER, HOLD, Ledger

ORDERS = "SOAK_PRODUCER"
BULK = 200
GROUPS = 20
MEMBERS = 4
KEEP = timedelta(hours=2)  # how long a key holds after its job has ended: longer than a run


@dataclass(frozen=True, slots=True)
class Orders:
    """`first` is the number of this process's first job; `rate` in jobs a second."""

    dsn: str
    seed: int
    name: str
    first: int
    jobs: int
    rate: float
    lease: float


class Producer:
    """Enqueues batch after batch."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._draw = random.Random(orders.seed)
        self._ledger = Ledger(f"producer-{orders.name}")
        self._conn: psycopg.Connection[Any] | None = None
        self._next = orders.first
        self._batches = 0
        self._era = 0  # groups begin anew after a commit of unknown end: it may become visible behind later ones

    def run(self) -> None:
        """Enqueue all of its jobs, in time with the rate; after an outage as fast as it can."""
        began, done = time.monotonic(), 0
        hold = Path(os.environ[FOLDER]) / HOLD
        while done < self._orders.jobs:
            ahead = done / self._orders.rate - (time.monotonic() - began)
            if ahead > 0 or hold.exists():
                time.sleep(min(max(ahead, 0.05), 0.2))
                continue
            done += self._batch(self._orders.jobs - done)

    def _batch(self, left: int) -> int:
        """Enqueue one batch; how many jobs of it were acknowledged."""
        kind = self._draw.choices(["plain", "mixed", "keyed", "flow"], [70, 15, 8, 7])[0]
        count = min(left, {"plain": BULK, "mixed": 40, "keyed": 20, "flow": MEMBERS + 1}[kind])
        if kind == "flow" and count <= MEMBERS:
            kind = "plain"
        first, self._next = self._next, self._next + count
        self._batches += 1
        name = f"{self._orders.first}.{self._batches}"
        send = self._prepare(kind, range(first, first + count))
        self._ledger.write(f"A {name} {kind} {first} {count}")
        while True:
            ids = self._commit(send)
            if ids is not None:
                self._ledger.write(f"K {name} {' '.join(map(str, ids))}")
                return count
            self._era += 1
            if kind != "keyed":
                self._ledger.write(f"U {name}")
                return 0

    def _commit(self, send: Callable[[Any], list[int]]) -> list[int] | None:
        """The ids once the commit was acknowledged; None when it is not known what came of it."""
        try:
            if self._conn is None or self._conn.closed:
                self._conn = psycopg.connect(self._orders.dsn, autocommit=True, connect_timeout=5)
            with self._conn.transaction():
                return send(self._conn)
        except (psycopg.Error, PgQueueError) as error:
            sys.stderr.write(f"{type(error).__name__}: {' '.join(str(error).split())}\n")
            if self._conn is not None:
                self._conn.close()
            time.sleep(self._draw.uniform(0.05, 0.3))
            return None

    def _prepare(self, kind: str, numbers: range) -> Callable[[Any], list[int]]:
        """What sends the jobs of these numbers on a connection, and returns their ids."""
        if kind == "flow":
            flow = batch([tasks.member.job(n) for n in numbers[:-1]], on_done=tasks.callback.job(numbers[-1]))
            return lambda conn: [handle.id for handle in flow.enqueue(conn=conn).jobs]
        if kind == "keyed":
            jobs = [tasks.keyed.using(key=f"k{n}", key_period=KEEP).job(n) for n in numbers]
        elif kind == "plain":
            jobs = [self._plain(n) for n in numbers]
        else:
            jobs = [self._mixed(n) for n in numbers]
        return lambda conn: [handle.id for handle in tasks.app.enqueue_many(jobs, conn=conn)]

    def _plain(self, n: int) -> Any:
        if self._draw.random() < 0.002:
            return tasks.plain.job(n, self._draw.uniform(0.8, 1.6) * self._orders.lease)
        return tasks.plain.job(n)

    def _mixed(self, n: int) -> Any:
        match self._draw.choices(range(8), [27, 15, 4, 4, 2, 28, 12, 8])[0]:
            case 0:
                return tasks.thread.job(n)
            case 1:
                return tasks.retrying.job(n, self._draw.choice([1, 1, 2]))
            case 2:
                return tasks.effect.job(n)
            case 3:
                return tasks.effect_thread.job(n)
            case 4:
                return tasks.guarded.job(n)
            case 5:
                group = f"{self._orders.first}-{self._era}-{self._draw.randrange(GROUPS)}"
                return tasks.grouped.using(group_key=group).job(n, group)
            case 6:
                return tasks.gated.job(n)
            case _:
                return tasks.dripping.job(n)


def main() -> None:
    """Run to the end of the orders."""
    Producer(Orders(**json.loads(os.environ[ORDERS]))).run()


if __name__ == "__main__":
    main()
