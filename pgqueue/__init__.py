"""A durable job queue in PostgreSQL: transactional enqueue, leases that fence, work that is never lost.

The public names, by what they are for:

    App, Job            register tasks, enqueue jobs
    Handle, State       follow a job
    Gate                what holds a job back: App.why
    Context             what a handler knows about its job, and may do: its `ctx` parameter
    Retry Snooze Cancel Discard
                        what a handler may return or raise instead of a result
    chain group dag batch saga
                        jobs that wait for others, enqueued as one
    FlowHandle, FlowState, FlowProgress
                        follow a flow
    Limit, Weight       what holds jobs back across all workers, and how much of it a job takes
    Exponential Fixed Steps RetryPolicy Backoff
                        how failures are retried
    ... and the errors, whose tree is in `pgqueue.errors`

Everything else is inside. Names are imported when first used: `import pgqueue` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgqueue.app import App
    from pgqueue.backoff import Backoff, Exponential, Fixed, RetryPolicy, Steps
    from pgqueue.batches import Batch, batch
    from pgqueue.context import Context
    from pgqueue.errors import (
        AppImportError,
        ArgumentError,
        ConfigError,
        DatabaseUnavailable,
        FlowFailed,
        InvalidArgument,
        JobCancelled,
        JobFailed,
        JobNotFound,
        KeyTaken,
        LeaseLost,
        MigrationsPending,
        NotSupported,
        PgQueueError,
        QueueFull,
        ResultTimeout,
        StateConflict,
        UnknownTask,
        UsageError,
        VersionTooOld,
    )
    from pgqueue.flow import Chain, Flow, Group, chain, group
    from pgqueue.flowhandle import FlowHandle
    from pgqueue.graph import Dag, Node, dag
    from pgqueue.handle import Handle
    from pgqueue.job import FlowProgress, FlowState, Gate, ParentJob, State
    from pgqueue.jobclass import Job
    from pgqueue.limit import Limit, Weight
    from pgqueue.outcome import Cancel, Discard, Retry, Snooze
    from pgqueue.request import PendingJob
    from pgqueue.sagas import Saga, saga
    from pgqueue.task import Task

# No module may have the name of something in it: once imported it would stand where `from pgqueue import` looks.
_HOMES = {
    "app": ("App",),
    "backoff": ("Backoff", "Exponential", "Fixed", "RetryPolicy", "Steps"),
    "context": ("Context",),
    "batches": ("Batch", "batch"),
    "flow": ("Chain", "Flow", "Group", "chain", "group"),
    "flowhandle": ("FlowHandle",),
    "graph": ("Dag", "Node", "dag"),
    "handle": ("Handle",),
    "job": ("FlowProgress", "FlowState", "Gate", "ParentJob", "State"),
    "jobclass": ("Job",),
    "limit": ("Limit", "Weight"),
    "outcome": ("Cancel", "Discard", "Retry", "Snooze"),
    "request": ("PendingJob",),
    "sagas": ("Saga", "saga"),
    "task": ("Task",),
}

__all__ = [
    "App",
    "AppImportError",
    "ArgumentError",
    "Backoff",
    "Batch",
    "Cancel",
    "Chain",
    "ConfigError",
    "Context",
    "Dag",
    "DatabaseUnavailable",
    "Discard",
    "Exponential",
    "Fixed",
    "Flow",
    "FlowFailed",
    "FlowHandle",
    "FlowProgress",
    "FlowState",
    "Gate",
    "Group",
    "Handle",
    "InvalidArgument",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobNotFound",
    "KeyTaken",
    "LeaseLost",
    "Limit",
    "MigrationsPending",
    "Node",
    "NotSupported",
    "ParentJob",
    "PendingJob",
    "PgQueueError",
    "QueueFull",
    "ResultTimeout",
    "Retry",
    "RetryPolicy",
    "Saga",
    "Snooze",
    "State",
    "StateConflict",
    "Steps",
    "Task",
    "UnknownTask",
    "UsageError",
    "VersionTooOld",
    "Weight",
    "batch",
    "chain",
    "dag",
    "group",
    "saga",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "errors")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
