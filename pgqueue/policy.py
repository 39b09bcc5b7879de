"""What a task does about failed attempts: how often, how long between, and which exceptions are different. I/O-free.

Policies are looked up along the exception's class hierarchy, the most specific class first, whatever the order in the
mapping: with `{OSError: Discard, ConnectionError: Exponential()}` a ConnectionResetError is retried. A class says

    Discard         dead at once, however many tries are left
    a backoff       other waits, the task's max_attempts
    RetryPolicy     other waits, another max_attempts, or both

`{Timeout: Exponential(), Exception: Discard}` retries timeouts and nothing else. A `max_attempts` given by the call
that enqueued the job wins over all of them.
"""

import random as _random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from pgqueue.backoff import Backoff, Exponential, Random, RetryPolicy
from pgqueue.errors import ConfigError
from pgqueue.outcome import Discard, Retry
from pgqueue.telling import brief

Rule = type[Discard] | Backoff | RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class FailurePolicy:
    """The tries of a task and what exceptions change about them."""

    max_attempts: int = 4
    backoff: Backoff = field(default_factory=Exponential)
    policies: Mapping[type[BaseException], Rule] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        RetryPolicy(max_attempts=self.max_attempts, backoff=self.backoff)
        if self.max_attempts is None:
            raise ConfigError("max_attempts must be a whole number from 1, got None")
        if not isinstance(self.policies, Mapping):
            raise ConfigError(f"policies must be a dict such as {{ValueError: Discard}}, got {brief(self.policies)}")
        for kind, rule in self.policies.items():
            _check(kind, rule)
        object.__setattr__(self, "policies", MappingProxyType(dict(self.policies)))

    def delay(
        self, failures: int, error: BaseException, *, max_attempts: int | None = None, random: Random = _random.random
    ) -> timedelta | None:
        """Return the wait before the next try after so many failures, or None when there is to be none."""
        rule = self._rule(type(error))
        if rule is Discard:
            return None
        backoff, limit = self.backoff, self.max_attempts
        if isinstance(rule, RetryPolicy):
            backoff = rule.backoff or backoff
            limit = rule.max_attempts or limit
        elif isinstance(rule, Backoff):
            backoff = rule
        if failures >= (max_attempts or limit):
            return None
        if isinstance(error, Retry) and error.after is not None:
            return error.after
        wait = backoff.delay(failures, random=random)
        if not isinstance(wait, timedelta):
            raise ConfigError(f"{type(backoff).__name__}.delay must return a timedelta, got {brief(wait)}")
        return max(wait, timedelta(0))

    def _rule(self, kind: type[BaseException]) -> Rule | None:
        if not self.policies:
            return None
        return next((self.policies[base] for base in kind.__mro__ if base in self.policies), None)


def _check(kind: object, rule: object) -> None:
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        raise ConfigError(f"policies: keys must be exception classes, got {kind!r}")
    if rule is not Discard and not isinstance(rule, RetryPolicy | Backoff):
        raise ConfigError(
            f"policies: {kind.__name__} must map to Discard, a backoff or a RetryPolicy, got {rule!r}; "
            "write e.g. {ValueError: Discard, ConnectionError: Exponential(maximum=timedelta(minutes=5))}"
        )
