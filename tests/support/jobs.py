"""The tasks that the tests of workers run: each kind of handler, well behaved and not."""

import asyncio
import contextvars
import logging
import os
import signal
import time
from datetime import timedelta
from typing import Any

from pgqueue import App, Cancel, Discard, Exponential, LeaseLost, Retry, Snooze
from tests.support.ledger import note

app = App()
QUICKLY = Exponential(first=timedelta(milliseconds=20), factor=1, jitter=0)
KINDS = ("async", "thread", "cpu")
mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="clean")


@app.task(name="noop")
async def noop(number: int = 0) -> None: ...


@app.task(name="add.async")
async def add(a: int, b: int) -> int:
    return a + b


@app.task(name="add.thread")
def add_thread(a: int, b: int) -> int:
    return a + b


@app.task(name="add.cpu", cpu=True)
def add_cpu(a: int, b: int) -> int:
    return a + b


@app.task(name="fail.async", max_attempts=3, backoff=QUICKLY)
async def fail(message: str) -> None:
    raise ValueError(message)


@app.task(name="fail.thread", max_attempts=3, backoff=QUICKLY)
def fail_thread(message: str) -> None:
    raise ValueError(message)


@app.task(name="fail.cpu", cpu=True, max_attempts=3, backoff=QUICKLY)
def fail_cpu(message: str) -> None:
    raise ValueError(message)


def _answer(ctx: Any, verb: str, *, raised: bool) -> object:
    if ctx.attempt > 1:
        return ctx.attempt
    answer = {
        "retry": Retry(after=0.02),
        "snooze": Snooze(0.02),
        "cancel": Cancel("no longer wanted"),
        "discard": Discard("cannot work"),
    }[verb]
    if raised:
        raise answer
    return answer


@app.task(name="answer.async")
async def answer(ctx: Any, verb: str, raised: bool) -> object:
    return _answer(ctx, verb, raised=raised)


@app.task(name="answer.thread")
def answer_thread(ctx: Any, verb: str, raised: bool) -> object:
    return _answer(ctx, verb, raised=raised)


@app.task(name="answer.cpu", cpu=True)
def answer_cpu(ctx: Any, verb: str, raised: bool) -> object:
    return _answer(ctx, verb, raised=raised)


@app.task(name="odd.async")
async def odd() -> object:
    return object()


@app.task(name="odd.thread")
def odd_thread() -> object:
    return object()


@app.task(name="odd.cpu", cpu=True)
def odd_cpu() -> object:
    return object()


@app.task(name="lose.async", max_attempts=2, backoff=QUICKLY)
async def lose() -> None:
    raise LeaseLost("that of another job")


@app.task(name="lose.thread", max_attempts=2, backoff=QUICKLY)
def lose_thread() -> None:
    raise LeaseLost("that of another job")


@app.task(name="lose.cpu", cpu=True, max_attempts=2, backoff=QUICKLY)
def lose_cpu() -> None:
    raise LeaseLost("that of another job")


async def _leave() -> None:
    raise SystemExit(7)


@app.task(name="leave", max_attempts=2, backoff=QUICKLY)
async def leave(ctx: Any) -> None:
    """Have a task of its own end the process."""
    note("start", ctx)
    await asyncio.gather(_leave())


@app.task(name="hold.async")
async def hold(ctx: Any, seconds: float = 60.0) -> None:
    """Say every 10 ms that it lives."""
    note("start", ctx)
    ends = time.monotonic() + seconds
    try:
        while time.monotonic() < ends:
            await asyncio.sleep(0.01)
            note("alive", ctx)
    except asyncio.CancelledError:
        note("stopped", ctx)
        raise
    note("end", ctx)


@app.task(name="hold.thread")
def hold_thread(ctx: Any, seconds: float = 60.0) -> None:
    note("start", ctx)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.01)
        if ctx.cancelled:
            note("stopped", ctx)
            raise RuntimeError(f"told to stop: {ctx.stop_reason}")
        note("alive", ctx)
    note("end", ctx)


@app.task(name="hold.cpu", cpu=True)
def hold_cpu(ctx: Any, seconds: float = 60.0) -> None:
    note("start", ctx)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.01)
        note("alive", ctx)
    note("end", ctx)


@app.task(name="reporting")
async def reporting(ctx: Any, seconds: float = 60.0) -> None:
    """As hold.async, with progress all the time."""
    note("start", ctx)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        await asyncio.sleep(0.01)
        ctx.progress(0.5, "on the way")
        note("alive", ctx)
    note("end", ctx)


@app.task(name="leave_mark.async")
async def leave_mark() -> str:
    seen = mark.get()
    mark.set("dirty")
    return seen


@app.task(name="leave_mark.thread")
def leave_mark_thread() -> str:
    seen = mark.get()
    mark.set("dirty")
    return seen


@app.task(name="leave_mark.cpu", cpu=True)
def leave_mark_cpu() -> str:
    seen = mark.get()
    mark.set("dirty")
    return seen


@app.task(name="report.async")
async def report(ctx: Any) -> None:
    ctx.progress(0.25, "a quarter")
    await asyncio.sleep(60)


