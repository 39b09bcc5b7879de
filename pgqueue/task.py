"""A task: a name with code behind it, how its jobs are enqueued, and what a worker needs to run them.

Comes from `@app.task` or `@app.job`; does no I/O itself. Its parameters are compiled at first use, not at import, so
that annotations may name what is defined further down.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack

from pgqueue import limit, request
from pgqueue.annotation import converter
from pgqueue.capture import level_of
from pgqueue.codec import Misfit, dumps
from pgqueue.errors import ArgumentError, ConfigError
from pgqueue.signature import Arguments, Signature, resolve_hints
from pgqueue.telling import brief, said_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pgqueue.backoff import Backoff
    from pgqueue.convert import Converter
    from pgqueue.handle import Handle
    from pgqueue.limit import Limits, Weight
    from pgqueue.policy import FailurePolicy, Rule
    from pgqueue.request import Bound, GroupRetry, Options, PendingJob, Sender

C = ParamSpec("C")  # how the function is called
P = ParamSpec("P")  # what a job carries: the same without the context
R = TypeVar("R")  # what calling returns
T = TypeVar("T")  # what a job results in: R, or what awaiting R gives
LONGEST = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Definition:
    """What a decorator found out about the code: the callable that runs it and the parameters that a job carries."""

    fn: Callable[..., Any]
    _: KW_ONLY
    run_target: Callable[..., Any]
    parameters: tuple[inspect.Parameter, ...]
    scope: Mapping[str, Any]
    returns: Any
    is_async: bool
    wants_ctx: bool


class Task(Generic[C, P, R, T]):
    """A function whose calls can become jobs."""

    def __init__(
        self,
        definition: Definition,
        *,
        name: str,
        sender: Sender,
        failures: FailurePolicy,
        queue: str = "default",
        priority: int = 0,
        timeout: timedelta = timedelta(minutes=30),
        cpu: bool = False,
        limits: Limits = (),
        group_retry: GroupRetry = "hold",
        capture_logs: str | None = None,
        max_args_bytes: int = 1_048_576,
    ) -> None:
        self.name = name
        self.queue = queue
        self.priority = priority
        self.timeout = timeout
        self.cpu = cpu
        self.failures = failures
        self.sender = sender
        self.fn: Callable[C, R] = definition.fn
        self.run_target = definition.run_target
        self.is_async = definition.is_async
        self.wants_ctx = definition.wants_ctx
        self._definition = definition
        self._max_args_bytes = max_args_bytes
        self._check()
        self._check_gates(limits, group_retry)
        self.capture_level = None if capture_logs is None else self._level(capture_logs)
        self.limits: Mapping[str, Weight] = limit.by_name(limits)
        self.group_retry = group_retry
        functools.update_wrapper(self, definition.fn, updated=())

    def __call__(self, /, *args: C.args, **kwargs: C.kwargs) -> R:
        """Call the function itself: no job, no database."""
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f'<Task "{self.name}" queue={self.queue}>'

    def job(self, /, *args: P.args, **kwargs: P.kwargs) -> PendingJob[T]:
        """Describe a job without sending it, for `enqueue_many` and for flows. Raises ArgumentError."""
        return self._bare.job(*args, **kwargs)

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]:
        """Put a job into the database at once, through the App's own pool. Raises ArgumentError."""
        return self._bare.enqueue(*args, **kwargs)

    async def aenqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]:
        """Do as `enqueue` through the App's async pool."""
        return await self._bare.aenqueue(*args, **kwargs)

    def using(self, *, conn: Any = None, **options: Unpack[Options]) -> Bound[P, T]:
        """Return the task with options for one or more calls. Raises ArgumentError.

        With `conn` the job belongs to the caller's transaction: nothing is committed here, and no mode is changed.
        """
        return request.bound(self, options, conn=conn)

    @property
    def max_attempts(self) -> int:
        """How often a job is tried, unless its call or its exception says otherwise."""
        return self.failures.max_attempts

    @property
    def backoff(self) -> Backoff:
        """How long to wait between tries, unless the exception says otherwise."""
        return self.failures.backoff

    @property
    def policies(self) -> Mapping[type[BaseException], Rule]:
        """What some exceptions change; see `policy`."""
        return self.failures.policies

    def delay_before_retry(
        self, failures: int, error: BaseException, *, max_attempts: int | None = None
    ) -> timedelta | None:
        """Return the wait before the next try after so many failures; None if there is to be none.

        `max_attempts` is what the job itself says, if it says anything.
        """
        return self.failures.delay(failures, error, max_attempts=max_attempts)

    @functools.cached_property
    def signature(self) -> Signature:
        """The parameters that a job carries, compiled. Raises ConfigError for an annotation that is unknown."""
        parameters = self._definition.parameters
        hints = resolve_hints(self.name, parameters, self._definition.scope)
        return Signature(self.name, parameters, hints, max_bytes=self._max_args_bytes)

    @functools.cached_property
    def bind(self) -> Callable[[dict[str, Any]], Arguments]:
        """Turn a job's JSON object into (args, kwargs) for `run_target`. The callable raises ArgumentError."""
        return self.signature.bind

    def encode_result(self, value: Any) -> str:
        """Write a result as JSON text. Raises ArgumentError for what cannot be turned into it.

        The return annotation guides and does not judge: the work is done, so a value of another type is written by
        what it is.
        """
        if value is None:
            return "null"
        if inspect.iscoroutine(value):
            value.close()  # else Python warns, somewhere and some time later, that nobody awaited it
            raise ArgumentError(
                f'task "{self.name}": the result is the coroutine {value.__qualname__}, which nobody awaited, so its '
                "work was not done; await it in an async def (also in what decorates an async def)"
            )
        try:
            return dumps(self._result_converter.encode(value))
        except Misfit:
            return self._encode_as_it_is(value)
        except Exception as error:
            raise self._unwritable(error) from error

    def _encode_as_it_is(self, value: Any) -> str:
        try:
            return dumps(converter(type(value)).encode(value))
        except Misfit as misfit:
            raise ArgumentError(f'task "{self.name}": the result {misfit}') from None
        except Exception as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: Exception) -> ArgumentError:
        """A model's own code may raise anything while it is written."""
        return ArgumentError(f'task "{self.name}": writing the result raised {type(error).__name__}: {said_by(error)}')

    def decode_result(self, value: Any) -> T:
        """Turn a stored result back into what the return annotation says, or leave it as it is if it does not fit."""
        try:
            result: T = self._result_converter.decode(value)
        except Misfit:
            result = value
        return result

    @functools.cached_property
    def _result_converter(self) -> Converter:
        return converter(self._result_hint)

    @functools.cached_property
    def _result_hint(self) -> Any:
        if self._definition.returns is inspect.Parameter.empty:
            return Any
        holder = inspect.Parameter("returns", inspect.Parameter.KEYWORD_ONLY, annotation=self._definition.returns)
        try:
            return resolve_hints(self.name, [holder], self._definition.scope)["returns"]
        except ConfigError:  # an import under TYPE_CHECKING: the result is then what JSON makes of it
            return Any

    @functools.cached_property
    def _bare(self) -> Bound[P, T]:
        return request.bound(self, {})

    def _check(self) -> None:
        if fault := request.check_task(self.name):
            raise ConfigError(f"task {brief(self.name)}: the name {fault}")
        if fault := request.check_queue(self.queue):
            raise ConfigError(f'task "{self.name}": queue {fault}, got {self.queue!r}')
        if fault := request.check_priority(self.priority):
            raise ConfigError(f'task "{self.name}": priority {fault}, got {self.priority!r}')
        timeout: Any = self.timeout
        if not isinstance(timeout, timedelta) or not timedelta(0) < timeout <= LONGEST:
            raise ConfigError(
                f'task "{self.name}": timeout must be a timedelta above 0, at most 365 days, got {timeout!r}'
            )
        if self.cpu and self.is_async:
            raise ConfigError(
                f'task "{self.name}": cpu=True runs in a process of its own, which takes a plain def; '
                "drop the async or the cpu"
            )

    def _level(self, capture_logs: str) -> int:
        try:
            return level_of(capture_logs)
        except ConfigError as error:
            raise ConfigError(f'task "{self.name}": {error}') from None

    def _check_gates(self, limits: Limits, group_retry: GroupRetry) -> None:
        if fault := limit.fault_in(limits):
            raise ConfigError(f'task "{self.name}": limits {fault}')
        if fault := request.check_group_retry(group_retry):
            raise ConfigError(f'task "{self.name}": group_retry {fault}, got {group_retry!r}')


