"""A flow that was enqueued: its id, its jobs, how far it is, and what it comes to.

Waiting looks a few times, then waits for the end of one unfinished job, and looks again: who waits is woken, and a flow
of ten thousand jobs is looked at a few times only.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from pgqueue import calls
from pgqueue.errors import FlowFailed, JobNotFound, ResultTimeout
from pgqueue.handle import seconds_of
from pgqueue.job import FlowState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from pgqueue.client import Client
    from pgqueue.handle import Handle
    from pgqueue.job import FlowProgress

LONGEST_PAUSE_SECONDS = 2.0  # the flow may have grown meanwhile: what is waited for was not the last
SHORTEST_PAUSE_SECONDS = 0.01


class FlowHandle:
    """A flow in the database. `jobs` are the handles of its jobs, in the order in which they were written down."""

    __slots__ = ("_client", "_read", "id", "jobs")

    def __init__(
        self,
        flow_id: int,
        client: Client,
        *,
        jobs: Sequence[Handle[Any]],
        read: Callable[[Mapping[int, Any]], Any],
    ) -> None:
        """`read` makes the flow's result from those of its jobs by id."""
        self.id = flow_id
        self.jobs = list(jobs)
        self._client = client
        self._read = read

    def __repr__(self) -> str:
        return f"<FlowHandle of flow {self.id} of {len(self.jobs)} jobs>"

    def progress(self, *, conn: Any = None) -> FlowProgress:
        """Return how many jobs are where. Raises JobNotFound, also before the flow's transaction has committed."""
        return self._known(self._client.run(calls.flow_progress(self.id), conn=conn, instead="aprogress"))[0]

    async def aprogress(self, *, conn: Any = None) -> FlowProgress:
        """Return how many jobs are where. Raises JobNotFound, also before the flow's transaction has committed."""
        return self._known(await self._client.arun(calls.flow_progress(self.id), conn=conn, instead="progress"))[0]

    def state(self) -> FlowState:
        """Return the flow's state. Raises JobNotFound."""
        return self.progress().state

    async def astate(self) -> FlowState:
        """Return the flow's state. Raises JobNotFound."""
        return (await self.aprogress()).state

    def cancel(self, *, conn: Any = None) -> int:
        """Cancel what is unfinished, and tell what runs to stop; return how many jobs."""
        return self._client.run(calls.cancel_flow(self.id), conn=conn, instead="acancel")

    async def acancel(self, *, conn: Any = None) -> int:
        """Cancel what is unfinished, and tell what runs to stop; return how many jobs."""
        return await self._client.arun(calls.cancel_flow(self.id), conn=conn, instead="cancel")

    def retry(self, *, conn: Any = None) -> int:
        """Run again what failed or was cancelled, never what succeeded; return how many jobs."""
        return self._client.run(calls.retry_flow(self.id), conn=conn, instead="aretry")

    async def aretry(self, *, conn: Any = None) -> int:
        """Run again what failed or was cancelled, never what succeeded; return how many jobs."""
        return await self._client.arun(calls.retry_flow(self.id), conn=conn, instead="retry")

    def result(self, timeout: timedelta | float | None = None) -> Any:
        """Wait for the flow to end and return its result.

        That is the last member's for a chain, else a list: of the members' of a group or a batch, the nodes' of a dag,
        the steps' of a saga. A job that did not succeed and did not have to is None in it. A timeout is a timedelta or
        a number of seconds. Raises FlowFailed, ResultTimeout, JobNotFound.
        """
        end = _end(timeout)
        while True:
            progress, job = self._known(self._client.run(calls.flow_progress(self.id)))
            if progress.state is not FlowState.RUNNING:
                return self._outcome(progress.state, self._client.run(calls.flow_results(self.id)))
            seconds = self._left(end, timeout)
            if job is None:
                time.sleep(min(seconds, SHORTEST_PAUSE_SECONDS))
            else:
                self._client.waiting.wait(job, seconds)

    async def aresult(self, timeout: timedelta | float | None = None) -> Any:  # noqa: ASYNC109 - not ours to cancel
        """Do as `result` without blocking the event loop."""
        end = _end(timeout)
        while True:
            progress, job = self._known(await self._client.arun(calls.flow_progress(self.id)))
            if progress.state is not FlowState.RUNNING:
                return self._outcome(progress.state, await self._client.arun(calls.flow_results(self.id)))
            seconds = self._left(end, timeout)
            if job is None:
                await asyncio.sleep(min(seconds, SHORTEST_PAUSE_SECONDS))
            else:
                await self._client.waiting.await_(job, seconds)

    def _known(self, found: tuple[FlowProgress, int | None] | None) -> tuple[FlowProgress, int | None]:
        if found is None:
            raise JobNotFound(
                f"there is no flow {self.id}: its transaction has not committed or was rolled back, or retention "
                "dropped it"
            )
        return found

    def _outcome(self, state: FlowState, jobs: list[tuple[int, str, str, Any]]) -> Any:
        if state is not FlowState.SUCCEEDED:
            raise FlowFailed(self.id, state, _reasons(jobs))
        return self._read({job: result for job, _, outcome, result in jobs if outcome == "succeeded"})

    def _left(self, end: float, timeout: timedelta | float | None) -> float:
        left = end - time.monotonic()
        if left <= 0:
            raise ResultTimeout(
                f"flow {self.id} did not end within {seconds_of(timeout):g} s; it goes on, ask again later"
            )
        return min(left, LONGEST_PAUSE_SECONDS)


def _end(timeout: timedelta | float | None) -> float:
    seconds = seconds_of(timeout)
    return float("inf") if seconds is None else time.monotonic() + seconds


def _reasons(jobs: list[tuple[int, str, str, Any]]) -> list[tuple[int, str, str]]:
    """The dead letters, or if there is none what was cancelled."""
    ends = [(job, task, outcome) for job, task, outcome, _ in jobs if outcome in {"dead", "cancelled"}]
    return [end for end in ends if end[2] == "dead"] or ends
