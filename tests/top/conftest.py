"""Fixtures: a queue in the middle of its life, and the source of a `pgq top` that looks at it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue.top.source import Source
from tests.sql.engine import Lease, Worker, enqueue

if TYPE_CHECKING:
    import psycopg


@pytest.fixture
def source(dsn: str) -> Iterator[Source]:
    made = Source(dsn, "pgqueue")
    yield made
    made.close()


@pytest.fixture
def lived(conn: "psycopg.Connection[Any]") -> dict[str, int]:
    """A job that runs, one that waits, one that is dead, in two queues; a paused queue with a hostile name."""
    worker = Worker(conn, queues=["default", "mail"])
    ids = {"dead": enqueue(conn, queue="mail"), "running": enqueue(conn), "waiting": enqueue(conn, key="k")}
    (lease,) = worker.claim(queue="mail")
    worker.settle(lease.outcome("dead", error={"type": "ValueError", "message": "secret-of-the-job"}))
    first: Lease = worker.claim(1)[0]
    assert first.id == ids["running"]
    enqueue(conn, queue="[red]x\x1b[31m")
    conn.execute("select pgqueue.pause(%s)", ["[red]x\x1b[31m"])
    return ids
