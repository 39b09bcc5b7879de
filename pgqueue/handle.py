"""A job that was enqueued: its id, where it stands, and what it comes to.

Waiting looks a few times, so that short jobs are seen at once. Then it waits in the client's `Waiting`, which hears of
the job's end.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pgqueue import calls
from pgqueue.errors import InvalidArgument, JobCancelled, JobFailed, JobNotFound, ResultTimeout
from pgqueue.job import State
from pgqueue.telling import brief

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgqueue.client import Client
    from pgqueue.job import JobStatus

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.005  # doubled with each look
QUICK_SECONDS = 0.03  # so long each looks for itself


class Handle(Generic[T]):
    """A job in the database."""

    __slots__ = ("_client", "_decode", "id")

    def __init__(self, job_id: int, client: Client, *, decode: Callable[[Any], T]) -> None:
        self.id = job_id
        self._client = client
        self._decode = decode

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
            if status.state.unfinished:
                status = self._client.waiting.wait(self.id, seconds) or status
            if not status.state.unfinished:
                return self._outcome(status)
        raise self._late(timeout)

    async def aresult(self, timeout: timedelta | float | None = None) -> T:  # noqa: ASYNC109 - not ours to cancel
        """Do as `result` without blocking the event loop."""
        for seconds in self._looks(timeout):
            status = self._known(await self._client.arun(calls.status(self.id)))
            if status.state.unfinished:
                status = await self._client.waiting.await_(self.id, seconds) or status
            if not status.state.unfinished:
                return self._outcome(status)
        raise self._late(timeout)

    def _looks(self, timeout: timedelta | float | None) -> Iterator[float | None]:
        """Yield, before each look, how long to wait after it at most; a last look comes when the time is up."""
        limit = seconds_of(timeout)
        began = time.monotonic()
        end = float("inf") if limit is None else began + limit
        while (left := end - time.monotonic()) > 0:
            waited = time.monotonic() - began
            if waited < QUICK_SECONDS:
                yield min(max(waited, FIRST_PAUSE_SECONDS), left)
            else:
                yield None if limit is None else left
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
        return ResultTimeout(f"job {self.id} did not end within {seconds_of(timeout):g} s; it goes on, ask again later")


def seconds_of(timeout: timedelta | float | None) -> float | None:
    """Read a timeout. Raises InvalidArgument."""
    if timeout is None:
        return None
    seconds: Any = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise InvalidArgument(
            f"timeout must be a timedelta or a number of seconds that is not negative, got {brief(timeout)}"
        )
    return float(seconds)
