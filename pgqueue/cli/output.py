"""How results look: tables and colours on a terminal, aligned text in a pipe, one JSON document for programs.

Text from the database is shown with its control characters escaped: a job's error must not steer a terminal.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]

COLOURS = {
    "dead": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "succeeded": "green",
    "ready": "blue",
    "failed": "red",
}


def is_terminal() -> bool:
    """Whether a person reads what is printed."""
    return sys.stdout.isatty()


def print_json(value: object) -> None:
    """Print one JSON document: ids are numbers, times ISO 8601 in UTC, durations seconds."""
    print(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False))  # noqa: T201


def print_line(text: str = "") -> None:
    """Print a line for people, or some."""
    print(clean(text, keep="\n"))  # noqa: T201


def print_script(text: str) -> None:
    """Print SQL as it is: it is to be run."""
    print(text)  # noqa: T201


def print_table(rows: Sequence[Row], columns: Sequence[Column], *, empty: str) -> None:
    """Print rows for people: every column is a heading and how to make a text of a row."""
    table = [[clean(make(row)) for _, make in columns] for row in rows]
    headings = [heading for heading, _ in columns]
    if not is_terminal():
        _print_aligned([headings, *table])
    elif not rows:
        print_line(empty)
    else:
        _print_rich(headings, table)


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print what one thing is made of, one field a line."""
    shown = list(fields)
    width = max((len(name) for name, _ in shown), default=0)
    for name, text in shown:
        print_line(f"{name:<{width}}  {text}".rstrip())


def text(name: str) -> Callable[[Row], str]:
    """Return how a column of this name is shown."""
    return lambda row: show(row.get(name))


def show(value: object) -> str:
    """Return a value as people read it."""
    match value:
        case None:
            return "-"
        case True | False:
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case timedelta():
            return span(value)
        case list() | tuple():
            return ",".join(map(str, value))
        case dict():
            return json.dumps(_plain(value), ensure_ascii=False)
        case _:
            return str(value)


def span(value: timedelta) -> str:
    """Return a duration in its two largest units: 3d4h, 5m2s, 0.25s."""
    total = value.total_seconds()
    if total < 10:
        return f"{total:.3g}s"
    parts = []
    rest = round(total)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def message_of(error: object) -> str:
    """Return an error {type, message, ...} as `type: message`."""
    if not isinstance(error, dict):
        return show(error)
    return ": ".join(str(error[part]) for part in ("type", "message") if error.get(part)) or "-"


def clean(shown: str, *, keep: str = "") -> str:
    """Escape what is not printable, except the characters to keep."""
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in shown)


def _print_aligned(table: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_rich(headings: Sequence[str], table: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rich = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in headings:
        rich.add_column(heading, overflow="fold")
    for row in table:
        rich.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    Console(highlight=False).print(rich)


def _plain(value: object) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case float() if not math.isfinite(value):
            return str(value)  # a number of jsonb beyond floats
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value
