"""The log of a worker on stderr: a line for people, or one JSON object a line, with the fields of each record.

Payloads are never logged; what is logged about a job comes as `extra` fields (job, task, queue, attempt ...).
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime

from pgqueue.errors import InvalidArgument

LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("console", "json")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m", "DEBUG": "\x1b[2m"}


def configure(level: str | None = None, format: str | None = None) -> None:  # noqa: A002 - the flag's name
    """Send the log to stderr, in place of what was set up before. Unset: PGQ_LOG_LEVEL, PGQ_LOG_FORMAT; info, console.

    Raises InvalidArgument.
    """
    wanted = (level or os.environ.get("PGQ_LOG_LEVEL") or "info").lower()
    form = (format or os.environ.get("PGQ_LOG_FORMAT") or "console").lower()
    if wanted not in LEVELS:
        raise InvalidArgument(f'log level: must be one of {", ".join(LEVELS)}, got "{wanted}"')
    if form not in FORMATS:
        raise InvalidArgument(f'log format: must be console or json, got "{form}"')
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else ConsoleFormatter(colour=_wants_colour()))
    logging.basicConfig(level=wanted.upper(), handlers=[handler], force=True)


class ConsoleFormatter(logging.Formatter):
    """`time LEVEL logger: message field=value`."""

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback below it."""
        line = f"{_time(record, 'milliseconds')} {record.levelname:<7} {record.name}: {record.getMessage()}"
        line += "".join(f" {name}={_brief(value)}" for name, value in _fields(record).items())
        colour = _COLOURS.get(record.levelname) if self._colour else None
        line = _one_line(line)
        line = f"{colour}{line}\x1b[0m" if colour else line
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the record's fields, the exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        shown: dict[str, object] = {
            "time": _time(record, "microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        shown |= {name: value for name, value in _fields(record).items() if name not in shown}
        if record.exc_info:
            shown["exception"] = self.formatException(record.exc_info)
        return json.dumps(shown, default=str, ensure_ascii=False)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _time(record: logging.LogRecord, precision: str) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _brief(value: object) -> str:
    shown = str(value)
    return json.dumps(shown, ensure_ascii=False) if not shown or " " in shown else shown


def _one_line(line: str) -> str:
    return line if line.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def _wants_colour() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
