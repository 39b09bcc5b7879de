"""The tasks of the soak. Each says in the ledger when it starts and when it ends; `n` is the job's own number."""

import asyncio
import os
import time
from datetime import timedelta
from typing import Any

import psycopg

from pgqueue import App, Exponential
from pgqueue.errors import LeaseLost
from tests.soak import mutants
from tests.soak.ledger import Ledger

CONCURRENCY = 3
RATE = 50  # a second, and as many at once
DSN = "SOAK_EFFECTS_DSN"

SKEW = "SOAK_SKEW_SECONDS"


def shift_the_clock(seconds: float) -> None:
    """Let this process's time of day be wrong. In Python, because Debian's libfaketime (0.9.10) breaks the timed waits
    of CPython's threads: `Event.wait` hung for ever, `time.sleep` failed with EINVAL.
    """
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1e9)


if wrong := float(os.environ.get(SKEW) or 0):
    shift_the_clock(wrong)

app = App()
app.limit("gate", concurrency=CONCURRENCY)
app.limit("drip", rate=RATE, per=timedelta(seconds=1), burst=RATE)
ledger = Ledger("worker")
# Handlers with a connection of their own meet the nemesis there: tried again until it works.
AGAIN = Exponential(first=timedelta(milliseconds=50), factor=2, maximum=timedelta(seconds=1), jitter=0.2)
EFFECT = "insert into soak.effects (job_id, token, kind) values (%s, %s, %s)"


class Planned(Exception):  # noqa: N818 - what history shows
    """A failure that is part of the job."""


def note(kind: str, ctx: Any) -> None:
    ledger.write(f"{kind} {ctx.job_id} {ctx.token} {ledger.now()}")


@app.task(name="plain", queue="bulk")
async def plain(ctx: Any, n: int, nap: float = 0.0) -> None:
    note("S", ctx)
    if nap and (ctx.attempt == 1 or n % 4 == 0):  # as long as a lease: where the races are
        await asyncio.sleep(nap)
    note("D", ctx)


@app.task(name="thread", queue="mixed")
def thread(ctx: Any, n: int) -> None:
    note("S", ctx)
    note("D", ctx)


@app.task(name="keyed", queue="mixed")
async def keyed(ctx: Any, n: int) -> None:
    note("S", ctx)
    note("D", ctx)


@app.task(name="retrying", queue="mixed", max_attempts=100, backoff=AGAIN)
async def retrying(ctx: Any, n: int, fails: int) -> None:
    note("S", ctx)
    if ctx.job.failures < fails:
        note("F", ctx)
        raise Planned(f"failure {ctx.job.failures + 1} of {fails}")
    note("D", ctx)


@app.task(name="grouped", queue="mixed")
async def grouped(ctx: Any, n: int, group: str) -> None:
    note("S", ctx)
    await asyncio.sleep(0.001)
    note("D", ctx)


@app.task(name="gated", queue="mixed", limits=["gate"])
async def gated(ctx: Any, n: int) -> None:
    note("S", ctx)
    await asyncio.sleep(0.002)
    note("D", ctx)


@app.task(name="dripping", queue="mixed", limits=["drip"])
async def dripping(ctx: Any, n: int) -> None:
    note("S", ctx)
    note("D", ctx)


async def _complete(ctx: Any, kind: str) -> None:
    """An effect and the job's end in one transaction."""
    note("S", ctx)
    try:
        async with await psycopg.AsyncConnection.connect(os.environ[DSN], connect_timeout=5) as conn:
            await conn.execute(EFFECT, [ctx.job_id, ctx.token, kind])
            await ctx.complete(conn)
    except LeaseLost:
        note("X", ctx)
        raise
    note("D", ctx)


@app.task(name="effect", queue="mixed", max_attempts=10_000, backoff=AGAIN)
async def effect(ctx: Any, n: int) -> None:
    await _complete(ctx, "effect")


@app.task(name="callback", queue="mixed", max_attempts=10_000, backoff=AGAIN)
async def callback(ctx: Any, n: int) -> None:
    await _complete(ctx, "callback")


@app.task(name="member", queue="mixed")
async def member(ctx: Any, n: int) -> None:
    note("S", ctx)
    note("D", ctx)


@app.task(name="effect_thread", queue="mixed", max_attempts=10_000, backoff=AGAIN)
def effect_thread(ctx: Any, n: int) -> None:
    note("S", ctx)
    try:
        with psycopg.connect(os.environ[DSN], connect_timeout=5) as conn:
            conn.execute(EFFECT, [ctx.job_id, ctx.token, "effect"])
            ctx.complete(conn)
    except LeaseLost:
        note("X", ctx)
        raise
    note("D", ctx)


@app.task(name="guarded", queue="mixed", max_attempts=10_000, backoff=AGAIN)
def guarded(ctx: Any, n: int) -> None:
    """Under `guard`: what commits was done by the owner. The job ends outside, so a death in between repeats it."""
    note("S", ctx)
    try:
        with psycopg.connect(os.environ[DSN], connect_timeout=5) as conn:
            ctx.guard(conn)
            conn.execute(EFFECT, [ctx.job_id, ctx.token, "guarded"])
            time.sleep(0.001)
    except LeaseLost:
        note("X", ctx)
        raise
    note("D", ctx)


mutants.break_this_process()
