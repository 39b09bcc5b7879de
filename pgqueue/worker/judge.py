"""Where what a handler returned or raised becomes an outcome. Comes after execute, before settle; does no I/O."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from pgqueue.errors import ArgumentError
from pgqueue.outcome import Answer, Cancel, Discard, Snooze
from pgqueue.telling import place_of, said_by
from pgqueue.worker.attempt import ARGS, EXPIRED, FAILURES, MAX_ATTEMPTS, Attempt, describe

if TYPE_CHECKING:
    from datetime import timedelta

    from pgqueue.context import Context

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where outcomes go."""

    def succeeded(self, attempt: Attempt, result: str | None = None) -> None:
        """Take a success."""
        ...

    def ended(
        self,
        attempt: Attempt,
        outcome: str,
        *,
        delay: timedelta | None = None,
        error: dict[str, str] | None = None,
        alone: bool = False,
    ) -> None:
        """Take any other outcome."""
        ...

    def verify(self, attempt: Attempt) -> None:
        """Find out whether the transaction in which a handler said `complete` has committed."""
        ...


class TimedOut(Exception):  # noqa: N818 - what history shows as the error's type
    """The handler took longer than its timeout."""


class NotCompleted(Exception):  # noqa: N818 - what history shows
    """The handler called ctx.complete and returned, but that transaction did not commit."""


def finish(sink: Sink, attempt: Attempt, value: Any, context: Context | None) -> None:
    """Judge a handler that returned."""
    if context is not None and context.completed:
        sink.verify(attempt)
    elif value is None and context is not None and context.told:
        judge(sink, attempt, asyncio.CancelledError())  # it looked, it stopped: what it did is not the whole job
    elif value is None:
        sink.succeeded(attempt)
    elif isinstance(value, Answer):
        judge(sink, attempt, value)
    else:
        try:
            result = attempt.task.encode_result(value)
        except ArgumentError as error:  # its work is done: trying again would do it twice
            sink.ended(attempt, "dead", error=describe(error))
            return
        sink.succeeded(attempt, result)


def judge(sink: Sink, attempt: Attempt, error: BaseException, *, skip: int = 0) -> None:
    """Judge a handler that raised, or answered with an Answer; `skip` of our own frames are left out of the
    traceback.

    LeaseLost is a failure like any: where the lease is gone the outcome is refused by its token, and where it is not,
    the handler is at fault (it uses the context of another job, or goes on after `complete`). Handed back without a
    try burnt, such a job would come round for ever.
    """
    if isinstance(error, Snooze):
        sink.ended(attempt, "snoozed", delay=error.for_)
    elif isinstance(error, Cancel):
        sink.ended(attempt, "cancelled", error={"type": "Cancelled", "message": error.reason or ""})
    elif isinstance(error, Discard):
        sink.ended(attempt, "dead", error={"type": "Discard", "message": error.reason or ""})
    elif attempt.stop_reason in {"shutdown", "lease lost"}:
        sink.ended(attempt, "released")
    elif attempt.stop_reason == "cancelled":
        sink.ended(attempt, "cancelled", error={"type": "Cancelled", "message": "cancelled on request"})
    else:
        if attempt.stop_reason == "timeout" and isinstance(error, asyncio.CancelledError):
            error = _timed_out(attempt, error)
        _failed(sink, attempt, error, describe(error, skip=skip))


def _timed_out(attempt: Attempt, cause: BaseException) -> TimedOut:
    seconds = attempt.deadline - attempt.started
    return TimedOut(f"the handler took longer than its timeout of {seconds:g} s").with_traceback(cause.__traceback__)


def _failed(sink: Sink, attempt: Attempt, error: BaseException, description: dict[str, str]) -> None:
    failures = attempt.row[FAILURES] + 1
    try:
        delay = attempt.task.delay_before_retry(failures, error, max_attempts=attempt.row[MAX_ATTEMPTS])
    except Exception as broken:  # noqa: BLE001 - what a policy raises is told beside what the handler raised
        said = {"task": attempt.task.name, "job": attempt.id, "error": place_of(broken)}
        log.error("the backoff of a task failed", extra=said)
        description["message"] += f" (and its backoff raised {type(broken).__name__}: {said_by(broken)})"
        delay = None
    log.info(
        "job failed",
        extra={
            **attempt.log_fields(),
            "failures": failures,
            "error": description["type"],
            "final": delay is None,
        },
    )
    if delay is None:
        sink.ended(attempt, "dead", error=description)
    else:
        sink.ended(attempt, "failed", delay=delay, error=description)


def failed_remotely(sink: Sink, attempt: Attempt, error: BaseException, description: dict[str, str]) -> None:
    """Judge a failure in another process, told by its description and an exception that policies can look at."""
    _failed(sink, attempt, error, description)


def bound(sink: Sink, attempt: Attempt) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The handler's arguments; None when there is nothing to run: expired, or arguments that do not fit the code."""
    if attempt.stop_reason == "cancelled":
        sink.ended(attempt, "cancelled", error={"type": "Cancelled", "message": "cancelled on request"})
        return None
    if attempt.row[EXPIRED]:
        sink.ended(attempt, "expired")
        return None
    if attempt.row[ARGS] is None:
        sink.ended(
            attempt,
            "dead",
            error={"type": "ArgumentsMissing", "message": "the row of its arguments is gone from job_args"},
        )
        return None
    try:
        return attempt.task.bind(attempt.arguments())
    except ArgumentError as error:
        sink.ended(attempt, "dead", error=describe(error))
    except Exception as error:  # noqa: BLE001 - a model's own validator may raise anything: it will not get better
        sink.ended(attempt, "dead", error=describe(error))
    return None
