"""How long a job waits between a failed attempt and the next. I/O-free; randomness is passed in.

Jitter follows Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: clients that failed
together must not come back together, and a wait may only be shortened, so that the maximum stays a maximum. With
u uniform in [0, 1):

    wait(n) = min(maximum, first * factor ** (n - 1)) * (1 - jitter * u)

`jitter=1` is his "full jitter", `jitter=0.5` his "equal jitter"; the default of 0.1 keeps waits predictable and still
spreads a burst of failures over a tenth of the wait.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, runtime_checkable

from pgqueue.errors import ConfigError

Random = Callable[[], float]
LONGEST = timedelta(days=3650)


@runtime_checkable
class Backoff(Protocol):
    """Anything that can say how long to wait. Implement this for a curve of your own."""

    def delay(self, retry: int, *, random: Random = random.random) -> timedelta:
        """Return the wait before retry number `retry`, which counts from 1."""
        ...


@dataclass(frozen=True, slots=True)
class Exponential:
    """Wait `first`, then `factor` times longer each time, never longer than `maximum`."""

    first: timedelta = timedelta(seconds=1)
    factor: float = 2
    maximum: timedelta = timedelta(hours=1)
    jitter: float = 0.1
    # From this retry on the maximum holds: factor ** n is never computed for an n that could overflow.
    _last_rise: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _duration("Exponential", "first", self.first, least=timedelta(microseconds=1))
        _duration("Exponential", "maximum", self.maximum, least=self.first)
        _number("Exponential", "factor", self.factor, least=1, most=1e6)
        _number("Exponential", "jitter", self.jitter, least=0, most=1)
        rises = math.inf if self.factor == 1 else math.log(self.maximum / self.first, self.factor)
        object.__setattr__(self, "_last_rise", rises)

    def delay(self, retry: int, *, random: Random = random.random) -> timedelta:
        """Return the wait before retry number `retry`, which counts from 1."""
        rises = max(retry, 1) - 1
        if self.factor == 1:
            base = self.first
        elif rises >= self._last_rise:
            base = self.maximum
        else:
            base = min(self.maximum, self.first * self.factor**rises)
        return base * (1 - self.jitter * random())


@dataclass(frozen=True, slots=True)
class Fixed:
    """Wait the same time before every retry."""

    wait: timedelta
    jitter: float = 0.0

    def __post_init__(self) -> None:
        _duration("Fixed", "wait", self.wait)
        _number("Fixed", "jitter", self.jitter, least=0, most=1)

    def delay(self, retry: int, *, random: Random = random.random) -> timedelta:  # noqa: ARG002 - always the same
        """Return the wait before any retry."""
        return self.wait * (1 - self.jitter * random())


@dataclass(frozen=True, slots=True)
class Steps:
    """Wait as listed, one entry a retry; the last entry holds from then on."""

    waits: Sequence[timedelta]
    jitter: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "waits", tuple(self.waits))
        if not self.waits:
            raise ConfigError("Steps: waits must have at least one entry, got none")
        for place, wait in enumerate(self.waits):
            _duration("Steps", f"waits[{place}]", wait)
        _number("Steps", "jitter", self.jitter, least=0, most=1)

    def delay(self, retry: int, *, random: Random = random.random) -> timedelta:
        """Return the wait before retry number `retry`, which counts from 1."""
        step = self.waits[min(max(retry, 1), len(self.waits)) - 1]
        return step * (1 - self.jitter * random())


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How one kind of exception is retried; what is None stays as the task has it."""

    max_attempts: int | None = None
    backoff: Backoff | None = None

    def __post_init__(self) -> None:
        if self.max_attempts is not None and (type(self.max_attempts) is not int or self.max_attempts < 1):
            raise ConfigError(f"RetryPolicy: max_attempts must be a whole number from 1, got {self.max_attempts!r}")
        if self.backoff is not None and not isinstance(self.backoff, Backoff):
            raise ConfigError(f"RetryPolicy: backoff must be Exponential, Fixed or Steps, got {self.backoff!r}")


def _duration(owner: str, name: str, value: object, *, least: timedelta = timedelta(0)) -> None:
    if not isinstance(value, timedelta):
        raise ConfigError(f"{owner}: {name} must be a timedelta, got {value!r}; write timedelta(seconds=...)")
    if not least <= value <= LONGEST:
        raise ConfigError(f"{owner}: {name} must be between {least} and {LONGEST}, got {value}")


def _number(owner: str, name: str, value: object, *, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ConfigError(f"{owner}: {name} must be a number from {least:g} to {most:g}, got {value!r}")
