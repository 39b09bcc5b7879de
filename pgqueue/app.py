"""The App: where tasks are registered and jobs enter the database.

It holds the registry, the settings of the database, and the verbs, each sync and async. Making one does no I/O; its
pools open when first used. With `conn=` a verb belongs to the caller's transaction, otherwise it is done at once.
"""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, Unpack, overload

from pgqueue import calls, jobclass
from pgqueue import dsn as _dsn
from pgqueue import schema as _schema
from pgqueue import task as _task
from pgqueue.client import Client
from pgqueue.errors import ArgumentError, ConfigError, UnknownTask
from pgqueue.handle import Handle
from pgqueue.operations import Operations
from pgqueue.policy import FailurePolicy
from pgqueue.request import PendingJob
from pgqueue.schedule import Declaration, Declarations
from pgqueue.task import Definition, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from datetime import timedelta
    from typing import TypedDict

    from pgqueue.backoff import Backoff
    from pgqueue.context import Context
    from pgqueue.jobclass import Job
    from pgqueue.policy import Rule
    from pgqueue.request import Options
    from pgqueue.schedule import Missed, Overlap

    class TaskOptions(TypedDict, total=False):
        """The options of a task."""

        name: str
        queue: str
        priority: int
        max_attempts: int
        backoff: Backoff
        policies: Mapping[type[BaseException], Rule]
        timeout: timedelta
        cpu: bool


P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
J = TypeVar("J", bound="Job")
S = TypeVar("S")
_FAILURE_OPTIONS = ("max_attempts", "backoff", "policies")
_OPTIONS = ("name", "queue", "priority", *_FAILURE_OPTIONS, "timeout", "cpu")


