"""What a call may ask for: its options, checked before any SQL, and the job that comes of them.

I/O-free. A mistake found here costs the caller's transaction nothing; one found by the database would end it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, TypedDict, TypeVar, Unpack

from pgqueue import limit
from pgqueue.codec import Misfit, dumps
from pgqueue.errors import ArgumentError
from pgqueue.job import NewJob
from pgqueue.telling import brief

if TYPE_CHECKING:
    from pgqueue.flow import Flow
    from pgqueue.flowhandle import FlowHandle
    from pgqueue.handle import Handle
    from pgqueue.limit import Limits
    from pgqueue.plan import Plan, Results
    from pgqueue.task import Task
    from pgqueue.tracing import Tracer

KeyPolicy = Literal["skip", "replace", "raise"]
GroupRetry = Literal["hold", "pass"]
P = ParamSpec("P")
T = TypeVar("T")
LONGEST = timedelta(days=3650)
_POLICIES = ("skip", "replace", "raise")
_GROUP_RETRIES = ("hold", "pass")


class Options(TypedDict, total=False):
    """The options of one call; what is left out stays as the task has it.

    `run_at` and `expires_at` are aware datetimes; `expires_at` may be a timedelta from now. `delay` counts from the
    database's clock. `key` makes the job the only unfinished one of its (queue, key), for `key_period` also after.
    Jobs of a queue with the same `group_key` run one at a time, in the order in which they were enqueued; while one
    waits for its retry the others wait too ("hold") or go on ("pass": `group_retry`). `limits` names limits, or gives
    their keys, and adds to those of the task. `fair_key` says whose share of a fair queue the job takes.
    """

    queue: str
    priority: int
    key: str | None
    key_policy: KeyPolicy
    key_period: timedelta | None
    delay: timedelta | None
    run_at: datetime | None
    max_attempts: int | None
    timeout: timedelta | None
    expires_at: datetime | timedelta | None
    meta: Mapping[str, Any] | None
    group_key: str | None
    group_retry: GroupRetry | None
    limits: Limits | None
    fair_key: str | None


class Sender(Protocol):
    """What puts jobs into the database: the App."""

    tracer: Tracer | None

    def send(self, pending: PendingJob[T], *, conn: Any = None) -> Handle[T]:
        """Enqueue one job."""
        ...

    async def asend(self, pending: PendingJob[T], *, conn: Any = None) -> Handle[T]:
        """Enqueue one job."""
        ...

    def send_flow(self, flow: Flow, plan: Plan, *, read: Callable[[Results], Any], conn: Any = None) -> FlowHandle:
        """Enqueue a flow."""
        ...

    async def asend_flow(
        self, flow: Flow, plan: Plan, *, read: Callable[[Results], Any], conn: Any = None
    ) -> FlowHandle:
        """Enqueue a flow."""
        ...


class PendingJob(Generic[T]):
    """A job that is not in the database yet: its task and its encoded request. Treat it as immutable."""

    __slots__ = ("new", "task")

    def __init__(self, task: Task[Any, Any, Any, T], new: NewJob) -> None:
        self.task = task
        self.new = new

    def __repr__(self) -> str:
        return f"<PendingJob {self.new.task} queue={self.new.queue} key={self.new.key}>"


@dataclass(frozen=True, slots=True)
class Bound(Generic[P, T]):
    """A task with the options of a call, and perhaps a connection."""

    task: Task[Any, P, Any, T]
    options: Options
    fields: Mapping[str, Any]
    conn: Any = None

    def using(self, *, conn: Any = None, **options: Unpack[Options]) -> Bound[P, T]:
        """Return the same with more options; a later one replaces an earlier one of its name."""
        return bound(self.task, self.options | options, conn=conn if conn is not None else self.conn)

    def job(self, /, *args: P.args, **kwargs: P.kwargs) -> PendingJob[T]:
        """Describe a job without sending it, for `enqueue_many` and for flows. Raises ArgumentError."""
        task = self.task
        encoded = task.signature.encode(args, kwargs)
        return PendingJob(task, NewJob(task=task.name, args=encoded, **_timed(self.fields)))

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]:
        """Put a job into the database: in the transaction of `conn`, or else at once. Raises ArgumentError."""
        return self.task.sender.send(self.job(*args, **kwargs), conn=self.conn)

    async def aenqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]:
        """Do as `enqueue` on an AsyncConnection or the App's async pool."""
        return await self.task.sender.asend(self.job(*args, **kwargs), conn=self.conn)


