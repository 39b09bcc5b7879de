"""What a handler may answer instead of a result: try again, later, never, or not at all.

Each can be returned or raised. I/O-free; the worker turns them into the settled outcomes of `job.AttemptOutcome`:

    Retry    a failed attempt that names its own wait; counts against max_attempts
    Snooze   not now: the job waits, no attempt is burnt
    Cancel   the job ends as cancelled
    Discard  the job is a dead letter at once
"""

from datetime import timedelta

from pgqueue.errors import InvalidArgument

type_error = "{}: {} must be a timedelta or a number of seconds that is not negative, got {!r}"
MAX_WAIT = timedelta(days=3650)


def _wait(verb: str, name: str, value: timedelta | float) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, timedelta | int | float):
        raise InvalidArgument(type_error.format(verb, name, value))
    wait = value if isinstance(value, timedelta) else None
    if wait is None:
        if not 0 <= value <= MAX_WAIT.total_seconds():  # type: ignore[operator]
            raise InvalidArgument(type_error.format(verb, name, value))
        wait = timedelta(seconds=float(value))  # type: ignore[arg-type]
    if not timedelta(0) <= wait <= MAX_WAIT:
        raise InvalidArgument(type_error.format(verb, name, value))
    return wait


class Answer(Exception):  # noqa: N818 - an answer, not an error
    """What a handler decides about its own job. Return it or raise it."""

    reason: str | None


class Retry(Answer):
    """Fail this attempt and try again after `after`; without it the task's backoff decides."""

    def __init__(self, after: timedelta | float | None = None, reason: str | None = None) -> None:
        self.after = None if after is None else _wait("Retry", "after", after)
        self.reason = reason
        super().__init__(reason or "the handler asked for a retry")


class Snooze(Answer):
    """Put the job back for `for_`; neither failures nor losses grow."""

    def __init__(self, for_: timedelta | float, reason: str | None = None) -> None:
        self.for_ = _wait("Snooze", "for_", for_)
        self.reason = reason
        super().__init__(reason or "the handler asked to be run later")


class Cancel(Answer):
    """End the job as cancelled."""

    def __init__(self, reason: str = "cancelled by its handler") -> None:
        self.reason = reason
        super().__init__(reason)


class Discard(Answer):
    """Make the job a dead letter at once, however many tries it has left."""

    def __init__(self, reason: str = "discarded by its handler") -> None:
        self.reason = reason
        super().__init__(reason)
