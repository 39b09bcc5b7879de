"""A job that was enqueued: its id, where it stands, and what it comes to.

Waiting polls, from 5 ms slowly up to half a second, so that short jobs are seen at once and long ones cost two
queries a second. Between two looks the handle only waits on its `Waker`: by default a clock, or something that hears
of the job's end earlier.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pgqueue import calls
from pgqueue.errors import InvalidArgument, JobCancelled, JobFailed, JobNotFound, ResultTimeout
from pgqueue.job import JobStatus, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgqueue.client import Client

T = TypeVar("T")
FIRST_LOOK_SECONDS = 0.005
LAST_LOOK_SECONDS = 0.5
GROWTH = 1.5


class Waker(Protocol):
    """What a handle waits on between two looks. Returning early is allowed: it means "look again"."""

    def wait(self, job_id: int, seconds: float) -> None:
        """Return after so many seconds, or as soon as the job may have ended."""
        ...

    async def await_(self, job_id: int, seconds: float) -> None:
        """Do as `wait` without blocking the event loop."""
        ...


class Clock:
    """The waker that hears nothing."""

    def wait(self, job_id: int, seconds: float) -> None:  # noqa: ARG002
        """Sleep."""
        time.sleep(seconds)

    async def await_(self, job_id: int, seconds: float) -> None:  # noqa: ARG002
        """Sleep."""
        await asyncio.sleep(seconds)


class Handle(Generic[T]):
    """A job in the database."""

    __slots__ = ("_client", "_decode", "_waker", "id")

    def __init__(self, job_id: int, client: Client, *, decode: Callable[[Any], T], waker: Waker | None = None) -> None:
        self.id = job_id
        self._client = client
        self._decode = decode
        self._waker = waker or Clock()

    def __repr__(self) -> str:
        return f"<Handle of job {self.id}>"

    def state(self) -> State:
        """Return the job's state. Raises JobNotFound, also before its transaction has committed."""
        return self._known(self._client.run(calls.status(self.id))).state

    async def astate(self) -> State:
        """Return the job's state. Raises JobNotFound, also before its transaction has committed."""
        return self._known(await self._client.arun(calls.status(self.id))).state

    def result(self, timeout: timedelta | float | None = None) -> T:
        """Wait for the job to end and return its result.

        A timeout is a timedelta or a number of seconds; without one the wait has no end. Raises JobFailed,
        JobCancelled, ResultTimeout, JobNotFound.
        """
        for seconds in self._looks(timeout):
            status = self._known(self._client.run(calls.status(self.id)))
            if status.state not in ENDED:
                self._waker.wait(self.id, seconds)
                continue
            return self._outcome(status)
        raise self._late(timeout)

    async def aresult(self, timeout: timedelta | float | None = None) -> T:  # noqa: ASYNC109 - not ours to cancel
        """Do as `result` without blocking the event loop."""
        for seconds in self._looks(timeout):
            status = self._known(await self._client.arun(calls.status(self.id)))
            if status.state not in ENDED:
                await self._waker.await_(self.id, seconds)
                continue
            return self._outcome(status)
        raise self._late(timeout)

    def _looks(self, timeout: timedelta | float | None) -> Iterator[float]:
        """Yield, before each look, how long to wait after it; a last look comes when the time is up."""
        limit = _seconds(timeout)
        end = None if limit is None else time.monotonic() + limit
        pause = FIRST_LOOK_SECONDS
        while end is None or (left := end - time.monotonic()) > 0:
            yield pause if end is None else min(pause, left)
            pause = min(pause * GROWTH, LAST_LOOK_SECONDS)
        yield 0.0

    def _known(self, status: JobStatus | None) -> JobStatus:
        if status is None:
            raise JobNotFound(
                f"there is no job {self.id}: its transaction has not committed or was rolled back, or retention "
                "dropped it"
            )
        return status

    def _outcome(self, status: JobStatus) -> T:
        if status.state is State.SUCCEEDED:
            return self._decode(status.result)
        if status.state is State.DEAD:
            raise JobFailed(self.id, status.error)
        raise JobCancelled(self.id, (status.error or {}).get("message"))

    def _late(self, timeout: timedelta | float | None) -> ResultTimeout:
        return ResultTimeout(f"job {self.id} did not end within {_seconds(timeout):g} s; it goes on, ask again later")


ENDED = frozenset({State.SUCCEEDED, State.CANCELLED, State.DEAD})


def _seconds(timeout: timedelta | float | None) -> float | None:
    if timeout is None:
        return None
    seconds: Any = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise InvalidArgument(
            f"timeout must be a timedelta or a number of seconds that is not negative, got {timeout!r}"
        )
    return float(seconds)
