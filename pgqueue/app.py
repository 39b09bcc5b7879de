"""The App: where tasks are registered and jobs enter the database.

It holds the registry, the settings of the database, and the verbs, each sync and async. Making one does no I/O; its
pools open when first used. With `conn=` a verb belongs to the caller's transaction, otherwise it is done at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from pgqueue import calls, jobclass
from pgqueue import dsn as _dsn
from pgqueue import schema as _schema
from pgqueue.client import Client
from pgqueue.errors import ArgumentError, ConfigError, UnknownTask
from pgqueue.events import Observers
from pgqueue.flowhandle import FlowHandle
from pgqueue.handle import Handle
from pgqueue.masking import Masking
from pgqueue.operations import Operations
from pgqueue.registry import Registry
from pgqueue.request import PendingJob
from pgqueue.telling import brief
from pgqueue.tracing import sending

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pgqueue.flow import Flow
    from pgqueue.jobclass import Job
    from pgqueue.plan import Plan, Results
    from pgqueue.request import Options
    from pgqueue.tracing import Tracer

T = TypeVar("T")


class App(Registry, Operations):
    """A set of tasks and the database where their jobs are."""

    def __init__(
        self,
        dsn: str | None = None,
        *,
        schema: str | None = None,
        pool_size: int = 4,
        pool_timeout: float = 10.0,
        max_args_bytes: int = 1_048_576,
    ) -> None:
        """Take the settings; nothing is opened.

        `dsn` defaults to PGQ_DSN, DATABASE_URL or libpq's variables, looked up at first use; `schema` to PGQ_SCHEMA or
        "pgqueue". `pool_timeout` is in seconds.
        """
        sizes: dict[str, Any] = {"pool_size": pool_size, "max_args_bytes": max_args_bytes}
        for name, value in sizes.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"App: {name} must be a whole number from 1, got {value!r}")
        if isinstance(pool_timeout, bool) or not isinstance(pool_timeout, int | float) or not 0 < pool_timeout < 1e9:
            raise ConfigError(f"App: pool_timeout must be a positive number of seconds, got {pool_timeout!r}")
        if dsn is not None and not isinstance(dsn, str):
            raise ConfigError(f"App: dsn must be a text such as postgresql://user@host/database, got {dsn!r}")
        self._explicit_dsn = dsn
        self._explicit_schema = None if schema is None else _schema.valid_schema(schema)
        super().__init__(max_args_bytes=max_args_bytes)
        self.observers = Observers()  # of the workers that run its tasks in this process
        self.tracer: Tracer | None = None  # set by pgqueue.otel, before workers start
        self.masking = Masking()  # what must not be read in the logs of its handlers
        self._client = Client(lambda: self.dsn, schema=lambda: self.schema, pool_size=pool_size, timeout=pool_timeout)

    def __repr__(self) -> str:
        return f"<App of {len(self._tasks)} tasks>"

    @property
    def dsn(self) -> str:
        """The database's address. Raises ConfigError if nothing names one."""
        return _dsn.resolve(self._explicit_dsn)

    @property
    def schema(self) -> str:
        """The schema of the queue in the database."""
        return self._explicit_schema or _schema.valid_schema(os.environ.get("PGQ_SCHEMA") or _schema.DEFAULT)

    def configure(self, *, dsn: str | None = None, schema: str | None = None) -> None:
        """Set what the command line knows better; what is None stays. Call it before the first use."""
        self._explicit_dsn = dsn if dsn is not None else self._explicit_dsn
        self._explicit_schema = _schema.valid_schema(schema) if schema is not None else self._explicit_schema

    # Enqueueing.

    def send(self, pending: PendingJob[T], *, conn: Any = None) -> Handle[T]:
        """Enqueue one prepared job."""
        with sending(self.tracer, [pending.new]) as trace:
            job_id = self._client.run(calls.enqueue(trace.mark(pending.new)), conn=conn, instead="aenqueue")
            trace.sent([job_id])
        return self._handles([pending], [job_id])[0]

    async def asend(self, pending: PendingJob[T], *, conn: Any = None) -> Handle[T]:
        """Enqueue one prepared job."""
        with sending(self.tracer, [pending.new]) as trace:
            job_id = await self._client.arun(calls.enqueue(trace.mark(pending.new)), conn=conn, instead="enqueue")
            trace.sent([job_id])
        return self._handles([pending], [job_id])[0]

    def enqueue_many(self, jobs: Iterable[PendingJob[T]], *, conn: Any = None) -> list[Handle[T]]:
        """Enqueue many prepared jobs in one round trip, all or none; handles come in the order given.

        Raises ArgumentError.
        """
        pending = self._own(jobs)
        with sending(self.tracer, [job.new for job in pending]) as trace:
            call = calls.enqueue_many([trace.mark(job.new) for job in pending])
            ids = self._client.run(call, conn=conn, instead="aenqueue_many") if pending else []
            trace.sent(ids)
        return self._handles(pending, ids)

    async def aenqueue_many(self, jobs: Iterable[PendingJob[T]], *, conn: Any = None) -> list[Handle[T]]:
        """Do as `enqueue_many` on an AsyncConnection or the App's async pool."""
        pending = self._own(jobs)
        with sending(self.tracer, [job.new for job in pending]) as trace:
            call = calls.enqueue_many([trace.mark(job.new) for job in pending])
            ids = await self._client.arun(call, conn=conn, instead="enqueue_many") if pending else []
            trace.sent(ids)
        return self._handles(pending, ids)

    def push(self, job: Job, *, conn: Any = None, **options: Unpack[Options]) -> Handle[Any]:
        """Enqueue an instance of a class under `@app.job`; options as for `Task.using`. Raises ArgumentError."""
        return self.send(self.pending(job, **options), conn=conn)

    async def apush(self, job: Job, *, conn: Any = None, **options: Unpack[Options]) -> Handle[Any]:
        """Do as `push` on an AsyncConnection or the App's async pool."""
        return await self.asend(self.pending(job, **options), conn=conn)

    def send_flow(self, flow: Flow, plan: Plan, *, read: Callable[[Results], Any], conn: Any = None) -> FlowHandle:
        """Enqueue a flow that is laid out."""
        with sending(self.tracer, plan.news) as trace:
            call = calls.enqueue_flow(flow.kind, flow.name, plan.as_json(trace.mark))
            flow_id, ids = self._client.run(call, conn=conn, instead="aenqueue")
        return self._flow_handle(plan, read, flow_id, ids)

    async def asend_flow(
        self, flow: Flow, plan: Plan, *, read: Callable[[Results], Any], conn: Any = None
    ) -> FlowHandle:
        """Enqueue a flow that is laid out."""
        with sending(self.tracer, plan.news) as trace:
            call = calls.enqueue_flow(flow.kind, flow.name, plan.as_json(trace.mark))
            flow_id, ids = await self._client.arun(call, conn=conn, instead="enqueue")
        return self._flow_handle(plan, read, flow_id, ids)

    def _flow_handle(self, plan: Plan, read: Callable[[Results], Any], flow_id: int, ids: list[int]) -> FlowHandle:
        jobs = plan.jobs
        handles = self._handles([job for _, job in jobs], [ids[place] for place, _ in jobs])

        def result(found: Mapping[int, Any]) -> Any:
            return read(
                {place: job.task.decode_result(found[ids[place]]) for place, job in jobs if ids[place] in found}
            )

        return FlowHandle(flow_id, self._client, jobs=handles, read=result)

    def pending(self, job: Job, **options: Unpack[Options]) -> PendingJob[Any]:
        """Describe an instance of a class under `@app.job` without sending it, for `enqueue_many` and for flows.

        Options as for `Task.using`. Raises ArgumentError, UnknownTask.
        """
        given: Any = job
        if isinstance(given, type):
            raise ArgumentError(f"push takes a job, not its class: write {given.__qualname__}(...)")
        found = self._classes.get(type(job))
        if found is None:
            raise UnknownTask(f"{type(job).__qualname__} is not registered with this App; put @app.job above the class")
        return found.using(**options).job(**jobclass.fields_of(job))

    def _own(self, jobs: Iterable[PendingJob[T]]) -> list[PendingJob[T]]:
        if not isinstance(jobs, Iterable):
            raise ArgumentError(f"enqueue_many takes a list of jobs, [task.job(...), ...], got {brief(jobs)}")
        pending = list(jobs)
        for place, job in enumerate(pending):
            if not isinstance(job, PendingJob):
                raise ArgumentError(f"jobs[{place}] must come from task.job(...), got {type(job).__name__}")
            if job.task.sender is not self:
                raise ArgumentError(f'jobs[{place}]: task "{job.new.task}" belongs to another App; enqueue it there')
        return pending

    def _handles(self, pending: list[PendingJob[T]], ids: list[int]) -> list[Handle[T]]:
        return [Handle(i, self._client, decode=job.task.decode_result) for i, job in zip(ids, pending, strict=True)]
