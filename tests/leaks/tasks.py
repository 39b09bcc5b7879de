"""Tasks that get marked values and fail with them, each in its way."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pydantic

from pgqueue import App, Cancel, Discard, Retry, Snooze
from tests.leaks.canaries import ARGS, KEY, META, NOTE, RAISED, RESULT, STEP
from tests.support.jobs import QUICKLY

app = App()
KINDS = ("async", "thread", "cpu")
SOON = timedelta(milliseconds=300)


class Order(pydantic.BaseModel):
    number: int


class Unwritable(pydantic.BaseModel):
    """A result whose own code fails while it is written."""

    secret: str

    @pydantic.field_serializer("secret")
    def write(self, value: str) -> str:
        raise ValueError(f"{value} {RESULT}")


class Odd:
    """A result that JSON does not have, and that shows what it holds."""

    def __repr__(self) -> str:
        return RESULT


class Speechless(Exception):  # noqa: N818 - named for what it is
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError(RAISED)


class Local(Exception):  # noqa: N818
    """Cannot be pickled: it holds a lock of the interpreter's."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = compile("1", RAISED, "eval")


def _cause(secret: str) -> None:
    try:
        raise KeyError(secret)
    except KeyError as error:
        raise ValueError(f"{secret} {RAISED}") from error


def _exit(secret: str) -> None:
    raise SystemExit(RAISED)


def _interrupt(secret: str) -> None:
    raise KeyboardInterrupt(RAISED)


def _group(secret: str) -> None:
    raise ExceptionGroup(RAISED, [ValueError(secret)])


def _speechless(secret: str) -> None:
    raise Speechless


def _local(secret: str) -> None:
    raise Local(secret)


def _enqueue_misfit(secret: str) -> None:
    typed.enqueue(number=secret)  # type: ignore[arg-type]


def _refused_by_the_database(secret: str) -> None:
    with psycopg.connect(os.environ["PGQ_DSN"]) as conn:
        conn.execute("select %s::text::int", [secret])


def _unwritable(secret: str) -> Any:
    return Unwritable(secret=secret)


def _odd(secret: str) -> Any:
    return Odd()


def _nul(secret: str) -> Any:
    return {RESULT: "\x00"}


def _surrogate(secret: str) -> Any:
    return [RESULT, "\ud800"]


def _huge(secret: str) -> Any:
    return RESULT * 100_000


def _answer(answer: Callable[[], Exception]) -> Callable[[str], Any]:
    def give(secret: str) -> Any:
        raise answer()

    return give


WAYS: dict[str, Callable[[str], Any]] = {
    "a cause": _cause,
    "sys.exit": _exit,
    "interrupt": _interrupt,
    "a group": _group,
    "speechless": _speechless,
    "unpicklable": _local,
    "enqueue of a misfit": _enqueue_misfit,
    "refused by the database": _refused_by_the_database,
    "odd result": _odd,
    "unwritable result": _unwritable,
    "nul in result": _nul,
    "surrogate in result": _surrogate,
    "huge result": _huge,
    "Cancel": _answer(lambda: Cancel(RAISED)),
    "Discard": _answer(lambda: Discard(RAISED)),
    "Retry": _answer(lambda: Retry(after=0.01, reason=RAISED)),
}


def _fail(way: str, secret: str) -> Any:
    return WAYS[way](secret)


@app.task(name="fail.async", max_attempts=2, backoff=QUICKLY)
async def fail(way: str, secret: str) -> Any:
    return _fail(way, secret)


@app.task(name="fail.thread", max_attempts=2, backoff=QUICKLY)
def fail_thread(way: str, secret: str) -> Any:
    return _fail(way, secret)


@app.task(name="fail.cpu", cpu=True, max_attempts=2, backoff=QUICKLY)
def fail_cpu(way: str, secret: str) -> Any:
    return _fail(way, secret)


@app.task(name="typed")
async def typed(number: int) -> None: ...


@app.task(name="modelled")
async def modelled(order: Order) -> None: ...


@app.task(name="snoozing")
async def snoozing(ctx: Any, secret: str) -> str:
    if ctx.attempt == 1:
        raise Snooze(0.01, RAISED)
    return RESULT


@app.task(name="slow.async", timeout=SOON, max_attempts=1)
async def slow(ctx: Any, secret: str) -> None:
    ctx.progress(0.5, NOTE)
    await asyncio.sleep(60)


@app.task(name="slow.cpu", cpu=True, timeout=SOON, max_attempts=1)
def slow_cpu(ctx: Any, secret: str) -> None:
    ctx.progress(0.5, NOTE)
    time.sleep(60)


@app.task(name="slow.thread", timeout=SOON, max_attempts=1)
def slow_thread(ctx: Any, secret: str) -> None:
    """Ignores for a while that its time is over."""
    time.sleep(0.8)
    raise ValueError(f"{secret} {RAISED}")


@app.task(name="deaf", timeout=SOON, max_attempts=1)
def deaf(secret: str) -> str:
    """Ignores it for so long that the worker says so."""
    time.sleep(6.5)
    return RESULT


@app.task(name="patient")
async def patient(ctx: Any, secret: str) -> str:
    """Runs until it is cancelled, or the worker ends."""
    ctx.progress(0.1, NOTE)
    await asyncio.sleep(60)
    return RESULT


@app.task(name="stubborn")
async def stubborn(secret: str) -> str:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    raise ValueError(f"{secret} {RAISED}")


class BrokenBackoff:
    """Fails with what it was asked about."""

    def delay(self, retry: int, *, random: Any = None) -> timedelta:
        raise RuntimeError(RAISED)


@app.task(name="broken backoff", max_attempts=3, backoff=BrokenBackoff())
async def broken_backoff(secret: str) -> None:
    raise ValueError(f"{secret} {RAISED}")


@app.task(name="stepping", max_attempts=2, backoff=QUICKLY)
async def stepping(ctx: Any, secret: str) -> None:
    await ctx.step("kept", lambda: {STEP: secret})
    await ctx.step("odd", Odd)


@app.task(name="completing", max_attempts=1)
async def completing(ctx: Any, secret: str) -> None:
    async with await psycopg.AsyncConnection.connect(os.environ["PGQ_DSN"]) as conn:
        await ctx.complete(conn, RESULT)
    raise ValueError(f"{secret} {RAISED}")


@app.task(name="not completing", max_attempts=1)
async def not_completing(ctx: Any, secret: str) -> None:
    conn = await psycopg.AsyncConnection.connect(os.environ["PGQ_DSN"])
    await ctx.complete(conn, RESULT)
    await conn.rollback()
    await conn.close()


@app.task(name="forgotten task", max_attempts=1)
async def forgotten(secret: str) -> None:
    """Leaves a task behind that fails with nobody to see it."""

    async def left() -> None:
        raise ValueError(f"{secret} {RAISED}")

    task = asyncio.create_task(left())
    await asyncio.wait([task])
    task.exception()
    raise ValueError(RAISED)


@app.task(name="producing", max_attempts=1)
async def producing(secret: str) -> None:
    await typed.using(key=KEY, key_policy="raise", meta={"m": META}).aenqueue(number=1)
    await typed.using(key=KEY, key_policy="raise", meta={"m": META}).aenqueue(number=2)


@app.task(name="dying.cpu", cpu=True, max_attempts=1)
def dying_cpu(secret: str) -> None:
    os._exit(3)


SECRET = {"secret": ARGS}
