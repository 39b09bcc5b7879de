"""Durable steps: what `ctx.step` does. A step's result is stored once, and later attempts of the job get it back
without running the step again.

Comes between execute and settle, in the middle of a handler. A step is: is it stored? then that is the answer; else run
it, store what came of it, return what is stored. Both questions carry the lease token: an attempt that has lost its job
is refused before it runs a step, and cannot store one (I4). The job's row is locked while a step is stored: for one
statement, or, with a connection of the handler's own, until that transaction ends.

It is told once, as a coroutine. In sync handlers none of its parts ever waits, so that one `send` runs it to its end.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import typing
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pgqueue import calls, codec
from pgqueue.annotation import converter
from pgqueue.codec import Misfit
from pgqueue.errors import ArgumentError, DatabaseUnavailable, InvalidArgument, LeaseLost
from pgqueue.outcome import Answer, Discard
from pgqueue.telling import brief

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from pgqueue.client import Client
    from pgqueue.convert import Converter

log = logging.getLogger(__name__)

T = TypeVar("T")
NAME_BYTES = 200
# The step has been done: before its result is given up for lost, a database that restarts gets so many seconds to come
# back. Storing twice is harmless.
STORE_AGAIN_SECONDS = (0.1, 0.3, 1.0, 2.0, 4.0)
GRACE_SECONDS = 1.0  # within the margin that a lease leaves to handlers that are stopped


class Means(Protocol):
    """How an attempt asks the database, runs code and waits."""

    async def ask(self, call: calls.Call[T], conn: Any) -> T:
        """Run a verb."""
        ...

    async def ask_to_the_end(self, call: calls.Call[T]) -> T:
        """Run a verb on the App's pool, also when the handler is stopped meanwhile."""
        ...

    async def run(self, name: str, code: Callable[[], Any]) -> Any:
        """Run the step's own code."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Awaiting:
    """The means of an async handler: what waits is awaited; a plain function runs on the loop, as if called there."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, call: calls.Call[T], conn: Any) -> T:
        """Run a verb on an AsyncConnection or the App's async pool."""
        return await self._client.arun(call, conn=conn, instead="ctx.step from a plain def, or open an AsyncConnection")

    async def ask_to_the_end(self, call: calls.Call[T]) -> T:
        """Run a verb; a handler that is cancelled meanwhile waits for its end, if that comes soon."""
        asked = asyncio.ensure_future(self.ask(call, None))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            await asyncio.wait({asked}, timeout=GRACE_SECONDS)
            if not asked.cancel() and not asked.cancelled() and (error := asked.exception()) is not None:
                log.info("a step was not stored before its handler stopped", extra={"error": type(error).__name__})
            raise

    async def run(self, name: str, code: Callable[[], Any]) -> Any:  # noqa: ARG002
        """Run the step's own code."""
        value = code()
        return await value if inspect.isawaitable(value) else value

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Plain:
    """The means of a sync handler, in a thread or a process: nothing is awaited."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, call: calls.Call[T], conn: Any) -> T:
        """Run a verb on a Connection or the App's pool."""
        return self._client.run(call, conn=conn, instead="ctx.step from an async def, or open a Connection")

    async def ask_to_the_end(self, call: calls.Call[T]) -> T:
        """Run a verb: nothing stops a thread."""
        return await self.ask(call, None)

    async def run(self, name: str, code: Callable[[], Any]) -> Any:
        """Run the step's own code."""
        value = code()
        if not inspect.isawaitable(value):
            return value
        if inspect.iscoroutine(value):
            value.close()
        raise ArgumentError(
            f'step "{name}": its function is async, and this handler is a plain def; give it a plain function, or make '
            "the handler an async def"
        )

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)  # noqa: ASYNC251 - there is no loop


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise RuntimeError("a step of a plain handler tried to wait")


