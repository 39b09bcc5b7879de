"""How the lists of a snapshot look: columns, their texts, and the order of rows. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = dict[str, Any]
_BARS: Final = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, the text of a row, and what rows are sorted by, largest first."""

    heading: str
    text: Callable[[Row], str]
    order: Callable[[Row], Any] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One list: its name in a snapshot, its heading, and its columns."""

    name: str
    title: str
    columns: Sequence[Column]
    key: str
    empty: str

    def orders(self) -> list[Column]:
        """The columns that rows can be sorted by."""
        return [column for column in self.columns if column.order is not None]


def span(seconds: float | None) -> str:
    """Write seconds as people do: 850ms, 12s, 3m05s, 2h10m, 4d03h; "-" for none."""
    if seconds is None:
        return "-"
    whole = int(max(seconds, 0.0))
    if whole < 1:
        return f"{max(seconds, 0.0) * 1000:.0f}ms"
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"


def sparkline(counts: Sequence[int]) -> str:
    """Draw counts as bars, the highest of them as the highest bar."""
    most = max(counts, default=0)
    return "".join(_BARS[0 if not most else -(-count * (len(_BARS) - 1) // most)] for count in counts)


def matching(rows: Sequence[Row], wanted: str) -> list[Row]:
    """The rows that name what is looked for: a queue, a task, a host, an id, the type of an error."""
    if not wanted:
        return list(rows)
    names = ("queue", "queues", "task", "host", "id", "pid", "error")
    return [row for row in rows if any(wanted.lower() in str(row.get(name, "")).lower() for name in names)]


def _rate(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row[name]:.0f}" if row[name] >= 10 or not row[name] else f"{row[name]:.1f}"


def _plain(name: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[name] is None else str(row[name])


def _of(name: str) -> Callable[[Row], Any]:
    return lambda row: row[name] or 0


def _count(name: str) -> Column:
    return Column(name, lambda row: f"{'~' if row['estimated'] and row[name] else ''}{row[name]}", _of(name))


def _state(row: Row) -> str:
    if row["stuck"]:
        return f"STUCK: {row['stuck']}"
    return "alive" if row["alive"] else f"lost {span(row['silent_seconds'])} ago"


_ID = Column("id", _plain("id"), _of("id"))

QUEUES = Table(
    "queues",
    "Queues",
    (
        Column("queue", lambda row: f"{row['queue']}{' (paused)' if row['paused'] else ''}"),
        *map(_count, ("ready", "running", "scheduled", "blocked", "dead")),
        Column("lag", lambda row: span(row["lag_seconds"]), _of("lag_seconds")),
        Column("done/min", _rate("done_per_minute"), _of("done_per_minute")),
        Column("failed/min", _rate("failed_per_minute"), _of("failed_per_minute")),
        Column("last 30 min", lambda row: sparkline(row["history"])),
    ),
    key="queue",
    empty="no queue has a job or a worker",
)
WORKERS = Table(
    "workers",
    "Workers",
    (
        _ID,
        Column("host", _plain("host")),
        Column("pid", _plain("pid")),
        Column("state", _state),
        Column("running", lambda row: f"{row['running']}/{row['concurrency']}", _of("running")),
        Column("queues", lambda row: ",".join(row["queues"])),
        Column("up", lambda row: span(row["up_seconds"]), _of("up_seconds")),
        Column("version", _plain("version")),
    ),
    key="id",
    empty="no worker",
)
RUNNING = Table(
    "running",
    "Running",
    (
        _ID,
        Column("task", _plain("task")),
        Column("queue", _plain("queue")),
        Column("for", lambda row: span(row["seconds"]), _of("seconds")),
        Column("attempt", _plain("attempt"), _of("attempt")),
        Column("worker", lambda row: f"{row['host']}/{row['pid']}{' STUCK' if row['stuck'] else ''}"),
    ),
    key="id",
    empty="no job runs",
)
DEAD = Table(
    "dead",
    "Dead letters",
    (
        _ID,
        Column("task", _plain("task")),
        Column("queue", _plain("queue")),
        Column("attempt", _plain("attempt"), _of("attempt")),
        Column("error", _plain("error")),
        Column("ago", lambda row: span(row["seconds"]), lambda row: -row["seconds"]),
    ),
    key="id",
    empty="no dead letter",
)
TABLES: Final = (QUEUES, WORKERS, RUNNING, DEAD)