def define(fn: Callable[..., Any]) -> Definition:
    """Look at a function. Raises ConfigError if it cannot be a task."""
    fn = fn.fn if isinstance(fn, Task) else fn
    code: Any = fn
    if not callable(code) or isinstance(code, type | staticmethod | classmethod):
        raise ConfigError(f"@app.task goes above a function, got {fn!r}; for a class there is @app.job")
    code = code_of(fn)
    if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
        raise ConfigError(f'task "{code.__qualname__}": a generator has no single result; return a value')
    signature = inspect.signature(fn)
    parameters, wants_ctx = without_context(code.__qualname__, tuple(signature.parameters.values()))
    return Definition(
        fn,
        run_target=fn,
        parameters=parameters,
        scope=_scope(code),
        returns=signature.return_annotation,
        is_async=inspect.iscoroutinefunction(code),
        wants_ctx=wants_ctx,
    )


def without_context(name: str, parameters: tuple[inspect.Parameter, ...]) -> tuple[tuple[inspect.Parameter, ...], bool]:
    """Split off the context, which is the first parameter if that is named `ctx`."""
    for place, parameter in enumerate(parameters):
        if parameter.name == "ctx" and (place or parameter.kind is inspect.Parameter.KEYWORD_ONLY):
            raise ConfigError(f'task "{name}": the context must be the first positional parameter; move "ctx"')
    wants = bool(parameters) and parameters[0].name == "ctx"
    return (parameters[1:] if wants else parameters), wants


def code_of(fn: Any) -> Any:
    """Return the function where the code is: that of a partial, or of an object that can be called."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn if hasattr(fn, "__qualname__") else type(fn).__call__


def name_of(code: Any) -> str:
    """Return module.qualname. Raises ConfigError for what has no name of its own: a lambda, a partial, an object that
    can be called.
    """
    if getattr(code, "__name__", "<lambda>") == "<lambda>":
        raise ConfigError(f'@app.task: {brief(code)} has no name of its own; give it one: app.task(name="...")')
    return home_of(code)


def home_of(fn: Any) -> str:
    """Return where the code of a task is, as module.qualname; a module that is run goes by what it is imported as."""
    code = code_of(fn)
    module = code.__module__
    if module == "__main__":
        main = sys.modules.get("__main__")
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        module = spec.name if spec else Path(file).stem if file else module  # `python -m shop.tasks` has a spec
    return f"{module}.{code.__qualname__}"


def _scope(fn: Callable[..., Any]) -> Mapping[str, Any]:
    inner = inspect.unwrap(fn)
    closure = _closure(inner) if inspect.isfunction(inner) else {}
    return {**getattr(inner, "__globals__", {}), **closure}


def _closure(fn: Any) -> dict[str, Any]:
    """What a local function sees of its surroundings; a name that has no value yet, such as its own, is left out."""
    found = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):
            found[name] = cell.cell_contents
    return found
