"""Tasks that go rough with their process, or whose effects are rows in the database: what fault tests run."""

import asyncio
import ctypes
import os
import resource
import threading
import time
from datetime import timedelta
from typing import Any

import psycopg

from pgqueue import App
from pgqueue.errors import LeaseLost
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


@app.task(name="grip.cpu", cpu=True)
def grip_in_a_process(ctx: Any, seconds: float) -> None:
    grip(ctx, seconds)


@app.task(name="deaf", timeout=timedelta(seconds=0.3), backoff=QUICKLY)
def deaf_once(ctx: Any, seconds: float) -> None:
    """Ignore at the first attempt that the time is over, then try to write as if nothing had happened."""
    note("start", ctx)
    if ctx.attempt > 1:
        note("end", ctx)
        return
    _not_listening(ctx, seconds)
    try:
        with psycopg.connect(os.environ["PGQ_DSN"]) as conn:
            ctx.complete(conn)
    except LeaseLost:
        note("refused", ctx)


def _not_listening(ctx: Any, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.02)
        note("alive", ctx)


@app.task(name="block")
async def block_once(ctx: Any, seconds: float) -> None:
    """Hold up the loop at the first attempt, then try to write as if nothing had happened."""
    note("start", ctx)
    if ctx.attempt == 1:
        _hold_up_the_loop(seconds)
        try:
            async with await psycopg.AsyncConnection.connect(os.environ["PGQ_DSN"]) as conn:
                await ctx.complete(conn)
        except (LeaseLost, asyncio.CancelledError):  # it is stopped as soon as the loop turns, or comes as far as this
            note("refused", ctx)
            raise
    note("end", ctx)


def _hold_up_the_loop(seconds: float) -> None:
    time.sleep(seconds)


@app.task(name="still_heart")
def still_heart(ctx: Any) -> None:
    """End the thread that beats, at the first attempt, and go on for a while."""
    note("start", ctx)
    if ctx.attempt > 1:
        note("end", ctx)
        return
    (heart,) = (thread for thread in threading.enumerate() if thread.name == "pgqueue-lease")
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(heart.ident or 0), ctypes.py_object(SystemExit))
    while not ctx.cancelled:
        time.sleep(0.01)
        note("alive", ctx)
    note("stopped", ctx)


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