def bound(task: Task[Any, P, Any, T], options: Options, *, conn: Any = None) -> Bound[P, T]:
    """Check the options and tie them to the task. Raises ArgumentError."""
    fields: dict[str, Any] = {"queue": task.queue, "priority": task.priority}
    _check(task.name, options)
    fields |= {name: value for name, value in options.items() if value is not None}
    if (meta := options.get("meta")) is not None:
        fields["meta"] = _meta(task.name, meta)
    fields["limits"] = limit.merged(task.limits, options.get("limits"))
    if options.get("group_key") is not None:
        fields.setdefault("group_retry", task.group_retry)
    return Bound(task, options, fields, conn)


def _timed(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    expires = fields.get("expires_at")
    if not isinstance(expires, timedelta):
        return fields
    return {**fields, "expires_at": datetime.now(UTC) + expires}


def _check(task: str, options: Options) -> None:
    for name, value in options.items():
        check = _CHECKS.get(name)
        if check is None:
            raise ArgumentError(f'task "{task}": there is no option "{name}"; there are {", ".join(_CHECKS)} and conn')
        if value is not None and (fault := check(value)):
            raise ArgumentError(f'task "{task}": {name} {fault}, got {brief(value)}')
    if options.get("delay") is not None and options.get("run_at") is not None:
        raise ArgumentError(f'task "{task}": delay and run_at are two answers to one question; give one of them')
    for name in ("key_policy", "key_period"):
        if options.get(name) is not None and options.get("key") is None:
            raise ArgumentError(f'task "{task}": {name} says what happens to a key, but there is no key; add key="..."')
    if options.get("group_retry") is not None and options.get("group_key") is None:
        raise ArgumentError(f'task "{task}": group_retry is about a group, but there is none; add group_key="..."')


def _name(value: Any, most: int) -> str | None:
    if not isinstance(value, str) or not value or "\x00" in value:
        return "must be a text that is not empty and has no NUL"
    if len(value.encode("utf-8", "surrogatepass")) > most:
        return f"must take at most {most} bytes"
    return None if value.isascii() or _is_utf8(value) else "has a lone surrogate, which UTF-8 cannot hold"


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole(value: Any, least: int, most: int) -> str | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    return None if fits else f"must be a whole number from {least} to {most}"


def _duration(value: Any, *, least: timedelta) -> str | None:
    if not isinstance(value, timedelta):
        return "must be a timedelta"
    if least <= value <= LONGEST:
        return None
    return f"must be {'positive' if least else 'zero or more'} and at most {LONGEST.days} days"


def _moment(value: Any) -> str | None:
    if not isinstance(value, datetime):
        return "must be a datetime with a time zone"
    if value.utcoffset() is None:
        return "must have a time zone (datetime.now(UTC), or .replace(tzinfo=ZoneInfo(...)))"
    return None


_SHORTEST = timedelta(milliseconds=1)

# Option -> what is wrong with its value, or None.
_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "queue": lambda value: _name(value, 200),
    "priority": lambda value: _whole(value, -100, 100),
    "key": lambda value: _name(value, 1000),
    "key_policy": lambda value: None if value in _POLICIES else f"must be one of {', '.join(_POLICIES)}",
    "key_period": lambda value: _duration(value, least=_SHORTEST),
    "delay": lambda value: _duration(value, least=timedelta(0)),
    "run_at": _moment,
    "max_attempts": lambda value: _whole(value, 1, 32_767),
    "timeout": lambda value: _duration(value, least=_SHORTEST),
    "expires_at": lambda v: _duration(v, least=_SHORTEST) if isinstance(v, timedelta) else _moment(v),
    "meta": lambda value: None if isinstance(value, Mapping) else "must be a mapping",
    "group_key": lambda value: _name(value, 1000),
    "group_retry": lambda value: None if value in _GROUP_RETRIES else f"must be one of {', '.join(_GROUP_RETRIES)}",
    "limits": limit.fault_in,
    "fair_key": lambda value: _name(value, 1000),
}


def check_task(value: Any) -> str | None:
    """Say what is wrong with the name of a task, or None."""
    return _name(value, 500)


def check_queue(value: Any) -> str | None:
    """Say what is wrong with the name of a queue, or None."""
    return _CHECKS["queue"](value)


def check_label(value: Any) -> str | None:
    """Say what is wrong with the name of a flow or of a job in one, or None."""
    return _name(value, 500)


def check_priority(value: Any) -> str | None:
    """Say what is wrong with a priority, or None."""
    return _CHECKS["priority"](value)


def check_group_retry(value: Any) -> str | None:
    """Say what is wrong with a group_retry, or None."""
    return _CHECKS["group_retry"](value)


def _meta(task: str, meta: Mapping[str, Any]) -> str:
    try:
        return dumps(dict(meta))
    except Misfit as misfit:
        remedy = f"; {misfit.remedy}" if misfit.remedy else ""
        raise ArgumentError(f'task "{task}": meta{misfit.path} {misfit.what}{remedy}') from None
