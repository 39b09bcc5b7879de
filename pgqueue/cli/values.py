"""What people write on a command line, as values: durations, times, JSON objects. I/O only for `@file` and `-`."""

import json
import re
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from pgqueue import codec
from pgqueue.errors import InvalidArgument

T = TypeVar("T")
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[wdhms])", re.ASCII)
_PLAIN = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def duration(text: str) -> timedelta:
    """Read 250ms, 30s, 5m, 1h30m or 2d; a bare number is seconds. Raises ValueError."""
    written = text.strip().lower()
    try:
        if _PLAIN.fullmatch(written):
            return timedelta(seconds=float(written))
        parts = _PART.findall(written)
        if parts and "".join(number + unit for number, unit in parts) == written.replace(" ", ""):
            return sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta())
    except OverflowError:
        raise ValueError(f'"{text}" is too long') from None
    raise ValueError(f'"{text}" is not a duration; write 250ms, 30s, 5m, 1h30m or 2d')


def seconds(text: str) -> float:
    """Read a duration as seconds. Raises ValueError."""
    return duration(text).total_seconds()


def moment(text: str) -> datetime:
    """Read a point in time with its zone, as in 2026-11-22T08:00:00+01:00. Raises ValueError."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f'"{text}" is not a time; write 2026-11-22T08:00:00Z') from None
    if found.utcoffset() is None:
        raise ValueError(f'"{text}" has no time zone; add Z or an offset such as +01:00')
    return found


def json_object(text: str, *, name: str) -> str:
    """Return the text if it is a JSON object that the database can keep. Raises InvalidArgument.

    The text itself is returned, never a rewritten one: numbers stay as exact as they were written.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise InvalidArgument(f"{name}: is nested deeper than {codec.MAX_DEPTH} levels") from None
    except ValueError as error:
        raise InvalidArgument(f"{name}: must be a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise InvalidArgument(f'{name}: must be a JSON object such as {{"user_id": 7}}, got {_kind(value)}')
    try:
        codec.dumps(value)
    except codec.Misfit as misfit:
        raise InvalidArgument(f"{name}: {misfit}") from None
    return text


def option_type(read: Callable[[str], T]) -> Callable[[str | T], T]:
    """Make a reader of texts the type of an option: its ValueErrors become complaints about that option."""
    import typer

    def parse(text: str | T) -> T:
        if not isinstance(text, str):  # the option's default
            return text
        try:
            return read(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    parse.__name__ = read.__name__
    return parse


def text_of(given: str, *, name: str) -> str:
    """Return the text itself, that of `@file`, or that of stdin for `-`. Raises InvalidArgument."""
    if given != "-" and not given.startswith("@"):
        return given
    try:
        return sys.stdin.read() if given == "-" else Path(given[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidArgument(f"{name}: {given[1:]}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidArgument(f"{name}: {given[1:] or 'stdin'} is not UTF-8") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _kind(value: object) -> str:
    kinds = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")
