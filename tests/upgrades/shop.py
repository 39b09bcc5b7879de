"""An application that runs on the release before and on this one: read by both, from a copy of this file.

Each handler writes a line to the ledger when it begins and when it ends.
"""

import asyncio
import os
import time
from datetime import timedelta
from typing import Any

from pgqueue import App, Exponential

app = App()
app.limit("narrow", concurrency=2)


def note(kind: str, ctx: Any, about: str = "-") -> None:
    """One write, so that lines of several processes do not mix."""
    line = f"{kind} {ctx.job.id} {ctx.attempt} {os.getpid()} {time.monotonic()} {about}\n"
    descriptor = os.open(os.environ["SHOP_LEDGER"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


@app.task(name="plain")
async def plain(ctx: Any, number: int) -> int:
    note("start", ctx, "plain")
    note("end", ctx, "plain")
    return number


@app.task(name="threaded")
def threaded(ctx: Any, number: int) -> int:
    note("start", ctx, "threaded")
    note("end", ctx, "threaded")
    return number


@app.task(name="again", backoff=Exponential(first=timedelta(milliseconds=50), factor=1, jitter=0))
async def again(ctx: Any, number: int) -> int:
    """Fails at its first attempt."""
    note("start", ctx, "again")
    if ctx.attempt == 1:
        note("failed", ctx, "again")
        raise ValueError("the first time")
    note("end", ctx, "again")
    return number


@app.task(name="grouped")
async def grouped(ctx: Any, group: str) -> None:
    note("start", ctx, f"group:{group}")
    await asyncio.sleep(0.002)
    note("end", ctx, f"group:{group}")


@app.task(name="narrow", limits=["narrow"])
async def narrow(ctx: Any, number: int) -> None:
    note("start", ctx, "narrow")
    await asyncio.sleep(0.002)
    note("end", ctx, "narrow")


@app.task(name="total")
async def total(ctx: Any) -> int:
    note("start", ctx, "total")
    found = len(list(await ctx.parents()))
    note("end", ctx, "total")
    return found


@app.schedule(every=timedelta(seconds=1), missed="all", name="clockwork")
@app.task(name="tick")
async def tick(ctx: Any) -> None:
    note("start", ctx, "tick")
    note("end", ctx, "tick")