class Steps:
    """The steps of one attempt."""

    def __init__(
        self, job_id: int, token: int, *, means: Means, may_begin: Callable[[], None], stop: Callable[[], str | None]
    ) -> None:
        """`may_begin` raises when no step should begin any more; `stop` says why the attempt has to stop."""
        self._job_id = job_id
        self._token = token
        self._means = means
        self._may_begin = may_begin
        self._stop = stop
        self._stored: dict[str, str] | None = None  # by earlier attempts
        self._claimed: dict[str, object] = {}  # names that this attempt has used
        self._lost = False

    async def step(
        self, name: str, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], conn: Any
    ) -> Any:
        """Return what is stored under this name, or run the function and store what it returns."""
        _check(name, fn)
        self._may_begin()
        if self._lost or self._stop() == "lease lost":
            raise LeaseLost(f'this attempt has lost its lease on job {self._job_id}: step "{name}" was not begun')
        kind = _result_of(fn)
        found = await (self._find(name) if conn is None else self._find_through(name, conn))
        if found is not None:
            return _decoded(kind, found)
        if conn is not None:
            kwargs = _with_connection(fn, args, kwargs, conn)
        value = await self._run(name, lambda: fn(*args, **kwargs))
        return _decoded(kind, await self._store(name, _encoded(kind, name, value), conn))

    async def _find(self, name: str) -> str | None:
        mine = object()
        if self._claimed.setdefault(name, mine) is not mine:
            raise _used_twice(name)
        try:
            if self._stored is None:
                self._stored = await self._means.ask(calls.stored_steps(self._job_id, self._token), None)
        except BaseException:
            del self._claimed[name]  # nothing was begun
            raise
        return self._stored.get(name)

    async def _find_through(self, name: str, conn: Any) -> str | None:
        """Look through the handler's transaction: a name is free again when what it stored was rolled back."""
        found = (await self._means.ask(calls.stored_steps(self._job_id, self._token, name), conn)).get(name)
        if found is not None and name in self._claimed:
            raise _used_twice(name)
        self._claimed[name] = conn
        return found

    async def _run(self, name: str, code: Callable[[], Any]) -> Any:
        try:
            value = await self._means.run(name, code)
            if isinstance(value, Answer):
                raise value
        except BaseException:
            self._claimed.pop(name, None)  # nothing was stored: the handler may try again by itself
            raise
        return value

    async def _store(self, name: str, result: str, conn: Any) -> str:
        call = calls.store_step(self._job_id, self._token, name, result)
        try:
            return await (self._store_surely(call) if conn is None else self._means.ask(call, conn))
        except LeaseLost:
            self._lost = True
            raise
        except InvalidArgument as error:
            raise _unstorable(name, error) from error

    async def _store_surely(self, call: calls.Call[str]) -> str:
        for seconds in STORE_AGAIN_SECONDS:
            try:
                return await self._means.ask_to_the_end(call)
            except DatabaseUnavailable:
                if self._stop() == "lease lost":
                    raise
            await self._means.sleep(seconds)
        return await self._means.ask_to_the_end(call)


def _check(name: Any, fn: Any) -> None:
    if not isinstance(name, str):
        raise InvalidArgument(f"ctx.step: the name of a step must be a str, got {brief(name)}")
    size = len(name.encode("utf-8", "surrogatepass"))
    if not 0 < size <= NAME_BYTES or "\x00" in name or not name.isprintable():
        raise InvalidArgument(
            f"ctx.step: the name of a step must have 1 to {NAME_BYTES} printable bytes, got {brief(name)}"
        )
    if not callable(fn):
        raise InvalidArgument(
            f'step "{name}": give a function and its arguments, not what calling it returns; got {type(fn).__name__}'
        )


def _used_twice(name: str) -> InvalidArgument:
    return InvalidArgument(
        f'step "{name}" was used already in this attempt, and would return its first result again; give each step of '
        "a job a name of its own, such as one with the number of its item"
    )


def _with_connection(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], conn: Any
) -> Mapping[str, Any]:
    """Hand the connection on to a function that has a parameter `conn` and did not get it by position."""
    try:
        signature = inspect.signature(fn)
        taken = signature.bind_partial(*args, **kwargs).arguments
    except (TypeError, ValueError):  # not to be inspected, or a call that will fail and say why
        return kwargs
    return {**kwargs, "conn": conn} if "conn" in signature.parameters and "conn" not in taken else kwargs


def _result_of(fn: Callable[..., Any]) -> Converter:
    """What the function's return annotation says; without one that can be read, what JSON makes of the value."""
    try:
        return converter(typing.get_type_hints(fn, include_extras=True).get("return", Any))
    except Exception:  # noqa: BLE001 - annotations may name anything, such as imports under TYPE_CHECKING
        return converter(Any)


def _encoded(kind: Converter, name: str, value: Any) -> str:
    try:
        return codec.dumps(kind.encode(value))
    except Misfit:
        try:
            return codec.dumps(converter(type(value)).encode(value))
        except Misfit as misfit:
            where = f" {misfit.path.lstrip('.')}" if misfit.path else ""
            remedy = "return a plain value, or annotate what the function returns"
            raise _unstorable(name, f"the result{where} {misfit.what}; {remedy}") from misfit


def _decoded(kind: Converter, text: str) -> Any:
    value = codec.loads(text)
    try:
        return kind.decode(value)
    except Misfit:
        return value


def _unstorable(name: str, why: object) -> Discard:
    """The step is done, and cannot be remembered: another attempt would do it again."""
    return Discard(f'step "{name}" has run, but its result cannot be stored: {why}')
