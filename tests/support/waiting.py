"""Waits for a condition that another thread, process or session brings about: returns as soon as it holds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.01


def wait_until(predicate: Callable[[], T], timeout: float = 10.0, *, poll: float = POLL_SECONDS) -> T:
    """Return the predicate's first true value. Fails the test after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {_name(predicate)}, last {value!r}")
        time.sleep(poll)


async def wait_until_async(predicate: Callable[[], Awaitable[T] | T], timeout: float = 10.0) -> T:  # noqa: ASYNC109
    """Return the first true value of a plain or async predicate, without holding up the loop."""
    deadline = time.monotonic() + timeout
    while True:
        found = predicate()
        value = await found if isinstance(found, Awaitable) else found
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {_name(predicate)}, last {value!r}")
        await asyncio.sleep(POLL_SECONDS)


def _name(predicate: object) -> str:
    return getattr(predicate, "__qualname__", repr(predicate))
