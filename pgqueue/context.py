"""What a running handler may know and do about its own job: the `ctx` parameter.

The same object serves all kinds of handlers. `progress`, `cancelled`, `job` and `attempt` touch no connection;
`guard` and `complete` run on a connection that the handler brings, inside the handler's transaction: on an async
connection they are awaited, on a sync one they are plain calls. `step` is awaited in async handlers, and uses the App's
own pool unless it is given a connection. Every write carries the lease token, so an attempt
that lost its job changes nothing (I4).
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from pgqueue import calls
from pgqueue.errors import InvalidArgument, LeaseLost
from pgqueue.flow import lay_all
from pgqueue.handle import Handle
from pgqueue.steps import Awaiting, Plain, Steps, finished
from pgqueue.telling import brief
from pgqueue.tracing import sending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from pgqueue.client import Client
    from pgqueue.flow import Member
    from pgqueue.plan import Plan, When
    from pgqueue.tracing import Sending

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobInfo:
    """The job as its attempt sees it. Times are aware, by the database's clock."""

    id: int
    task: str
    queue: str
    args: Mapping[str, Any]
    meta: Mapping[str, Any]
    key: str | None
    priority: int
    attempt: int
    failures: int
    losses: int
    max_attempts: int
    run_at: datetime
    created_at: datetime


