"""The tree of errors, the table from SQLSTATEs, and what the messages say."""

import pickle

import pytest

import pgqueue
from pgqueue import errors
from pgqueue.errors import (
    ArgumentError,
    DatabaseUnavailable,
    InvalidArgument,
    JobCancelled,
    JobFailed,
    JobNotFound,
    MigrationsPending,
    PgQueueError,
    ResultTimeout,
    UsageError,
    from_sqlstate,
)

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_has_the_one_root_and_is_public(kind: type[Exception]) -> None:
    assert issubclass(kind, PgQueueError)
    assert getattr(pgqueue, kind.__name__) is kind


def test_the_docstring_draws_every_error() -> None:
    missing = [kind.__name__ for kind in ALL if kind.__name__ not in (errors.__doc__ or "")]

    assert missing == []


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (InvalidArgument, ValueError),
        (ArgumentError, TypeError),
        (ArgumentError, UsageError),
        (JobNotFound, LookupError),
        (ResultTimeout, TimeoutError),
    ],
)
def test_errors_are_also_what_python_calls_them(kind: type[Exception], also: type[Exception]) -> None:
    assert issubclass(kind, also)


@pytest.mark.parametrize(
    ("sqlstate", "name"),
    [
        ("PQ001", "JobNotFound"),
        ("PQ002", "KeyTaken"),
        ("PQ003", "StateConflict"),
        ("PQ007", "QueueFull"),
        ("PQ004", "InvalidArgument"),
        ("PQ005", "LeaseLost"),
        ("PQ006", "NotSupported"),
        ("42P01", "MigrationsPending"),
        ("42883", "MigrationsPending"),
        ("3F000", "MigrationsPending"),
        ("08006", "DatabaseUnavailable"),
        ("57P03", "DatabaseUnavailable"),
        ("25006", "DatabaseUnavailable"),
    ],
)
def test_sqlstates_become_errors_of_ours(sqlstate: str, name: str) -> None:
    found = from_sqlstate(sqlstate, "the server said so")

    assert type(found).__name__ == name
    assert str(found).startswith("the server said so")


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "25P02", "23505", None])
def test_what_only_the_transactions_owner_can_judge_is_left_alone(sqlstate: str | None) -> None:
    assert from_sqlstate(sqlstate, "could not serialize access") is None


def test_pending_migrations_and_an_unreachable_database_say_what_to_do() -> None:
    pending = from_sqlstate("3F000", 'schema "pgqueue" does not exist')
    down = from_sqlstate("08001", "connection refused")

    assert isinstance(pending, MigrationsPending)
    assert "run `pgq migrate`" in str(pending)
    assert isinstance(down, DatabaseUnavailable)
    assert "check the DSN" in str(down)


def test_a_failed_job_tells_its_id_its_error_and_where_to_look() -> None:
    error = JobFailed(7, {"type": "ValueError", "message": "no such user", "traceback": "..."})

    assert str(error) == "job 7 is dead: ValueError: no such user; see `pgq jobs show 7`"
    assert error.error["traceback"] == "..."
    assert "no error was recorded" in str(JobFailed(7))


def test_a_cancelled_job_tells_its_reason() -> None:
    assert str(JobCancelled(7, "expired")) == "job 7 was cancelled: expired"
    assert str(JobCancelled(7)) == "job 7 was cancelled"


@pytest.mark.parametrize(
    "error", [JobFailed(7, {"type": "E"}), JobCancelled(7, "r"), ResultTimeout("late"), JobNotFound("x")]
)
def test_errors_cross_processes(error: PgQueueError) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert str(copy) == str(error)
