"""What an operator, or a program in that role, does to jobs and queues: the same verbs as in SQL, sync and async.

Each takes `conn=`: the verb is then part of the caller's transaction. Otherwise it is done at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pgqueue import calls

if TYPE_CHECKING:
    from pgqueue.client import Client
    from pgqueue.job import Gate, State


class Operations:
    """The verbs of an App that are not about enqueueing, and the life of its connections."""

    _client: Client

    @property
    def client(self) -> Client:
        """What runs verbs on connections."""
        return self._client

    def cancel(self, job_id: int, *, conn: Any = None) -> State:
        """Cancel a job, or tell a running one to stop; return the state it was in. Raises JobNotFound."""
        return self._client.run(calls.cancel(job_id), conn=conn, instead="acancel")

    async def acancel(self, job_id: int, *, conn: Any = None) -> State:
        """Cancel a job, or tell a running one to stop; return the state it was in. Raises JobNotFound."""
        return await self._client.arun(calls.cancel(job_id), conn=conn, instead="cancel")

    def retry(self, job_id: int, *, conn: Any = None) -> int:
        """Make a dead, cancelled or scheduled job ready now; return its id.

        Raises JobNotFound, StateConflict, KeyTaken.
        """
        return self._client.run(calls.retry(job_id), conn=conn, instead="aretry")

    async def aretry(self, job_id: int, *, conn: Any = None) -> int:
        """Make a dead, cancelled or scheduled job ready now; return its id."""
        return await self._client.arun(calls.retry(job_id), conn=conn, instead="retry")

    def redrive(
        self, *, queue: str | None = None, task: str | None = None, limit: int | None = None, conn: Any = None
    ) -> int:
        """Make dead letters ready again; return how many. Those whose key is taken stay as they are."""
        return self._client.run(calls.redrive(queue, task, limit), conn=conn, instead="aredrive")

    async def aredrive(
        self, *, queue: str | None = None, task: str | None = None, limit: int | None = None, conn: Any = None
    ) -> int:
        """Make dead letters ready again; return how many. Those whose key is taken stay as they are."""
        return await self._client.arun(calls.redrive(queue, task, limit), conn=conn, instead="redrive")

    def cancel_flow(self, flow_id: int, *, conn: Any = None) -> int:
        """Cancel what is unfinished of a flow, and tell what runs to stop; return how many jobs. Raises JobNotFound."""
        return self._client.run(calls.cancel_flow(flow_id), conn=conn, instead="acancel_flow")

    async def acancel_flow(self, flow_id: int, *, conn: Any = None) -> int:
        """Cancel what is unfinished of a flow, and tell what runs to stop; return how many jobs. Raises JobNotFound."""
        return await self._client.arun(calls.cancel_flow(flow_id), conn=conn, instead="cancel_flow")

    def retry_flow(self, flow_id: int, *, conn: Any = None) -> int:
        """Run again what failed or was cancelled in a flow; return how many jobs.

        What succeeded is not run again, and callbacks that ran do not run again. Raises JobNotFound.
        """
        return self._client.run(calls.retry_flow(flow_id), conn=conn, instead="aretry_flow")

    async def aretry_flow(self, flow_id: int, *, conn: Any = None) -> int:
        """Run again what failed or was cancelled in a flow; return how many jobs."""
        return await self._client.arun(calls.retry_flow(flow_id), conn=conn, instead="retry_flow")

    def pause(self, queue: str, *, conn: Any = None) -> bool:
        """Stop claims from a queue; return whether that was news. Running jobs go on."""
        return self._client.run(calls.pause(queue), conn=conn, instead="apause")

    async def apause(self, queue: str, *, conn: Any = None) -> bool:
        """Stop claims from a queue; return whether that was news. Running jobs go on."""
        return await self._client.arun(calls.pause(queue), conn=conn, instead="pause")

    def resume(self, queue: str, *, conn: Any = None) -> bool:
        """Let claims from a queue go on; return whether that was news."""
        return self._client.run(calls.resume(queue), conn=conn, instead="aresume")

    async def aresume(self, queue: str, *, conn: Any = None) -> bool:
        """Let claims from a queue go on; return whether that was news."""
        return await self._client.arun(calls.resume(queue), conn=conn, instead="resume")

    def backlog(self, queue: str | None = None, *, conn: Any = None) -> int:
        """Return how many jobs are due or running, in one queue or in all."""
        return self._client.run(calls.backlog(queue), conn=conn, instead="abacklog")

    async def abacklog(self, queue: str | None = None, *, conn: Any = None) -> int:
        """Return how many jobs are due or running, in one queue or in all."""
        return await self._client.arun(calls.backlog(queue), conn=conn, instead="backlog")

    def why(self, job_id: int, *, conn: Any = None) -> list[Gate]:
        """Return what holds a job back right now, a Gate each, or that nothing does. Raises JobNotFound."""
        return self._client.run(calls.why(job_id), conn=conn, instead="awhy")

    async def awhy(self, job_id: int, *, conn: Any = None) -> list[Gate]:
        """Return what holds a job back right now, a Gate each, or that nothing does. Raises JobNotFound."""
        return await self._client.arun(calls.why(job_id), conn=conn, instead="why")

    def open(self) -> Self:
        """Open the sync pool now rather than at first use.

        In a forked child this starts afresh and leaves the parent's connections alone. Raises DatabaseUnavailable,
        ConfigError.
        """
        self._client.open()
        return self

    async def aopen(self) -> Self:
        """Open the pool of the running event loop now rather than at first use."""
        await self._client.aopen()
        return self

    def close(self) -> None:
        """Close the sync pool. A later call opens it again."""
        self._client.close()

    async def aclose(self) -> None:
        """Close the pool of the running event loop, and the sync pool."""
        await self._client.aclose()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await self.aopen()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
