"""The App whose jobs the benchmarks run. Handlers that leave a trace append to the file named by PGQ_BENCH_LEDGER."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue import App, Discard, Fixed

if TYPE_CHECKING:
    from pgqueue.context import Context

app = App()


class Ledger:
    """A file to which short lines are appended by one write each, so that a killed process loses none that it wrote."""

    def __init__(self) -> None:
        self._fd = -1

    def write(self, line: bytes) -> None:
        """Append a line."""
        if self._fd < 0:
            self._fd = os.open(os.environ["PGQ_BENCH_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(self._fd, line)


ledger = Ledger()


@app.task(name="jobs.noop")
async def noop(i: int = 0) -> None:
    """Do nothing."""


@app.task(name="jobs.stamp")
async def stamp(i: int) -> None:
    """Note when the handler's first line ran, by the clock that all processes of a machine share."""
    now = time.monotonic_ns()
    ledger.write(b"%d %d\n" % (i, now))


@app.task(name="jobs.nap")
async def nap(seconds: float) -> None:
    """Keep a place busy."""
    await asyncio.sleep(seconds)


@app.task(name="jobs.effect")
async def effect(ctx: Context, i: int) -> None:
    """Note the start and the end of an attempt, 1 to 5 ms apart."""
    ledger.write(b"start %d %d %d\n" % (ctx.job_id, ctx.attempt, i))
    await asyncio.sleep((1 + i % 5) / 1000)
    ledger.write(b"end %d %d %d\n" % (ctx.job_id, ctx.attempt, i))


@app.task(name="jobs.turn")
async def turn(ctx: Context, group: int) -> None:
    """Note the start and the end of an attempt, and let others go on in between."""
    ledger.write(b"start %d %d %d\n" % (ctx.job_id, ctx.attempt, group))
    await asyncio.sleep(0)
    ledger.write(b"end %d %d %d\n" % (ctx.job_id, ctx.attempt, group))


@app.task(name="jobs.node", backoff=Fixed(timedelta(milliseconds=20)))
async def node(ctx: Context, fate: str, ms: int) -> None:
    """A node of a flow: it succeeds, fails at its first attempt, or is dead at once."""
    ledger.write(b"start %d %d 0\n" % (ctx.job_id, ctx.attempt))
    await asyncio.sleep(ms / 1000)
    ledger.write(b"end %d %d 0\n" % (ctx.job_id, ctx.attempt))
    if fate == "dead":
        raise Discard("as planned")
    if fate == "flaky" and ctx.job.failures == 0:
        raise RuntimeError("as planned")


@app.task(name="jobs.ledger")
def ledger_entry(ctx: Context, i: int) -> None:
    """Write the begin and the end of an attempt into a table, each in a transaction of its own, 20 ms apart."""
    conn = _connection()
    conn.execute("insert into public.ledger (job_id, attempt, i) values (%s, %s, %s)", [ctx.job_id, ctx.attempt, i])
    time.sleep(0.02)
    query = "update public.ledger set ended = clock_timestamp() where job_id = %s and attempt = %s"
    conn.execute(query, [ctx.job_id, ctx.attempt])


_local = threading.local()


def _connection() -> psycopg.Connection[Any]:
    """A connection of this thread's own."""
    if not hasattr(_local, "conn"):
        _local.conn = psycopg.connect(os.environ["PGQ_DSN"], autocommit=True)
    conn: psycopg.Connection[Any] = _local.conn
    return conn


@app.task(name="jobs.effect_in_thread")
def effect_in_thread(ctx: Context, i: int) -> None:
    """The same in a thread."""
    ledger.write(b"start %d %d %d\n" % (ctx.job_id, ctx.attempt, i))
    time.sleep((1 + i % 5) / 1000)
    ledger.write(b"end %d %d %d\n" % (ctx.job_id, ctx.attempt, i))
