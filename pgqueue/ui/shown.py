"""How values look on a page: the filters and functions of the templates. Everything returns text or Markup made from
escaped text."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_LARGE = ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k"))
SPARK_WIDTH, SPARK_HEIGHT = 120, 24


def filters() -> dict[str, Callable[..., Any]]:
    """Return the filters of the templates by name."""
    return {
        "ago": ago,
        "when": when,
        "span": span,
        "count": count,
        "rate": rate,
        "badge": badge,
        "payload": payload,
        "sparkline": sparkline,
        "error_line": error_line,
        "depth_bar": depth_bar,
        "without_gaps": lambda values: [value or 0.0 for value in values],
        "last_value": lambda values: values[-1] if values else None,
    }


def ago(value: datetime | None, now: datetime) -> Markup:
    """`<time>`: how long ago, or in how long; the exact time, in UTC, as its title."""
    if value is None:
        return Markup("<span class='none'>–</span>")
    distance = (now - value).total_seconds()
    if abs(distance) < 1:
        said = "now"
    else:
        said = (
            f"{span(timedelta(seconds=abs(distance)))} ago"
            if distance > 0
            else f"in {span(timedelta(seconds=-distance))}"
        )
    return _time(value, said)


def when(value: datetime | None) -> Markup:
    """`<time>`: date and time in UTC, to the second."""
    if value is None:
        return Markup("<span class='none'>–</span>")
    return _time(value, value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"))


def _time(value: datetime, said: str) -> Markup:
    utc = value.astimezone(UTC)
    exact = utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(exact, utc.strftime("%Y-%m-%d %H:%M:%S"), said)


def span(value: timedelta | float | None) -> str:
    """Return a duration in its two largest units; a number is seconds: 3d 4h, 5m 2s, 0.25s, 12ms."""
    if value is None:
        return "–"
    total = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if total < 0:
        return f"-{span(-total)}"
    if total < 1:
        return f"{total * 1000:.0f}ms" if total else "0s"
    if total < 10:
        return f"{total:.2g}s"
    parts = []
    rest = round(total)
    for unit, size in _UNITS:
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])


def count(value: int | None, *, estimated: bool = False) -> Markup:
    """A number of things: short when it is large, exact in its title, with ~ when it is an estimate."""
    if value is None:
        return Markup("<span class='none'>–</span>")
    about = "~" if estimated else ""
    if not value:
        return Markup("<span class='none'>{}0</span>").format(about)
    for size, letter in _LARGE:
        if value >= size:
            unit = 1000 if letter == "k" else size
            return Markup('<span title="{}{:,}">{}{:.3g}{}</span>').format(about, value, about, value / unit, letter)
    return Markup("{}{:,}").format(about, value)


def rate(value: float | Decimal | None) -> str:
    """Return a number of things a minute with as many digits as matter."""
    if not value:
        return "0"
    number = float(value)
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def badge(state: str | None) -> Markup:
    """A state or an outcome as a coloured word; the word says it, the colour only helps."""
    word = state or "unknown"
    return Markup('<span class="badge" data-state="{}">{}</span>').format(word, word)


def payload(value: Any) -> Markup:
    """What a job carries, which was masked when it was read, as indented JSON; null: it may not be seen."""
    if value is None:
        return Markup("<span class='none'>not shown</span>")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return Markup('<pre class="payload" tabindex="0">{}</pre>').format(text)


def error_line(error: Any) -> str:
    """Return an error {type, message ...} on one line: `type: message`."""
    if not isinstance(error, Mapping):
        return "" if error is None else str(error)
    said = ": ".join(str(error[part]) for part in ("type", "message") if error.get(part))
    return " ".join(said.split())[:300]


def sparkline(values: Sequence[float], label: str, kind: str = "") -> Markup:
    """A small drawing of a series, oldest first; `label` is what it is read out as, `kind` its colour in app.css."""
    highest = max([*values, 1e-9])
    step = SPARK_WIDTH / max(len(values) - 1, 1)
    points = [
        f"{at * step:.1f},{SPARK_HEIGHT - 1 - value / highest * (SPARK_HEIGHT - 3):.1f}"
        for at, value in enumerate(values)
    ]
    line = " ".join(points)
    return Markup(
        '<svg class="spark" data-kind="{}" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}" '
        'preserveAspectRatio="none"><polygon points="0,{} {} {},{}"/><polyline points="{}"/></svg>'
    ).format(
        kind, SPARK_WIDTH, SPARK_HEIGHT, SPARK_WIDTH, SPARK_HEIGHT, escape(label), SPARK_HEIGHT, line, SPARK_WIDTH,
        SPARK_HEIGHT, line,
    )  # fmt: skip


def depth_bar(row: Mapping[str, Any], states: Sequence[str], full: int) -> Markup:
    """What a queue holds as one bar, a piece a state, as long as it is of `full` jobs: the numbers stand beside it."""
    pieces, at = [], 0.0
    for state in states:
        width = max(SPARK_WIDTH * row[state] / max(full, 1), 1.5) if row[state] else 0.0
        pieces.append(Markup('<rect data-state="{}" x="{:.1f}" width="{:.1f}" height="8"/>').format(state, at, width))
        at += width
    return Markup('<svg class="depth" viewBox="0 0 {} 8" width="{}" height="8" aria-hidden="true">{}</svg>').format(
        SPARK_WIDTH, SPARK_WIDTH, Markup("").join(pieces)
    )
