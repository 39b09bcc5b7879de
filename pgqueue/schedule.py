"""What `@app.schedule` declares: when jobs of a task are enqueued, and with what. I/O-free.

A declaration is checked where it is written. Its arguments are encoded when a worker declares it in the database: only
then all the types that the task's signature names are sure to be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pgqueue import cron as _cron
from pgqueue import request
from pgqueue.codec import dumps, loads
from pgqueue.errors import ArgumentError, ConfigError, InvalidArgument
from pgqueue.telling import brief

if TYPE_CHECKING:
    from pgqueue.task import Task

Missed = Literal["skip", "once", "all"]
Overlap = Literal["allow", "skip"]
_MISSED = ("skip", "once", "all")
_OVERLAP = ("allow", "skip")
_SHORTEST = timedelta(milliseconds=1)
_LONGEST = timedelta(days=3650)
_LONGEST_JITTER = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One schedule of a task, as the code wants it."""

    task: Task[..., ..., Any, Any]
    name: str
    cron: str | None = None
    every: timedelta | None = None
    timezone: str = "UTC"
    args: Mapping[str, Any] | None = None
    missed: Missed = "once"
    missed_limit: int = 100
    overlap: Overlap = "allow"
    jitter: timedelta | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        if fault := self._fault():
            raise ConfigError(f'schedule "{self.name}": {fault}')

    def _fault(self) -> str | None:
        if fault := request.check_queue(self.name):
            return f"name {fault}, got {brief(self.name)}"
        if self.args is not None and not _are_arguments(self.args):
            return f'args must be a mapping of the task\'s parameters, such as {{"user_id": 7}}, got {brief(self.args)}'
        if self.missed not in _MISSED or self.overlap not in _OVERLAP:
            return f"missed is one of {', '.join(_MISSED)}, overlap one of {', '.join(_OVERLAP)}"
        limit: Any = self.missed_limit
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= 10_000:
            return f"missed_limit must be a whole number from 1 to 10000, got {brief(limit)}"
        return self._fault_in_time()

    def _fault_in_time(self) -> str | None:
        if (self.cron is None) == (self.every is None):
            return 'give a cron expression such as "0 2 * * *", or every=timedelta(...): one of them'
        timezone: Any = self.timezone
        if not isinstance(timezone, str):
            return f'timezone must be a name such as "Europe/Berlin", got {brief(timezone)}'
        if self.every is not None and self.timezone != "UTC":
            return "timezone belongs to a cron expression; every= counts in even distances"
        for option, value, longest in (("every", self.every, _LONGEST), ("jitter", self.jitter, _LONGEST_JITTER)):
            given: Any = value
            if given is not None and not (isinstance(given, timedelta) and _SHORTEST <= given <= longest):
                return f"{option} must be a timedelta, positive and at most {longest.days} days, got {brief(given)}"
        try:
            _cron.timing(self.cron, self.every, self.timezone)
        except InvalidArgument as error:
            return str(error)
        return None

    def definition(self) -> dict[str, Any]:
        """Return what the database takes, with what a job of the task has. Raises ConfigError if `args` do not fit."""
        try:
            new = self.task.job(**(self.args or {})).new
        except ArgumentError as error:
            raise ConfigError(f'schedule "{self.name}": {error}; give them with args={{...}}') from None
        return {
            "name": self.name,
            "task": self.task.name,
            "cron": self.cron,
            "every": _interval(self.every),
            "timezone": self.timezone,
            "args": loads(new.args),
            "queue": new.queue,
            "priority": new.priority,
            "limits": None if new.limits is None else loads(new.limits),
            "missed": self.missed,
            "missed_limit": self.missed_limit,
            "overlap": self.overlap,
            "jitter": _interval(self.jitter),
        }


class Declarations(dict[str, Declaration]):
    """The schedules of an App by name."""

    def add(self, made: Declaration) -> None:
        """Take one more. Raises ConfigError when the name is taken by another of them."""
        taken = self.get(made.name)
        if taken is not None and taken != made and (taken.task is made.task or taken.task.name != made.task.name):
            raise ConfigError(f'schedule "{made.name}": there is another one of this name; give one of them name="..."')
        self[made.name] = made

    def as_json(self) -> str:
        """Return the array that `declare_schedules` takes. Raises ConfigError."""
        return dumps([declaration.definition() for declaration in self.values()])


def _are_arguments(given: Any) -> bool:
    return isinstance(given, Mapping) and all(isinstance(name, str) for name in given)


def _interval(value: timedelta | None) -> str | None:
    """Write a duration as PostgreSQL reads it, exactly."""
    return None if value is None else f"{value // timedelta(microseconds=1)} microseconds"
