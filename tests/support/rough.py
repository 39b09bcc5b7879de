"""Tasks that go rough with their process, or whose effects are rows in the database: what fault tests run."""

import asyncio
import ctypes
import os
import resource
import time
from typing import Any

import psycopg

from pgqueue import App
from tests.support.jobs import QUICKLY
from tests.support.ledger import note

app = App()
EFFECTS = "create table effects (job bigint, attempt integer, pid integer)"
EFFECT = "insert into effects values (%s, %s, %s)"


@app.task(name="effect.async")
async def effect(ctx: Any, hold: float = 0.0, within: bool = False) -> None:
    """Wait at the first attempt, before the transaction or within it; its effect and its success commit together."""
    note("start", ctx)
    wait = hold if ctx.attempt == 1 else 0.0
    await asyncio.sleep(0 if within else wait)
    async with await psycopg.AsyncConnection.connect(os.environ["PGQ_DSN"]) as conn:
        await conn.execute(EFFECT, [ctx.job.id, ctx.attempt, os.getpid()])
        if within:
            await ctx.guard(conn)
            note("guarded", ctx)
            await asyncio.sleep(wait)
        await ctx.complete(conn)
    note("end", ctx)


@app.task(name="effect.thread")
def effect_thread(ctx: Any, hold: float = 0.0, within: bool = False) -> None:
    note("start", ctx)
    wait = hold if ctx.attempt == 1 else 0.0
    time.sleep(0 if within else wait)
    with psycopg.connect(os.environ["PGQ_DSN"]) as conn:
        conn.execute(EFFECT, [ctx.job.id, ctx.attempt, os.getpid()])
        if within:
            ctx.guard(conn)
            note("guarded", ctx)
            time.sleep(wait)
        ctx.complete(conn)
    note("end", ctx)


@app.task(name="grip")
def grip(ctx: Any, seconds: float) -> None:
    """Hold the interpreter's lock at the first attempt, as an extension in C may."""
    note("start", ctx)
    if ctx.attempt == 1:
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    note("end", ctx)


@app.task(name="eat", max_attempts=2, backoff=QUICKLY)
def eat(ctx: Any) -> None:
    """Ask for more memory than the process may have."""
    note("start", ctx)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, before[1]))
    try:
        bytearray(2 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@app.task(name="clock")
async def clock() -> float:
    await asyncio.sleep(0.1)
    return time.time()


@app.task(name="pause")
async def pause(ctx: Any, seconds: float = 0.1) -> None:
    note("start", ctx)
    await asyncio.sleep(seconds)
    note("end", ctx)