@app.task(name="report.thread")
def report_thread(ctx: Any) -> None:
    ctx.progress(0.25, "a quarter")
    while not ctx.cancelled:
        time.sleep(0.01)


@app.task(name="report.cpu", cpu=True)
def report_cpu(ctx: Any) -> None:
    ctx.progress(0.25, "a quarter")
    time.sleep(60)


def _die(ctx: Any, how: str) -> None:
    note("start", ctx)
    match how:
        case "exit":
            os._exit(3)
        case "abort":
            os.abort()
        case _:
            os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="die.async")
async def die(ctx: Any, how: str) -> None:
    _die(ctx, how)


@app.task(name="die.thread")
def die_thread(ctx: Any, how: str) -> None:
    _die(ctx, how)


@app.task(name="die.cpu", cpu=True, backoff=QUICKLY)
def die_cpu(ctx: Any, how: str) -> None:
    _die(ctx, how)


@app.task(name="block_once")
async def block_once(ctx: Any, seconds: float) -> None:
    """Hold up the whole process at the first attempt."""
    note("start", ctx)
    if ctx.attempt == 1:
        time.sleep(seconds)  # noqa: ASYNC251 - the point of it
    note("end", ctx)


def _done(kind: str, ctx: Any, value: object) -> object:
    note(kind, ctx)
    return value


@app.task(name="steps.async", max_attempts=3, backoff=QUICKLY)
async def steps(ctx: Any, hold: float = 0.0) -> list[Any]:
    """Two steps, each of which says in the ledger that it ran; the first attempt fails, or is held, between them."""
    one = await ctx.step("one", _done, "one", ctx, [1, {"a": None}])
    if ctx.attempt == 1:
        note("between", ctx)
        await asyncio.sleep(hold)
        raise ValueError("between the steps")
    two = await ctx.step("two", _done, "two", ctx, 2)
    return [one, two, ctx.attempt]


@app.task(name="steps.thread", max_attempts=3, backoff=QUICKLY)
def steps_thread(ctx: Any, hold: float = 0.0) -> list[Any]:
    one = ctx.step("one", _done, "one", ctx, [1, {"a": None}])
    if ctx.attempt == 1:
        note("between", ctx)
        time.sleep(hold)
        raise ValueError("between the steps")
    two = ctx.step("two", _done, "two", ctx, 2)
    return [one, two, ctx.attempt]


@app.task(name="steps.cpu", cpu=True, max_attempts=3, backoff=QUICKLY)
def steps_cpu(ctx: Any, hold: float = 0.0) -> list[Any]:
    return steps_thread(ctx, hold)


@app.task(name="sum.async")
async def sum_of_parents(ctx: Any) -> int:
    return sum(parent.result for parent in await ctx.parents())


@app.task(name="sum.thread")
def sum_of_parents_thread(ctx: Any) -> int:
    return sum(parent.result for parent in ctx.parents())


@app.task(name="sum.cpu", cpu=True)
def sum_of_parents_cpu(ctx: Any) -> int:
    return sum(parent.result for parent in ctx.parents())


@app.task(name="spread.async")
async def spread(ctx: Any, numbers: list[int]) -> list[int]:
    return [handle.id for handle in await ctx.add(*(add.job(number, 0) for number in numbers))]


@app.task(name="spread.thread")
def spread_thread(ctx: Any, numbers: list[int]) -> list[int]:
    return [handle.id for handle in ctx.add(*(add.job(number, 0) for number in numbers))]


@app.task(name="spread.cpu", cpu=True)
def spread_cpu(ctx: Any, numbers: list[int]) -> list[int]:
    return [handle.id for handle in ctx.add(*(add.job(number, 0) for number in numbers))]


spoken = logging.getLogger("shop.spoken")
spoken.setLevel(logging.INFO)  # in the processes of cpu handlers too


async def _say(lines: list[str]) -> None:
    for line in lines:
        spoken.info(line)
        await asyncio.sleep(0)


@app.task(name="say.async")
async def say(lines: list[str]) -> None:
    await asyncio.gather(asyncio.create_task(_say(lines)))  # what a handler starts counts as the handler


@app.task(name="say.thread")
def say_thread(lines: list[str]) -> None:
    for line in lines:
        spoken.info(line)


@app.task(name="say.cpu", cpu=True)
def say_cpu(lines: list[str]) -> None:
    for line in lines:
        spoken.info(line)


@app.task(name="say.killed", cpu=True, max_attempts=1, timeout=timedelta(seconds=0.5))
def say_and_hang(lines: list[str]) -> None:
    for line in lines:
        spoken.warning(line)
    time.sleep(60)


@app.task(name="traced.cpu", cpu=True)
def traced_cpu() -> dict[str, list[str]]:
    """What the process of the handler knows of its trace."""
    from opentelemetry import trace

    from pgqueue.logs import SCOPE

    now, scope = trace.get_current_span().get_span_context(), SCOPE.get()
    fields = scope.log_fields() if scope is not None else {}
    return {
        "current": [trace.format_trace_id(now.trace_id), trace.format_span_id(now.span_id)],
        "logged": [str(fields.get("trace_id")), str(fields.get("span_id"))],
    }
