"""Limits: what `app.limit` declares, and how tasks and calls name them. I/O-free.

A task names its limits, `@app.task(limits=["stripe"])`; a call says for whom, `.using(limits={"stripe": customer_id})`.
What a call says is added to what its task says, name by name: a key without a weight keeps the task's weight, a weight
without a key keeps the task's key. A name without a key has the key "", one line for all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pgqueue.codec import dumps
from pgqueue.errors import ConfigError
from pgqueue.telling import brief

if TYPE_CHECKING:
    from pgqueue.task import Task

MOST_WEIGHT = 1_000_000
_SHORTEST = timedelta(microseconds=1)
_LONGEST = timedelta(days=366)
_FASTEST = 1_000_000  # a second; a grant counts at least a microsecond
_SLOWEST = timedelta(days=3650)  # in which a bucket is full again


@dataclass(frozen=True, slots=True)
class Weight:
    """How much of a limit a job takes, where that is not 1: `limits={"openai": Weight(1200, key=tenant)}`.

    A weight above what the limit gives at once takes all of it.
    """

    weight: int
    key: str | int | None = None


Limits = Collection[str] | Mapping[str, "str | int | Weight | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A rule as the code wants it; the database may have been told otherwise since."""

    name: str
    rate: float | None = None
    per: timedelta = timedelta(seconds=1)
    burst: int | None = None
    concurrency: int | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        if fault := _name_fault(self.name) or self._fault():
            raise ConfigError(f"limit {self.name!r}: {fault}")

    def _fault(self) -> str | None:
        rate, per = self.rate, self.per
        if rate is None and self.concurrency is None:
            return "give rate=... (with per=timedelta(...)) or concurrency=..., or both"
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1e300):
            return f"rate must be a positive number, got {brief(rate)}"
        if not isinstance(per, timedelta) or not _SHORTEST <= per <= _LONGEST:
            return f"per must be a timedelta, positive and at most {_LONGEST.days} days, got {brief(per)}"
        if self.burst is not None and rate is None:
            return "burst belongs to a rate"
        for name, value in (("burst", self.burst), ("concurrency", self.concurrency)):
            if value is not None and not _whole(value, 2**31 - 1):
                return f"{name} must be a whole number from 1, got {brief(value)}"
        return None if rate is None else _pace_fault(rate, per, self.burst or 1)

    def definition(self) -> dict[str, Any]:
        """Return it as the database takes it."""
        return {
            "name": self.name,
            "rate": self.rate,
            "per": f"{self.per // timedelta(microseconds=1)} microseconds",
            "burst": self.burst,
            "concurrency": self.concurrency,
        }


def _pace_fault(rate: float, per: timedelta, burst: int) -> str | None:
    """Say what is wrong with a rate that the database could not count with, or None."""
    if rate > _FASTEST * per.total_seconds():
        return f"rate must be at most {_FASTEST} a second, which is as good as none; got {rate!r} per {per}"
    if burst * per.total_seconds() > rate * _SLOWEST.total_seconds():
        return f"a rate of {rate!r} per {per} takes more than {_SLOWEST.days} days to grant {burst}; raise it"
    return None


class DeclaredLimits(dict[str, Limit]):
    """The limits of an App by name."""

    def add(self, made: Limit) -> None:
        """Take one more. Raises ConfigError when there is another one of its name."""
        if self.get(made.name, made) != made:
            raise ConfigError(f'limit "{made.name}": there is another rule of this name; a limit has one')
        self[made.name] = made

    def as_json(self) -> str:
        """Return the array that `declare_limits` takes."""
        return dumps([limit.definition() for limit in self.values()])

    def undeclared(self, tasks: Iterable[Task[..., ..., Any, Any]]) -> list[str]:
        """Return the limits that tasks name and nobody declares here; somebody may have told the database."""
        return sorted({name for task in tasks for name in task.limits} - self.keys())


def fault_in(limits: Any) -> str | None:
    """Say what is wrong with the limits of a task or a call, or None."""
    if isinstance(limits, Mapping):
        named: Iterable[tuple[Any, Any]] = limits.items()
    elif isinstance(limits, str | bytes) or not isinstance(limits, Collection):  # an iterator would be empty after this
        return 'must be names, ["stripe"], or names with keys, {"stripe": customer_id}'
    else:
        named = [(name, None) for name in limits]
    for name, value in named:
        fault = _name_fault(name) or _value_fault(value)
        if fault:
            return f"{brief(name)}: {fault}"
    return None


def by_name(limits: Limits) -> dict[str, Weight]:
    """Write limits, in which nothing is wrong, in one form."""
    if not isinstance(limits, Mapping):
        return {name: Weight(1) for name in limits}
    return {name: value if isinstance(value, Weight) else Weight(1, value) for name, value in limits.items()}


def merged(task: Mapping[str, Weight], call: Limits | None) -> str | None:
    """Add a call's limits to its task's, and return them as the database takes them; None when there are none."""
    found = dict(task)
    for name, given in by_name(call or ()).items():
        old = found.get(name, given)
        weighed = isinstance(call, Mapping) and isinstance(call[name], Weight)
        found[name] = Weight(given.weight if weighed else old.weight, old.key if given.key is None else given.key)
    if not found:
        return None
    return dumps({name: _as_json(value) for name, value in found.items()})


def _as_json(value: Weight) -> Any:
    key = "" if value.key is None else str(value.key)
    return key if value.weight == 1 else {"key": key, "weight": value.weight}


def _name_fault(name: Any) -> str | None:
    if not isinstance(name, str) or "\x00" in name or not 1 <= _bytes(name) <= 200:
        return "a limit's name must be a text of 1 to 200 bytes"
    return None


def _value_fault(value: Any) -> str | None:
    key = value
    if isinstance(value, Weight):
        if not _whole(value.weight, MOST_WEIGHT):
            return f"the weight must be a whole number from 1 to {MOST_WEIGHT}, got {brief(value.weight)}"
        key = value.key
    if isinstance(key, int) and not isinstance(key, bool):
        return None if key.bit_length() <= 256 else "a key that is a whole number may have 256 bits; write it as a text"
    if key is None:
        return None
    if not isinstance(key, str) or "\x00" in key:
        return f"the key must be a text or a whole number (or Weight(n, key=...)), got {brief(key)}"
    return None if _bytes(key) <= 1000 else f"a key may have 1000 bytes, got {_bytes(key)}; use a hash of it"


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass")) if not _lone(text) else 1_000_000


def _lone(text: str) -> bool:
    return any("\ud800" <= sign <= "\udfff" for sign in text)


def _whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