class _Done:
    """Nothing left to wait for; so that a call that needs no await may be awaited all the same."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


_DONE = _Done()


class Context:
    """One attempt, as its handler sees it."""

    __slots__ = (
        "_client", "_encode", "_is_async", "_job", "_read_job", "_report", "_steps", "_stop",
        "completed", "job_id", "token", "told",
    )  # fmt: skip

    def __init__(
        self,
        *,
        job_id: int,
        token: int,
        read_job: Callable[[], JobInfo],
        client: Client,
        encode: Callable[[Any], str],
        report: Callable[[float | None, str | None], None],
        stop: Callable[[], str | None],
        is_async: bool,
    ) -> None:
        self.job_id = job_id
        self.token = token
        self.completed = False
        self.told = False  # the handler has seen that it should stop
        self._read_job = read_job
        self._job: JobInfo | None = None
        self._client = client
        self._encode = encode
        self._report = report
        self._stop = stop
        self._is_async = is_async
        self._steps: Steps | None = None

    @property
    def job(self) -> JobInfo:
        """The job: id, task, queue, args, meta, key, priority, attempt, failures, losses, max_attempts, times."""
        if self._job is None:
            self._job = self._read_job()
        return self._job

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1; it never repeats for a job."""
        return self.job.attempt

    @property
    def cancelled(self) -> bool:
        """Whether the handler should stop: cancelled, out of time, shutting down, or its lease is gone.

        Async handlers and processes are stopped anyway; threads have to look, and then raise, or return None: a handler
        that has seen True here and returns nothing is taken as stopped, not as done.
        """
        self.told = self.told or self._stop() is not None
        return self.told

    @property
    def stop_reason(self) -> str | None:
        """Why: "cancelled", "timeout", "shutdown" or "lease lost"; None to go on."""
        return self._stop()

    def progress(self, fraction: float | None = None, note: str | None = None) -> Awaitable[None]:
        """Report how far the job is: a fraction from 0 to 1, a note, or both. Sent within half a second, the latest
        wins.

        Raises InvalidArgument. May be awaited or not.
        """
        if fraction is not None and not (isinstance(fraction, int | float) and 0 <= fraction <= 1):
            raise InvalidArgument(f"progress: the fraction must be a number from 0 to 1, got {brief(fraction)}")
        if note is not None:
            note = str(note).replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:1000]
        self._report(None if fraction is None else float(fraction), note)
        return _DONE

    def guard(self, conn: Any) -> Any:
        """Lock this attempt's lease until conn's transaction ends. Raises LeaseLost: then roll back.

        Awaited on an async connection. What commits in that transaction was done by the owner of the job.
        """
        return self._run(calls.guard(self.job_id, self.token), conn)

    def complete(self, conn: Any, result: Any = None) -> Any:
        """Make the job's success part of conn's transaction: effects and success commit together, or not at all.

        Awaited on an async connection. Commit before the handler returns; the handler's own return value is then
        ignored. Raises LeaseLost, and ArgumentError for a result that is not JSON.
        """
        call = calls.complete(self.job_id, self.token, None if result is None else self._encode(result))
        outcome = self._run(call, conn)
        self.completed = True
        return outcome

    @overload
    def step(
        self, name: str, fn: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, conn: Any, **kwargs: Any
    ) -> Awaitable[T]: ...
    @overload
    def step(self, name: str, fn: Callable[..., Any], /, *args: Any, conn: Any, **kwargs: Any) -> Any: ...
    @overload
    def step(
        self, name: str, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[T]: ...
    @overload
    def step(self, name: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Any: ...

    def step(self, name: str, fn: Callable[..., Any], /, *args: Any, conn: Any = None, **kwargs: Any) -> Any:
        """Run `fn(*args, **kwargs)` once for this job: its result is stored, and later attempts get it without a call.

        Awaited in async handlers. What is returned has been through JSON and back as the return annotation of `fn`
        says, at the first attempt too. With `conn` the result is stored in the handler's own transaction, and `fn` gets
        the connection if it has a parameter of that name. A name of 1 to 200 bytes serves once an attempt. An exception
        of `fn` is the handler's; nothing is stored then. Raises LeaseLost, InvalidArgument, DatabaseUnavailable, and
        Discard for a result that cannot be stored. A plain handler that was told to stop, and has not looked, is
        stopped here, before `fn` is called.
        """
        if self._steps is None:
            means = Awaiting(self._client) if self._is_async else Plain(self._client)
            self._steps = Steps(self.job_id, self.token, means=means, may_begin=self._may_begin, stop=self._stop)
        step = self._steps.step(name, fn, args, kwargs, conn)
        return step if self._is_async else finished(step)

    def parents(self, *, conn: Any = None) -> Any:
        """Return the jobs of its flow that this one waited for, with their outcomes and results: `ParentJob`s.

        In the order in which the flow names them; awaited in async handlers. Those behind a group are all there.
        Results are JSON, decoded. Empty for a job that waited for nothing.
        """
        return self._ask(calls.flow_parents(self.job_id), conn)

    def add(self, *members: Member, when: When | None = None, conn: Any = None) -> Any:
        """Add jobs or flows to this job's flow, as long as this attempt holds its lease; return the jobs' handles.

        Awaited in async handlers. Whatever waits for this job waits for the new ones too, a batch's callbacks among
        them; of a saga's step also its undo. They may start at once, or with `when="succeeded"` ("ended", "failed")
        once this job has. With `conn` they are added in the handler's own transaction; else at once, and again by the
        next attempt if this one fails after it: a key, or `conn`, keeps that from happening. Raises LeaseLost,
        ArgumentError, KeyTaken, and StateConflict for a job that belongs to no flow.
        """
        plan = lay_all(members, after=self.job_id, when=when)
        if self._is_async:
            return self._aadded(plan, conn)
        with self._adding(plan) as trace:
            call = calls.add_to_flow(self.job_id, self.token, plan.as_json(trace.mark))
            ids = self._client.run(call, conn=conn, instead="it with a psycopg Connection")
        return self._handles(plan, ids)

    async def _aadded(self, plan: Plan, conn: Any) -> list[Handle[Any]]:
        with self._adding(plan) as trace:
            call = calls.add_to_flow(self.job_id, self.token, plan.as_json(trace.mark))
            ids = await self._client.arun(call, conn=conn, instead="it with an AsyncConnection")
        return self._handles(plan, ids)

    def _adding(self, plan: Plan) -> AbstractContextManager[Sending]:
        return sending(plan.sender.tracer if plan.sender is not None else None, plan.news)

    def _handles(self, plan: Plan, ids: list[int]) -> list[Handle[Any]]:
        return [Handle(ids[place], self._client, decode=job.task.decode_result) for place, job in plan.jobs]

    def _ask(self, call: calls.Call[T], conn: Any) -> Any:
        if self._is_async:
            return self._client.arun(call, conn=conn, instead="it with an AsyncConnection")
        return self._client.run(call, conn=conn, instead="it with a psycopg Connection")

    def _may_begin(self) -> None:
        """Stop a plain handler between two steps, as an async one would have been."""
        if not self._is_async and not self.told and self._stop() not in {None, "lease lost"}:
            raise asyncio.CancelledError

    def _run(self, call: calls.Call[None], conn: Any) -> Any:
        from psycopg import AsyncConnection

        if isinstance(conn, AsyncConnection):
            return self._arun(call, conn, explained=_explained(completed=self.completed))
        with _explained(completed=self.completed):
            return self._client.run(call, conn=conn, instead="it with a psycopg connection of the handler's own")

    async def _arun(self, call: calls.Call[None], conn: Any, *, explained: AbstractContextManager[None]) -> None:
        with explained:
            await self._client.arun(call, conn=conn)


@contextmanager
def _explained(*, completed: bool) -> Iterator[None]:
    """Say what `complete` has to do with it that a lease is gone, if it was called before."""
    try:
        yield
    except LeaseLost as error:
        if not completed:
            raise
        raise LeaseLost(f"{error}; ctx.complete was called before, which ends the lease: call it last") from error
