"""Every error that this package raises, sorted by what the caller can do about it.

    PgQueueError
     |- UsageError                     the call has to change
     |   |- ConfigError               a DSN, a schema, an option of a task or of the App
     |   |- InvalidArgument           a value that cannot be meant; also a ValueError
     |   |   '- ArgumentError         arguments that do not fit the task; also a TypeError
     |   |- UnknownTask               nothing is registered under this name
     |   '- AppImportError            MODULE:APP cannot be imported
     |- JobNotFound                    no job has this id; also a LookupError
     |- KeyTaken                       another job holds the idempotency key
     |- QueueFull                      the queue holds as many jobs as it may: try again later
     |- StateConflict                  the job is in a state that forbids it
     |- LeaseLost                      this attempt no longer owns the job: stop, write nothing
     |- NotSupported                   not in this version of the package or of the database's schema
     |   '- VersionTooOld              the schema is no longer for this version of the package: install a newer one
     |- MigrationsPending              run `pgq migrate`
     |- DatabaseUnavailable            try again later
     |- JobFailed                      Handle.result: the job is dead; `.error` says why
     |- JobCancelled                   Handle.result: the job was cancelled; `.reason` says why
     |- FlowFailed                     FlowHandle.result: not all of it succeeded; `.jobs` says which did not
     '- ResultTimeout                  Handle.result: not finished in time; also a TimeoutError

`from_sqlstate` is the one table from the database's answers to these. What is not in it (a serialization failure, a
deadlock, a transaction that has already failed) reaches the caller as the driver raised it: retrying a transaction is
the business of its owner. All of them survive pickling, so they can cross processes.
"""

# ruff: noqa: N818 - the names say what happened; "Error" after each would say nothing more

from collections.abc import Mapping, Sequence
from typing import Any


class PgQueueError(Exception):
    """The root of them all."""


class UsageError(PgQueueError):
    """The call has to change; trying it again as it is will not help."""


class ConfigError(UsageError):
    """A setting is missing or cannot work: a DSN, a schema's name, an option of a task."""


class InvalidArgument(UsageError, ValueError):
    """A value that cannot be meant."""


class ArgumentError(InvalidArgument, TypeError):
    """Arguments do not fit the task. The message names the task, the argument and the remedy."""


class UnknownTask(UsageError):
    """Nothing is registered under this name."""


class AppImportError(UsageError):
    """The module of an App cannot be imported, or holds no App under that name."""


class JobNotFound(PgQueueError, LookupError):
    """No job has this id: it never existed, its transaction has not committed, or retention dropped it."""


class KeyTaken(PgQueueError):
    """Another job holds the idempotency key."""


class QueueFull(PgQueueError):
    """The queue holds as many unfinished jobs as it may (`pgq queues set --max-depth`). Try again later."""


class StateConflict(PgQueueError):
    """The job is in a state that forbids the operation."""


class LeaseLost(PgQueueError):
    """This attempt no longer owns its job. Stop, and write nothing more in its name."""


class NotSupported(PgQueueError):
    """Not in this version of the package, or not yet in this database."""


class VersionTooOld(NotSupported):
    """The database's schema is newer than this package and says that it can no longer work on it."""


class MigrationsPending(PgQueueError):
    """The database lacks the tables or functions of this version."""


class DatabaseUnavailable(PgQueueError):
    """The database cannot be reached, is starting up or shutting down, or takes no writes."""


class JobFailed(PgQueueError):
    """The job is a dead letter. `error` holds type, message and traceback of its last failure."""

    def __init__(self, id: int, error: Mapping[str, Any] | None = None) -> None:  # noqa: A002 - the word everywhere
        super().__init__(id, error)
        self.id = id
        self.error: dict[str, Any] = dict(error or {})

    def __str__(self) -> str:
        what = ": ".join(str(self.error[part]) for part in ("type", "message") if self.error.get(part))
        return f"job {self.id} is dead: {what or 'no error was recorded'}; see `pgq jobs show {self.id}`"


class JobCancelled(PgQueueError):
    """The job was cancelled. `reason` is what was recorded, if anything."""

    def __init__(self, id: int, reason: str | None = None) -> None:  # noqa: A002
        super().__init__(id, reason)
        self.id = id
        self.reason = reason

    def __str__(self) -> str:
        return f"job {self.id} was cancelled" + (f": {self.reason}" if self.reason else "")


class FlowFailed(PgQueueError):
    """A flow has ended and did not succeed. `jobs` holds (id, task, outcome) of those that are why."""

    def __init__(self, id: int, state: str, jobs: Sequence[tuple[int, str, str]] = ()) -> None:  # noqa: A002
        super().__init__(id, state, jobs)
        self.id = id
        self.state = state
        self.jobs = [tuple(job) for job in jobs]

    def __str__(self) -> str:
        what = ", ".join(f"job {job} ({task}) is {outcome}" for job, task, outcome in self.jobs[:3])
        more = f" and {len(self.jobs) - 3} more" if len(self.jobs) > 3 else ""
        return f"flow {self.id} is {self.state}: {what}{more}; see `pgq flows show {self.id}`"


class ResultTimeout(PgQueueError, TimeoutError):
    """The job was not finished in time. It goes on; ask its handle again."""


_MIGRATE = "the schema is missing or older than this version of pgqueue; run `pgq migrate`"
_DOWN = "the database is not reachable or not ready; try again, or check the DSN and the server"
_READ_ONLY = "a standby or a read-only transaction; add target_session_attrs=read-write to the DSN"

# SQLSTATE -> (error, what to do). Class PQ is our own and speaks for itself.
_BY_SQLSTATE: Mapping[str, tuple[type[PgQueueError], str]] = {
    "PQ001": (JobNotFound, ""),
    "PQ002": (KeyTaken, ""),
    "PQ003": (StateConflict, ""),
    "PQ004": (InvalidArgument, ""),
    "PQ005": (LeaseLost, ""),
    "PQ006": (NotSupported, ""),
    "PQ007": (QueueFull, ""),
    "42P01": (MigrationsPending, _MIGRATE),  # undefined_table
    "42703": (MigrationsPending, _MIGRATE),  # undefined_column
    "42883": (MigrationsPending, _MIGRATE),  # undefined_function
    "3F000": (MigrationsPending, _MIGRATE),  # invalid_schema_name
    "53300": (DatabaseUnavailable, "the server has no connection left; lower pool_size or raise max_connections"),
    "57P01": (DatabaseUnavailable, _DOWN),  # admin_shutdown
    "57P02": (DatabaseUnavailable, _DOWN),  # crash_shutdown
    "57P03": (DatabaseUnavailable, _DOWN),  # cannot_connect_now
    "25006": (DatabaseUnavailable, _READ_ONLY),  # read_only_sql_transaction
}


def from_sqlstate(sqlstate: str | None, message: str) -> PgQueueError | None:
    """Translate an error of one of our own statements; None if it is the driver's to tell.

    A connection that breaks has no SQLSTATE: the caller, who knows the driver's classes, passes "08006" for it.
    """
    if sqlstate is None:
        return None
    if sqlstate.startswith("08"):  # connection_exception
        return DatabaseUnavailable(f"{message}: {_DOWN}")
    found = _BY_SQLSTATE.get(sqlstate)
    if found is None:
        return None
    kind, remedy = found
    return kind(f"{message}: {remedy}" if remedy else message)
