"""The registry of an App: the tasks, and what the code declares about schedules and limits. Does no I/O.

Workers read it to know what they can run, and tell the database what is declared when they start.
"""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from pgqueue import jobclass
from pgqueue import task as _task
from pgqueue.errors import ConfigError, UnknownTask
from pgqueue.limit import DeclaredLimits, Limit
from pgqueue.policy import FailurePolicy
from pgqueue.schedule import Declaration, Declarations
from pgqueue.task import Definition, Task
from pgqueue.telling import SHOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import TypedDict

    from pgqueue.backoff import Backoff
    from pgqueue.context import Context
    from pgqueue.jobclass import Job
    from pgqueue.limit import Limits
    from pgqueue.policy import Rule
    from pgqueue.request import GroupRetry, Sender
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
        limits: Limits
        group_retry: GroupRetry
        capture_logs: str


P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
J = TypeVar("J", bound="Job")
S = TypeVar("S")
_FAILURE_OPTIONS = ("max_attempts", "backoff", "policies")
_TASK_OPTIONS = ("queue", "priority", "timeout", "cpu", "limits", "group_retry", "capture_logs")
_OPTIONS = ("name", *_TASK_OPTIONS, *_FAILURE_OPTIONS)


class Registry:
    """What an App knows of its tasks."""

    def __init__(self, *, max_args_bytes: int) -> None:
        self._max_args_bytes = max_args_bytes
        self._tasks: dict[str, Task[..., ..., Any, Any]] = {}
        self._classes: dict[type[Job], Task[..., ..., Any, Any]] = {}
        self._schedules = Declarations()
        self._limits = DeclaredLimits()

    @property
    def tasks(self) -> Mapping[str, Task[..., ..., Any, Any]]:
        """The tasks by name."""
        return MappingProxyType(self._tasks)

    @property
    def schedules(self) -> Declarations:
        """The schedules that the code declares, by name; workers tell the database when they start."""
        return self._schedules

    @property
    def limits(self) -> DeclaredLimits:
        """The limits that the code declares, by name; workers tell the database when they start."""
        return self._limits

    def named(self, name: str) -> Task[..., ..., Any, Any]:
        """Return the task of a name. Raises UnknownTask."""
        try:
            return self._tasks[name]
        except KeyError:
            known = ", ".join(sorted(self._tasks)) or "none"
            raise UnknownTask(f'task "{name[:SHOWN]}" is not registered; this App knows: {known}') from None

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
        `capture_logs` is the level from which on what it logs is kept with its attempts ("off": nothing).
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

        if cron is not None and not isinstance(cron, str):
            raise ConfigError(f'@app.schedule takes "0 2 * * *" or every=timedelta(...), got {cron!r}')

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

    def limit(
        self,
        name: str,
        *,
        rate: float | None = None,
        per: timedelta = timedelta(seconds=1),
        burst: int | None = None,
        concurrency: int | None = None,
    ) -> Limit:
        """Declare a limit, for each key by itself, held across all workers: `app.limit("gpu", concurrency=4)`.

        `rate` starts per `per`, at most `burst` of them at once (a tenth of a second's unless given); `concurrency`
        jobs that run at the same time. A worker tells the database when it starts. What an operator sets there stays
        until this declaration itself changes. Raises ConfigError.
        """
        made = Limit(name=name, rate=rate, per=per, burst=burst, concurrency=concurrency)
        self._limits.add(made)
        return made

    def _register(self, definition: Definition, options: Mapping[str, Any]) -> Task[..., ..., Any, Any]:
        name = options.get("name")
        name = _task.name_of(definition.fn) if name is None else name
        if unknown := sorted(options.keys() - set(_OPTIONS)):
            raise ConfigError(f'task "{name}": there is no option "{unknown[0]}"; there are {", ".join(_OPTIONS)}')
        try:
            failures = FailurePolicy(**{key: options[key] for key in _FAILURE_OPTIONS if key in options})
        except ConfigError as error:
            raise ConfigError(f'task "{name}": {error}') from None
        rest = {key: options[key] for key in _TASK_OPTIONS if key in options}
        sender = cast("Sender", self)  # the App, which is a Registry
        made: Task[..., ..., Any, Any] = Task(
            definition, name=name, sender=sender, failures=failures, max_args_bytes=self._max_args_bytes, **rest
        )
        taken = self._tasks.get(name)
        if taken is not None and _task.home_of(taken.fn) != _task.home_of(definition.fn):
            raise ConfigError(
                f'task "{name}": the name belongs to {_task.home_of(taken.fn)} already; give one of them name="..."'
            )
        self._tasks[name] = made
        return made


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
