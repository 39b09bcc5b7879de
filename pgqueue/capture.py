"""Keeps what a handler logs, for the history of its attempt: bounded, masked, and settled with the attempt.

`CaptureHandler` stands at the root logger of a worker and sees what the loggers let through. A record that belongs to
no running handler, or that pgqueue itself wrote, is passed over; so a job whose handler logs nothing has no lines, and
costs nothing.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pgqueue.codec import storable
from pgqueue.errors import ConfigError
from pgqueue.logs import FIELDS, SCOPE, content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pgqueue.logs import Scope
    from pgqueue.masking import Masking

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "off": logging.CRITICAL + 1000,
}
FIRST_LINES = LAST_LINES = 100  # of an attempt, with what is between them counted
HALF_BYTES = 32 * 1024  # of the first ones together, and of the last ones
LINE_BYTES = 8 * 1024
MESSAGE_LIMIT = 2_000  # characters
EXCEPTION_LIMIT = 4_000
FIELD_LIMIT = 500
FIELDS_LIMIT = 20
_MASKED_AT_MOST = 8_000  # characters that masking looks at; the middle of more is left out first


def level_of(name: str) -> int:
    """Return the number of a level: debug, info, warning, error, critical, or off. Raises ConfigError."""
    number = LEVELS.get(name.lower()) if isinstance(name, str) else None
    if number is None:
        raise ConfigError(f"capture_logs: must be one of {', '.join(LEVELS)}, got {name!r}")
    return number


class Lines:
    """The log lines of one attempt: the first, the last, and how many between them were left out."""

    __slots__ = ("_first", "_first_bytes", "_last", "_last_bytes", "_left_out")

    def __init__(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque()
        self._first_bytes = self._last_bytes = self._left_out = 0

    def __bool__(self) -> bool:
        return bool(self._first or self._last or self._left_out)

    @property
    def bytes(self) -> int:
        """What they take."""
        return self._first_bytes + self._last_bytes

    def drop(self) -> None:
        """Leave them all out."""
        first, left_out, last = self.take()
        self._left_out = len(first) + left_out + len(last)

    def add(self, line: str) -> None:
        """Keep a line, which is a JSON object."""
        size = len(line.encode())
        full = bool(self._last or self._left_out) or len(self._first) >= FIRST_LINES
        if not full and self._first_bytes + size <= HALF_BYTES:
            self._first.append(line)
            self._first_bytes += size
            return
        self._last.append(line)
        self._last_bytes += size
        while len(self._last) > LAST_LINES or self._last_bytes > HALF_BYTES:
            self._last_bytes -= len(self._last.popleft().encode())
            self._left_out += 1

    def absorb(self, first: Iterable[str], left_out: int, last: Iterable[str]) -> None:
        """Add what another process kept, and left out."""
        for line in first:
            self.add(line)
        self._left_out += left_out
        for line in last:
            self.add(line)

    def take(self) -> tuple[list[str], int, list[str]]:
        """Return the first, how many were left out, and the last; none of them is here any more."""
        taken = self._first, self._left_out, [*self._last]
        self._first, self._last = [], deque()
        self._first_bytes = self._last_bytes = self._left_out = 0
        return taken

    def as_json(self) -> str:
        """Write the array; what was left out is told where it would stand: {"left_out": 37}."""
        gap = [f'{{"left_out":{self._left_out}}}'] if self._left_out else []
        return f"[{','.join([*self._first, *gap, *self._last])}]"


class CaptureHandler(logging.Handler):
    """Hands the records of running handlers to their attempts.

    `mine` says whether an attempt is this worker's: there may be several in a process.
    """

    def __init__(self, default: int, masking: Masking, *, least: int, mine: Callable[[Any], bool]) -> None:
        super().__init__(least)
        self._default = default
        self._masking = masking
        self._mine = mine
        self.keep: Callable[[Any, str], None] = _keep

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, if it is a handler's."""
        scope = SCOPE.get()
        if scope is None or _internal(record.name) or not self._mine(scope):
            return
        level = scope.capture_level
        if record.levelno < (self._default if level is None else level):
            return
        try:
            line = written(record, self._masking)
        except Exception as error:  # noqa: BLE001 - a line must not fail its job, nor be shown unmasked by handleError
            line = _unwritable(record, error)
        self.keep(scope, line)