class App(Operations):
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
        self._explicit_dsn = dsn
        self._explicit_schema = None if schema is None else _schema.valid_schema(schema)
        self._max_args_bytes = max_args_bytes
        self._tasks: dict[str, Task[..., ..., Any, Any]] = {}
        self._classes: dict[type[Job], Task[..., ..., Any, Any]] = {}
        self._schedules = Declarations()
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

    @property
    def tasks(self) -> Mapping[str, Task[..., ..., Any, Any]]:
        """The tasks by name."""
        return MappingProxyType(self._tasks)

    @property
    def schedules(self) -> Declarations:
        """The schedules that the code declares, by name; workers tell the database when they start."""
        return self._schedules

    def configure(self, *, dsn: str | None = None, schema: str | None = None) -> None:
        """Set what the command line knows better; what is None stays. Call it before the first use."""
        self._explicit_dsn = dsn if dsn is not None else self._explicit_dsn
        self._explicit_schema = _schema.valid_schema(schema) if schema is not None else self._explicit_schema

    def named(self, name: str) -> Task[..., ..., Any, Any]:
        """Return the task of a name. Raises UnknownTask."""
        try:
            return self._tasks[name]
        except KeyError:
            known = ", ".join(sorted(self._tasks)) or "none"
            raise UnknownTask(f'task "{name}" is not registered; this App knows: {known}') from None

    # Registration. The overloads take the context off what a job carries and unwrap what awaiting gives.

    @overload
    def task(
        self, fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, T]], /
    ) -> Task[Concatenate[Context, P], P, Coroutine[Any, Any, T], T]: ...
    @overload
    def task(self, fn: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, P, Coroutine[Any, Any, T], T]: ...
    @overload
    def task(self, fn: Callable[Concatenate[Context, P], R], /) -> Task[Concatenate[Context, P], P, R, R]: ...
    @overload
    def task(self, fn: Callable[P, R], /) -> Task[P, P, R, R]: ...
    @overload
    def task(self, /, **options: Unpack[TaskOptions]) -> TaskDecorator: ...

    def task(self, fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Register a function as a task: `@app.task`, or `@app.task(queue="mail", ...)`.

        Without `name` it is called module.qualname. A plain def runs in a thread, with `cpu=True` in a process; an
        async def in the worker's event loop. `max_attempts`, `backoff` and `policies` say what happens to failures.
        Raises ConfigError.
        """
        if fn is None:
            return lambda code: self._register(_task.define(code), options)
        return self._register(_task.define(fn), options)

    @overload
    def job(self, cls: type[J], /) -> type[J]: ...
    @overload
    def job(self, /, **options: Unpack[TaskOptions]) -> Callable[[type[J]], type[J]]: ...

    def job(self, cls: type[J] | None = None, /, **options: Any) -> Any:
        """Register a subclass of Job as a task; options as for `task`. Raises ConfigError."""

        def register(code: type[J]) -> type[J]:
            self._classes[code] = self._register(jobclass.define(code), options)
            return code

        return register if cls is None else register(cls)

    def schedule(
        self,
        cron: str | None = None,
        /,
        *,
        every: timedelta | None = None,
        timezone: str = "UTC",
        name: str | None = None,
        args: Mapping[str, Any] | None = None,
        missed: Missed = "once",
        missed_limit: int = 100,
        overlap: Overlap = "allow",
        jitter: timedelta | None = None,
    ) -> Callable[[S], S]:
        """Enqueue a task again and again: `@app.schedule("0 2 * * *", timezone="Europe/Berlin")` above `@app.task`.

        Several may stand above one task, with names; without `name` it is the task's. `missed` says what becomes of
        ticks that nobody was there for: skip them, run once, or all of them (the last `missed_limit`). `overlap="skip"`
        leaves a tick out while the last one's job is unfinished. Raises ConfigError.
        """

        def declare(code: S) -> S:
            found: Any = self._classes.get(code) if isinstance(code, type) else code
            if not isinstance(found, Task) or self._tasks.get(found.name) is not found:
                raise ConfigError(f"@app.schedule goes above @app.task or @app.job of the same App, got {code!r}")
            self._schedules.add(
                Declaration(
                    task=found,
                    name=found.name if name is None else name,
                    cron=cron,
                    every=every,
                    timezone=timezone,
                    args=args,
                    missed=missed,
                    missed_limit=missed_limit,
                    overlap=overlap,
                    jitter=jitter,
                )
            )
            return code

        return declare

    def _register(self, definition: Definition, options: Mapping[str, Any]) -> Task[..., ..., Any, Any]:
        name = options.get("name") or _task.name_of(definition.fn)
        if unknown := sorted(options.keys() - set(_OPTIONS)):
            raise ConfigError(f'task "{name}": there is no option "{unknown[0]}"; there are {", ".join(_OPTIONS)}')
        try:
            failures = FailurePolicy(**{key: options[key] for key in _FAILURE_OPTIONS if key in options})
        except ConfigError as error:
            raise ConfigError(f'task "{name}": {error}') from None
        rest = {key: options[key] for key in ("queue", "priority", "timeout", "cpu") if key in options}
        made: Task[..., ..., Any, Any] = Task(
            definition, name=name, sender=self, failures=failures, max_args_bytes=self._max_args_bytes, **rest
        )
        taken = self._tasks.get(name)
        if taken is not None and _task.name_of(taken.fn) != _task.name_of(definition.fn):
            raise ConfigError(
                f'task "{name}": the name belongs to {_task.name_of(taken.fn)} already; give one of them name="..."'
            )
        self._tasks[name] = made
        return made

    # Enqueueing.

    def send(self, pending: PendingJob[T], *, conn: Any = None) -> Handle[T]:
        """Enqueue one prepared job."""
        return self._handles([pending], [self._client.run(calls.enqueue(pending.new), conn=conn, instead="aenqueue")])[
            0
        ]

    async def asend(self, pending: PendingJob[T], *, conn: Any = None) -> Handle[T]:
        """Enqueue one prepared job."""
        job_id = await self._client.arun(calls.enqueue(pending.new), conn=conn, instead="enqueue")
        return self._handles([pending], [job_id])[0]

    def enqueue_many(self, jobs: Iterable[PendingJob[T]], *, conn: Any = None) -> list[Handle[T]]:
        """Enqueue many prepared jobs in one round trip, all or none; handles come in the order given.

        Raises ArgumentError.
        """
        pending = self._own(jobs)
        call = calls.enqueue_many([job.new for job in pending])
        return self._handles(pending, self._client.run(call, conn=conn, instead="aenqueue_many") if pending else [])

    async def aenqueue_many(self, jobs: Iterable[PendingJob[T]], *, conn: Any = None) -> list[Handle[T]]:
        """Do as `enqueue_many` on an AsyncConnection or the App's async pool."""
        pending = self._own(jobs)
        call = calls.enqueue_many([job.new for job in pending])
        return self._handles(
            pending, await self._client.arun(call, conn=conn, instead="enqueue_many") if pending else []
        )

    def push(self, job: Job, *, conn: Any = None, **options: Unpack[Options]) -> Handle[Any]:
        """Enqueue an instance of a class under `@app.job`; options as for `Task.using`. Raises ArgumentError."""
        return self.send(self._pending(job, options), conn=conn)

    async def apush(self, job: Job, *, conn: Any = None, **options: Unpack[Options]) -> Handle[Any]:
        """Do as `push` on an AsyncConnection or the App's async pool."""
        return await self.asend(self._pending(job, options), conn=conn)

    def _own(self, jobs: Iterable[PendingJob[T]]) -> list[PendingJob[T]]:
        pending = list(jobs)
        for place, job in enumerate(pending):
            if not isinstance(job, PendingJob):
                raise ArgumentError(f"jobs[{place}] must come from task.job(...), got {type(job).__name__}")
            if job.task.sender is not self:
                raise ArgumentError(f'jobs[{place}]: task "{job.new.task}" belongs to another App; enqueue it there')
        return pending

    def _handles(self, pending: list[PendingJob[T]], ids: list[int]) -> list[Handle[T]]:
        return [Handle(i, self._client, decode=job.task.decode_result) for i, job in zip(ids, pending, strict=True)]

    def _pending(self, job: Job, options: Options) -> PendingJob[Any]:
        found = self._classes.get(type(job))
        if found is None:
            raise UnknownTask(f"{type(job).__qualname__} is not registered with this App; put @app.job above the class")
        return found.using(**options).job(**jobclass.fields_of(job))


class TaskDecorator(Protocol):
    """What `@app.task(...)` with options returns."""

    @overload
    def __call__(
        self, fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, T]], /
    ) -> Task[Concatenate[Context, P], P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Context, P], R], /) -> Task[Concatenate[Context, P], P, R, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Task[P, P, R, R]: ...
