"""Marked values, and where they are looked for: what was logged, at DEBUG and in both formats, and what was sent."""

import logging
from typing import TYPE_CHECKING, Any, Self

from pgqueue.worker.logs import ConsoleFormatter, JsonFormatter

if TYPE_CHECKING:
    import psycopg

ARGS = "canary-args-3f1c"
META = "canary-meta-8a20"
RESULT = "canary-result-51de"
KEY = "canary-key-e07b"
GROUP = "canary-group-94c6"
RAISED = "canary-raised-c2f8"
STEP = "canary-step-6d11"
NOTE = "canary-note-70ab"
PASSWORD = "canary-password-b95e"

CONTENTS = (ARGS, META, RESULT, RAISED, STEP, NOTE)
ALL = (*CONTENTS, KEY, GROUP, PASSWORD)

# What the server's activity view shows of the connections to this database, except of the one that looks.
ACTIVITY = """
select query, application_name from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"""


def found_in(text: str, wanted: tuple[str, ...] = ALL) -> list[str]:
    """The lines of a text that hold a marked value."""
    return [line for line in text.splitlines() if any(canary in line for canary in wanted)]


class Log(logging.Handler):
    """Keeps each record as both formats write it, with its traceback, whatever logger it comes from."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._formatters = (ConsoleFormatter(), JsonFormatter())
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._lines += [formatter.format(record) for formatter in self._formatters]

    @property
    def text(self) -> str:
        return "\n".join(self._lines)

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self._level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._level)


def activity(conn: "psycopg.Connection[Any]") -> str:
    """The statements and names of all connections."""
    return "\n".join(f"{name}: {query}" for query, name in conn.execute(ACTIVITY).fetchall())