def _keep(scope: Scope, line: str) -> None:
    if scope.lines is None:
        scope.lines = Lines()
    scope.lines.add(line)


def handler_for(
    default: str, levels: Iterable[int | None], masking: Masking, *, mine: Callable[[Any], bool]
) -> CaptureHandler | None:
    """Make a worker's handler; None when nobody wants lines. `levels` are those of the tasks. Raises ConfigError."""
    number = level_of(default)
    least = min([number, *(level for level in levels if level is not None)])
    if least > logging.CRITICAL:
        return None
    return CaptureHandler(number, masking, least=least, mine=mine)


def install(handler: logging.Handler) -> Callable[[], None]:
    """Put it at the root logger; returns what takes it back.

    Where nobody has set logging up, Python writes warnings to stderr as long as there is no handler at all: it goes on.
    """
    root = logging.getLogger()
    added = [handler] if root.handlers or logging.lastResort is None else [logging.lastResort, handler]
    for one in added:
        root.addHandler(one)

    def remove() -> None:
        for one in added:
            root.removeHandler(one)

    return remove


def written(record: logging.LogRecord, masking: Masking) -> str:
    """Write a record as a JSON object of at most LINE_BYTES: at, level, logger, message, and perhaps fields, exception.

    Text is masked before it is cut, so that no half of a secret is left.
    """
    message, fields, exception = content(record, None)
    line: dict[str, object] = {
        "at": _at(record),
        "level": record.levelname.lower()[:20],
        "logger": storable(record.name, 200),
        "message": _cut(message, masking, MESSAGE_LIMIT),
    }
    more: dict[str, object] = {}
    if own := [(name, value) for name, value in fields.items() if name not in FIELDS]:
        more["fields"] = {storable(str(name), 100): _field(name, value, masking) for name, value in own[:FIELDS_LIMIT]}
    if exception:
        more["exception"] = _cut(exception, masking, EXCEPTION_LIMIT)
    text = json.dumps(line | more, ensure_ascii=False)
    if len(text.encode()) <= LINE_BYTES:
        return text
    if "fields" in more:
        del more["fields"]
        text = json.dumps(line | more | {"cut": True}, ensure_ascii=False)
    if len(text.encode()) > LINE_BYTES:
        line["message"] = storable(str(line["message"]), 1000)
        text = json.dumps(line | {"cut": True}, ensure_ascii=False)
    return text


def _unwritable(record: logging.LogRecord, error: Exception) -> str:
    told = {"level": record.levelname.lower()[:20], "message": f"(a line that raised {type(error).__name__})"}
    return json.dumps({"at": _at(record), "logger": storable(record.name, 200), **told})


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _field(name: str, value: object, masking: Masking) -> object:
    if not isinstance(value, bool | int | float | None):
        value = storable(str(value), _MASKED_AT_MOST)
    (shown,) = masking.fields({name: value}).values()
    if shown is None or isinstance(shown, bool):
        return shown
    if isinstance(shown, int):
        return shown if abs(shown) < 2**63 else str(shown)[:FIELD_LIMIT]
    return storable(str(shown), FIELD_LIMIT)


def _cut(text: str, masking: Masking, limit: int) -> str:
    return storable(masking.text(storable(text, _MASKED_AT_MOST)), limit)


def _internal(logger: str) -> bool:
    """Whether a line is pgqueue's own, which is about the attempt and not by its handler."""
    return logger.startswith("pgqueue.") and not logger.startswith("pgqueue.demo")
