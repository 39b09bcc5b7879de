"""Waits between attempts, and which exceptions change them."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqueue import ConfigError, Discard, Exponential, Fixed, Retry, RetryPolicy, Steps
from pgqueue.policy import FailurePolicy

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def never() -> float:
    return 0.0


def almost_one() -> float:
    return 0.999999


@pytest.mark.parametrize(
    ("retry", "seconds"), [(1, 1), (2, 2), (3, 4), (12, 2048), (13, 3600), (10**6, 3600), (10**30, 3600)]
)
def test_exponential_waits_double_up_to_an_hour(retry: int, seconds: int) -> None:
    assert Exponential().delay(retry, random=never) == timedelta(seconds=seconds)


@given(
    first=st.timedeltas(timedelta(microseconds=1), timedelta(days=1)),
    factor=st.floats(1, 1e6),
    jitter=st.floats(0, 1),
    retry=st.integers(1, 10**6),
    luck=st.floats(0, 1, exclude_max=True),
)
def test_no_wait_overflows_or_leaves_its_bounds(
    first: timedelta, factor: float, jitter: float, retry: int, luck: float
) -> None:
    most = max(first, HOUR)

    wait = Exponential(first, factor, most, jitter).delay(retry, random=lambda: luck)

    assert timedelta(0) <= wait <= most
    assert wait >= first * (1 - jitter) * 0.999 - timedelta(microseconds=1)


@given(retry=st.integers(1, 100))
def test_waits_never_shrink_from_one_retry_to_the_next(retry: int) -> None:
    backoff = Exponential(factor=1.7)

    assert backoff.delay(retry, random=never) <= backoff.delay(retry + 1, random=never)


def test_jitter_only_shortens() -> None:
    backoff = Exponential(jitter=0.25)

    assert backoff.delay(3, random=never) == 4 * SECOND
    assert timedelta(seconds=3) <= backoff.delay(3, random=almost_one) < timedelta(seconds=3.001)


def test_fixed_and_steps_wait_as_they_say() -> None:
    steps = Steps([SECOND, 5 * SECOND])

    assert [Fixed(SECOND).delay(n) for n in (1, 9)] == [SECOND, SECOND]
    assert [steps.delay(n) for n in (1, 2, 3, 10**9)] == [SECOND, 5 * SECOND, 5 * SECOND, 5 * SECOND]
    assert Steps([10 * SECOND], jitter=0.5).delay(1, random=lambda: 0.5) == 7.5 * SECOND


class Seconds:
    """What somebody wrote who did not look at the types."""

    def delay(self, retry: int, *, random: Any) -> Any:
        return 5


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Exponential(first=1), "Exponential: first must be a timedelta, got 1; write timedelta(seconds=...)"),
        (lambda: Exponential(first=timedelta(0)), "Exponential: first must be between 0:00:00.000001"),
        (lambda: Exponential(maximum=timedelta(milliseconds=1)), "Exponential: maximum must be between 0:00:01"),
        (lambda: Exponential(factor=0.5), "Exponential: factor must be a number from 1 to 1e+06, got 0.5"),
        (lambda: Exponential(factor=float("nan")), "got nan"),
        (lambda: Exponential(jitter=1.1), "Exponential: jitter must be a number from 0 to 1, got 1.1"),
        (lambda: Exponential(jitter=True), "got True"),
        (lambda: Fixed(-SECOND), "Fixed: wait must be between 0:00:00"),
        (lambda: Steps([]), "Steps: waits must have at least one entry"),
        (lambda: Steps([SECOND, 3]), "Steps: waits[1] must be a timedelta, got 3"),
        (lambda: RetryPolicy(max_attempts=0), "RetryPolicy: max_attempts must be a whole number from 1, got 0"),
        (lambda: RetryPolicy(backoff=3), "RetryPolicy: backoff must be Exponential, Fixed or Steps, got 3"),
        (lambda: FailurePolicy(backoff=Seconds()).delay(1, OSError()), "Seconds.delay must return a timedelta, got 5"),
        (lambda: FailurePolicy(policies={"x": Discard}), "policies: keys must be exception classes, got 'x'"),
        (lambda: FailurePolicy(policies={ValueError: None}), "policies: ValueError must map to Discard, a backoff"),
    ],
)
def test_mistakes_name_the_option_the_value_and_the_bounds(make: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()

    assert said in str(caught.value)


class FlakyError(ConnectionError):
    pass


POLICY = FailurePolicy(
    max_attempts=3,
    backoff=Fixed(SECOND),
    policies={
        OSError: Discard,
        ConnectionError: RetryPolicy(max_attempts=5, backoff=Fixed(2 * SECOND)),
        TimeoutError: Fixed(9 * SECOND),
        KeyError: RetryPolicy(max_attempts=1),
    },
)


@pytest.mark.parametrize(
    ("failures", "error", "seconds"),
    [
        (1, RuntimeError(), 1),
        (2, RuntimeError(), 1),
        (3, RuntimeError(), None),
        (1, OSError(), None),
        (1, FileNotFoundError(), None),
        (4, ConnectionError(), 2),
        (4, FlakyError(), 2),
        (5, FlakyError(), None),
        (1, TimeoutError(), 9),
        (3, TimeoutError(), None),
        (1, KeyError(), None),
    ],
)
def test_the_most_specific_class_decides(failures: int, error: Exception, seconds: int | None) -> None:
    wait = POLICY.delay(failures, error)

    assert wait == (None if seconds is None else timedelta(seconds=seconds))


def test_what_the_call_said_wins_over_every_policy() -> None:
    assert POLICY.delay(2, FlakyError(), max_attempts=2) is None
    assert POLICY.delay(7, RuntimeError(), max_attempts=9) == SECOND
    assert POLICY.delay(1, OSError(), max_attempts=9) is None


def test_retry_brings_its_own_wait_and_still_counts() -> None:
    assert POLICY.delay(1, Retry(after=42)) == timedelta(seconds=42)
    assert POLICY.delay(1, Retry()) == SECOND
    assert POLICY.delay(3, Retry(after=42)) is None


def test_randomness_is_passed_through() -> None:
    policy = FailurePolicy(backoff=Exponential(jitter=1))

    assert policy.delay(1, ValueError(), random=lambda: 0.5) == SECOND / 2
