"""Log records of handlers: whose job they belong to, and how they are written: a line for people, or JSON.

While a handler runs, `SCOPE` says which attempt this is, in its tasks and in threads begun with `asyncio.to_thread`
too. `JobFilter` puts that into each record. `pgq work` does so by itself; who sets up logging on their own adds the
filter to their handlers. A task that a handler left behind goes on carrying the job that began it.
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgqueue.masking import Masking

# What a record of a handler carries, in this order; trace_id and span_id while it is traced.
FIELDS = ("job", "task", "queue", "attempt", "worker", "trace_id", "span_id")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m", "DEBUG": "\x1b[2m"}


class Scope(Protocol):
    """The attempt that runs."""

    lines: Any  # what is kept of its log lines, see `capture`

    @property
    def worker(self) -> int:
        """The worker's id."""
        ...

    @property
    def capture_level(self) -> int | None:
        """From which level on its lines are kept; None: as the worker says."""
        ...

    def log_fields(self) -> Mapping[str, object]:
        """The fields of `FIELDS` that are known."""
        ...


SCOPE: ContextVar[Scope | None] = ContextVar("pgqueue_scope", default=None)


class JobFilter(logging.Filter):
    """Puts job, task, queue, attempt, worker and, while it is traced, trace_id and span_id into a handler's records.

    Add it to a logging handler; it lets all records pass. What a record itself says under one of these names is kept
    under `extra_NAME`. Records of no job stay as they are.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Fill in the fields."""
        scope = SCOPE.get()
        if scope is not None:
            said = record.__dict__
            for name, value in scope.log_fields().items():
                told = said.get(name, value)
                if type(told) is not type(value) or told != value:  # an array, say, compares to no truth
                    said[f"extra_{name}"] = told
                said[name] = value
        return True


class ConsoleFormatter(logging.Formatter):
    """`time LEVEL logger: message field=value`."""

    def __init__(self, *, colour: bool = False, masking: Masking | None = None) -> None:
        super().__init__()
        self._colour = colour
        self.masking = masking

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback below it."""
        message, fields, exception = content(record, self.masking)
        line = f"{_time(record, 'milliseconds')} {record.levelname:<7} {record.name}: {message}"
        stack = str(fields.pop("stack", "")).rstrip().splitlines()  # where a stuck process stands
        line += "".join(f" {name}={_brief(value)}" for name, value in fields.items())
        colour = _COLOURS.get(record.levelname) if self._colour else None
        line = "\n".join(map(_one_line, [line, *stack]))
        line = f"{colour}{line}\x1b[0m" if colour else line
        return f"{line}\n{exception}" if exception else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the fields of `FIELDS`, the record's own, exception."""

    def __init__(self, *, masking: Masking | None = None) -> None:
        super().__init__()
        self.masking = masking

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        message, fields, exception = content(record, self.masking)
        shown: dict[str, object] = {
            "time": _time(record, "microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        shown |= {name: value for name, value in fields.items() if name not in shown}
        if exception:
            shown["exception"] = exception
        return json.dumps(shown, default=str, ensure_ascii=False)


def content(record: logging.LogRecord, masking: Masking | None) -> tuple[str, dict[str, object], str | None]:
    """Return a record's message, fields and traceback. Of a job's record what the rules match is hidden."""
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001 - arguments that do not fit the message, or a __str__ that raises
        message = f"{_own_words(record.msg)} (its arguments do not fit: {type(error).__name__})"
    exception = _FORMATTER.formatException(record.exc_info) if record.exc_info else record.exc_text
    fields = _fields(record)
    if masking is None or (SCOPE.get() is None and "job" not in fields):
        return message, fields, exception
    ours = {name: fields[name] for name in FIELDS if name in fields}
    rest = masking.fields({name: value for name, value in fields.items() if name not in ours})
    return masking.text(message), ours | rest, masking.text(exception) if exception else exception


def _own_words(message: object) -> str:
    try:
        return str(message)
    except Exception:  # noqa: BLE001 - what was logged, an exception perhaps, cannot be written
        return f"a message of type {type(message).__name__}"


_FORMATTER = logging.Formatter()


def _fields(record: logging.LogRecord) -> dict[str, object]:
    said = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    return {name: said.pop(name) for name in FIELDS if name in said} | said


def _time(record: logging.LogRecord, precision: str) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _brief(value: object) -> str:
    shown = str(value)
    return json.dumps(shown, ensure_ascii=False) if not shown or " " in shown else shown


def _one_line(line: str) -> str:
    return line if line.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
