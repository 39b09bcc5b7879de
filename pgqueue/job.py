"""What a job is: its states, the legal moves between them, and the values that describe one.

I/O-free. The table `TRANSITIONS` is the single statement of what may follow what; the SQL guards and the diagram in
the documentation are tested against it.

    enqueue ──> scheduled ──(due)──> ready ──claim──> running ──settle──> succeeded | cancelled | dead
       │           ^                   ^                 │
       │           └──── retry, snooze ┴── handed back ──┘
       └──> blocked: until the jobs that it waits for have ended, or its turn has come

`scheduled` and `ready` are one stored state: a job is ready when its `run_at` has passed, by the database's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a job stands."""

    SCHEDULED = "scheduled"
    BLOCKED = "blocked"
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    DEAD = "dead"

    @property
    def unfinished(self) -> bool:
        """Whether the job will run, or runs, by itself."""
        return self in UNFINISHED


UNFINISHED = frozenset({State.SCHEDULED, State.BLOCKED, State.READY, State.RUNNING})

TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.SCHEDULED: frozenset({State.READY, State.CANCELLED}),
    # A claim parks what finds its limit full, and dates what finds its rate used up.
    State.BLOCKED: frozenset({State.SCHEDULED, State.READY, State.CANCELLED, State.DEAD}),
    State.READY: frozenset({State.RUNNING, State.CANCELLED, State.BLOCKED, State.SCHEDULED}),
    State.RUNNING: frozenset(
        {State.SUCCEEDED, State.CANCELLED, State.DEAD, State.SCHEDULED, State.READY, State.BLOCKED},
    ),
    State.SUCCEEDED: frozenset(),
    State.CANCELLED: frozenset({State.READY, State.BLOCKED}),  # an operator's retry, of the job or of its flow
    # An operator's retry or redrive; cancelled when it was asked to stop before it died, and the settle could not see
    # that.
    State.DEAD: frozenset({State.READY, State.BLOCKED, State.CANCELLED}),
}


class AttemptOutcome(StrEnum):
    """What an attempt came to."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"
    SNOOZED = "snoozed"
    LOST = "lost"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A request to run a task, as it is sent to the database.

    `args`, `meta` and `limits` are JSON texts of objects. What is None means the default: queue "default", priority 0,
    due now, and for `max_attempts` and `timeout` the task's own policy, known to the worker that runs it.
    """

    task: str
    args: str = "{}"
    queue: str | None = None
    priority: int | None = None
    run_at: datetime | None = None
    delay: timedelta | None = None
    key: str | None = None
    key_policy: str = "skip"
    key_period: timedelta | None = None
    max_attempts: int | None = None
    timeout: timedelta | None = None
    expires_at: datetime | None = None
    meta: str | None = None
    group_key: str | None = None
    group_retry: str | None = None
    limits: str | None = None
    fair_key: str | None = None


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job's state with what it left behind: its result, or its last error as {type, message, traceback}."""

    id: int
    state: State
    attempt: int
    result: Any
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Gate:
    """One reason why a job does not run right now: the gate's name, and a sentence with its values and what to do."""

    gate: str
    detail: str


class FlowState(StrEnum):
    """Where a flow stands: running as long as anything in it may still happen by itself."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class FlowProgress:
    """How many jobs of a flow are where.

    `failed` counts dead letters; `skipped` what was not to run, such as an `on_failed` after success; `waiting` all
    that has not started, for whatever reason.
    """

    state: FlowState
    total: int
    succeeded: int
    failed: int
    cancelled: int
    skipped: int
    running: int
    waiting: int

    @property
    def ended(self) -> int:
        """How many jobs have ended, however."""
        return self.succeeded + self.failed + self.cancelled + self.skipped


@dataclass(frozen=True, slots=True)
class ParentJob:
    """A job that this one waited for, with its label in the flow, its outcome and its result, decoded from JSON."""

    id: int
    name: str | None
    task: str
    outcome: str
    result: Any
