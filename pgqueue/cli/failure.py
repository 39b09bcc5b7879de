"""What a failed command says, and its exit status: one line on stderr, a traceback only with --debug.

0 done                              3 the app cannot be imported
1 a check failed, an unknown job    4 the database cannot be reached
2 usage                             5 migrations are pending, or this version is too old
"""

import os
import sys
import traceback

from pgqueue.errors import (
    AppImportError,
    DatabaseUnavailable,
    MigrationsPending,
    PgQueueError,
    UsageError,
    VersionTooOld,
)

DONE, FAILED, USAGE, IMPORT, UNREACHABLE, PENDING = range(6)
INTERRUPTED = 130

_STATUS: tuple[tuple[type[BaseException], int], ...] = (
    (AppImportError, IMPORT),
    (UsageError, USAGE),
    (DatabaseUnavailable, UNREACHABLE),
    (MigrationsPending, PENDING),
    (VersionTooOld, PENDING),
)


class Failed(PgQueueError):  # noqa: N818 - says what happened, as the others do
    """The command was understood and could not be done: exit status 1."""


def say(message: str) -> None:
    """Write one line to stderr, whatever the message holds."""
    line = " ".join(part.strip() for part in message.splitlines() if part.strip())
    print(f"pgq: {''.join(c if c.isprintable() else repr(c)[1:-1] for c in line)}", file=sys.stderr)  # noqa: T201


def report(error: BaseException, *, debug: bool = False) -> int:
    """Say what went wrong and return the exit status."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return reader_is_gone()
    if debug:
        traceback.print_exception(error)
    status, message = describe(error)
    say(message)
    return status


def describe(error: BaseException) -> tuple[int, str]:
    """Return the exit status and the line of an error."""
    error = ours(error)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), FAILED)
    if isinstance(error, PgQueueError):
        return status, str(error)
    if type(error).__module__.partition(".")[0] == "psycopg":
        return status, str((getattr(error, "diag", None) and error.diag.message_primary) or error).strip()  # type: ignore[attr-defined]
    return status, f"{type(error).__name__}: {error} (an error in pgqueue itself? --debug shows where)"


def reader_is_gone() -> int:
    """End quietly after `| head`: whoever reads us has what it wanted. Nothing more is written at exit either."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return DONE


def ours(error: BaseException) -> BaseException:
    if type(error).__module__.partition(".")[0] != "psycopg":
        return error
    from pgqueue.client import translate

    return translate(error) or error  # type: ignore[arg-type]
