"""One leased job in the hands of a worker, from the claim to its outcome.

I/O-free. An attempt is made from the row that the claim returned; what handlers rarely ask for is read from the row
when they do.
"""

from __future__ import annotations

import time
import traceback
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pgqueue import codec
from pgqueue.codec import storable
from pgqueue.context import JobInfo
from pgqueue.events import AttemptEnded
from pgqueue.telling import said_by

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from pgqueue.capture import Lines
    from pgqueue.task import Task
    from pgqueue.tracing import Trace

MESSAGE_LIMIT = 4_000  # characters of an error's message, and of its traceback, that history keeps
TRACEBACK_LIMIT = 16_000
TYPE_LIMIT = 500

# The columns of a job's row, in the order of the function `step`.
(
    KIND,
    ID,
    TASK,
    ARGS,
    META,
    ATTEMPT,
    FAILURES,
    LOSSES,
    MAX_ATTEMPTS,
    TIMEOUT,
    PRIORITY,
    RUN_AT,
    CREATED_AT,
    EXPIRED,
    KEY,
    GROUP,
) = range(16)


class Attempt:
    """A leased job: what the claim said, and how it stands in this process."""

    __slots__ = (
        "alone",
        "claimed_at",
        "deadline",
        "group",
        "id",
        "lines",
        "queue",
        "row",
        "started",
        "stop_reason",
        "stopper",
        "task",
        "token",
        "trace",
        "worker",
    )

    def __init__(
        self,
        row: Sequence[Any],
        task: Task[..., ..., Any, Any],
        queue: str,
        token: int,
        *,
        alone: bool = False,
        claimed_at: str | None = None,
        worker: int = 0,
    ) -> None:
        self.row = row
        self.id: int = row[ID]
        self.group: str | None = row[GROUP]
        self.task = task
        self.queue = queue
        self.token = token
        self.alone = alone
        self.claimed_at = claimed_at  # by the database's clock
        self.started = 0.0  # by the monotonic clock, like the deadline
        self.deadline = float("inf")
        self.stop_reason: str | None = None
        self.stopper: Any = None  # what runs it and can stop it
        self.worker = worker
        self.lines: Lines | None = None  # what its handler logged, as far as that is captured
        self.trace: Trace | None = None  # while it is traced

    def begin(self, now: float) -> None:
        """Start the clock."""
        timeout: timedelta = self.row[TIMEOUT] or self.task.timeout
        self.started = now
        self.deadline = now + timeout.total_seconds()

    def ended(self, outcome: str, error: str | None = None) -> AttemptEnded:
        """What observers are told of its end."""
        row = self.row
        waited = None
        if self.claimed_at is not None:
            waited = max(0.0, (datetime.fromisoformat(self.claimed_at) - _time(row[RUN_AT])).total_seconds())
        ran = time.monotonic() - self.started if self.started else None
        return AttemptEnded(self.id, self.task.name, self.queue, row[ATTEMPT], outcome, waited, ran, error)

    @property
    def capture_level(self) -> int | None:
        """From which level on its log lines are kept; None: as the worker says."""
        return self.task.capture_level

    @property
    def meta(self) -> str | None:
        """Its meta as JSON text."""
        meta: str | None = self.row[META]
        return meta

    def log_fields(self) -> dict[str, object]:
        """What log records say of it."""
        fields: dict[str, object] = {
            "job": self.id,
            "task": self.task.name,
            "queue": self.queue,
            "attempt": self.row[ATTEMPT],
            "worker": self.worker,
        }
        return fields if self.trace is None else {**fields, **self.trace.ids()}

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self.stop_reason is not None

    def arguments(self) -> dict[str, Any]:
        """The arguments as JSON values."""
        text = self.row[ARGS]
        if text == "{}":
            return {}
        value: dict[str, Any] = codec.loads(text or "{}")
        return value

    def info(self) -> JobInfo:
        """The job as its handler sees it."""
        row = self.row
        return JobInfo(
            id=self.id,
            task=self.task.name,
            queue=self.queue,
            args=self.arguments(),
            meta=codec.loads(row[META]) if row[META] else {},
            key=row[KEY],
            priority=row[PRIORITY],
            attempt=row[ATTEMPT],
            failures=row[FAILURES],
            losses=row[LOSSES],
            max_attempts=row[MAX_ATTEMPTS] or self.task.max_attempts,
            run_at=_time(row[RUN_AT]),
            created_at=_time(row[CREATED_AT]),
        )


def _time(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def describe(error: BaseException, *, skip: int = 0) -> dict[str, str]:
    """An exception as history keeps it: {type, message, traceback}, without our own `skip` outermost frames."""
    frames: TracebackType | None = error.__traceback__
    for _ in range(skip):
        if frames is not None and frames.tb_next is not None:
            frames = frames.tb_next
    kind = type(error)
    home = str(kind.__module__)  # classes made by hand have anything there
    ours = home == "builtins" or home.startswith("pgqueue.")
    return {
        "type": storable(kind.__qualname__ if ours else f"{home}.{kind.__qualname__}", TYPE_LIMIT),
        "message": storable(said_by(error), MESSAGE_LIMIT),
        "traceback": storable("".join(traceback.format_exception(kind, error, frames)), TRACEBACK_LIMIT),
    }
