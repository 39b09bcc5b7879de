"""A connection that leads to a standby since a failover is given up: it would refuse every write for ever."""

import asyncio

import pytest

from pgqueue import App
from pgqueue.errors import DatabaseUnavailable
from tests.support import jobs
from tests.worker.conftest import Jobs, Start

READ_ONLY = "set default_transaction_read_only = on"  # what the session of a server is that has become a standby


def test_a_worker_leaves_a_server_that_has_become_a_standby(jobs_app: App, start: Start, the: Jobs) -> None:
    worker = start(jobs_app)
    link = worker.worker._stepper._link  # type: ignore[union-attr]
    assert worker.loop is not None
    before = link._session._conn

    asyncio.run_coroutine_threadsafe(before.execute(READ_ONLY), worker.loop).result(10)  # type: ignore[union-attr]

    the.wait(jobs.noop.enqueue(), "succeeded")
    assert link._session._conn is not before


def test_the_pool_leaves_a_server_that_has_become_a_standby(dsn: str) -> None:
    app = App(dsn, pool_size=1)
    task = app.task(name="noop")(lambda: None)
    with app._client.pools.connection() as conn:
        conn.execute(READ_ONLY)

    with pytest.raises(DatabaseUnavailable, match="target_session_attrs"):
        task.enqueue()

    assert task.enqueue().state() == "ready"
    app.close()


async def test_so_does_the_async_pool(dsn: str) -> None:
    app = App(dsn, pool_size=1)
    task = app.task(name="noop")(lambda: None)
    async with app._client.pools.aconnection() as conn:
        await conn.execute(READ_ONLY)

    with pytest.raises(DatabaseUnavailable, match="target_session_attrs"):
        await task.aenqueue()

    assert await (await task.aenqueue()).astate() == "ready"
    await app.aclose()
