"""Finds a page of jobs: which tables and indexes answer what was asked for, and how much of them may be looked at.

    state of unfinished jobs, queue        along the index of claims, as they are due (jobs_line)
    key                                    by the indexes of keys, all of them
    anything else                          along the ids, newest first, a window of rows for each page

Every answer has a bounded cost, at any number of jobs: a walk that finds few ends with its window, and the page says
so and goes on from there. Benchmarks/pages.py: 0.4 us a row along the ids, 2.5 us where arguments are read.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pgqueue.job import State
from pgqueue.listing.filters import UNFINISHED, Filters
from pgqueue.listing.paging import TOP, AstrayError, Cursor, Row, Sheet, lay_out

WINDOW = 80_000  # rows that are looked at for a page, of all tables together
DEAD_WINDOW = 40_000  # of dead letters alone, whose rows are wide
CONTENTS_WINDOW = 12_000  # where arguments have to be read
FEW = 20_000  # unfinished jobs of a queue that are all looked at
LINES = 400  # pairs of queue and priority
LINES_WINDOW = 24_000  # rows of all lines together
FRONT = 100  # rows of each at least
SLACK = timedelta(seconds=2)  # between the order of ids and that of times
PACKAGE = "pgqueue.listing"  # of the statements
_EVER = "9999-12-31T00:00:00+00:00"

_TABLES = {"jobs_queued": UNFINISHED, "jobs_finished": (State.SUCCEEDED, State.CANCELLED), "jobs_dead": (State.DEAD,)}
# state -> run_at above, run_at up to (None: now), whether it runs
_LINES: dict[State, tuple[str | None, str | None, bool]] = {
    State.READY: ("-infinity", None, False),
    State.RUNNING: ("-infinity", None, True),
    State.SCHEDULED: (None, _EVER, False),
    State.BLOCKED: (_EVER, "infinity", False),
}

T = TypeVar("T")
Ask = tuple[str, dict[str, Any]]  # a statement of this package and its parameters
Search = Generator[Ask, list[Row], T]  # is sent the rows of each


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs. `older` and `newer` are places to go on from: what `find` takes."""

    rows: list[Row]
    older: str | None
    newer: str | None
    window: int | None  # a walk ended before it had found a page, after so many rows
    by_due: bool = False  # in the order in which they are due, instead of newest first
    below: int | None = None  # the id that says the same as `older`, where one does


def find(asked: Filters, *, size: int, now: datetime, older: str | None, newer: str | None) -> Search[JobPage]:
    """Find `size` jobs at a place: older than it, or newer, or from the top. A place is what a page said, or an id.
    `now` is the database's. Raises AstrayError for a place that is none."""
    place = older or newer
    if asked.state in _LINES and asked.by_index and (place is None or "~" in place):
        return (yield from _in_line(asked, asked.state, size, now, place, up=older is None and newer is not None))
    tables = _tables(asked)
    if not tables:
        return JobPage([], None, None, None)
    window = max(window_of(asked, tables), size + 1)
    sheet = yield from _walk(asked, tables, Cursor.read(older, newer, tables=len(tables)), window, size)
    if newer is not None and sheet.is_at_top:
        sheet = yield from _walk(asked, tables, Cursor.start(len(tables)), window, size)
    searched = window * len(tables) if sheet.searched else None
    below, above = [str(cursor) if cursor else None for cursor in (sheet.older, sheet.newer)]
    last = sheet.rows[-1]["id"] if sheet.older and sheet.is_level else None
    return JobPage(list(sheet.rows), below, above, searched, below=last)


def follow(search: Search[T], rows: Callable[[Ask], list[Row]]) -> T:
    """Run a search: `rows` runs a statement."""
    try:
        ask = next(search)
        while True:
            ask = search.send(rows(ask))
    except StopIteration as end:
        found: T = end.value
        return found


def window_of(asked: Filters, tables: list[str]) -> int:
    """Return how many rows of each of these tables may be looked at for a page."""
    if asked.by_contents:
        return CONTENTS_WINDOW // len(tables)
    return DEAD_WINDOW if tables == ["jobs_dead"] else WINDOW // len(tables)


def _tables(asked: Filters) -> list[str]:
    tables = [name for name, states in _TABLES.items() if not asked.states or set(asked.states) & set(states)]
    return [name for name in tables if asked.error is None or name == "jobs_dead"]


def _walk(asked: Filters, tables: list[str], cursor: Cursor, window: int, size: int) -> Search[Sheet]:
    if cursor.is_start and asked.until is not None:
        found = yield "id_at", {"moment": asked.until + SLACK}
        cursor = Cursor((int(found[0]["id"] if found else TOP),) * len(tables))
    few = False
    if asked.queue is not None and "jobs_queued" in tables and asked.key is None:
        few = bool((yield "queue_is_small", {"queue": asked.queue, "most": FEW})[0]["few"])
    params = {**asked.params(), "up": cursor.up, "most": size + 1}
    walks = []
    for name, at in zip(tables, cursor.positions, strict=True):
        quick = few and name == "jobs_queued"
        own = {"at": at, "few": quick, "window": max(FEW, size + 1) if quick else window}
        walks.append(_within(asked, (yield name, {**params, **own})))
    return lay_out(walks, cursor, size=size)


def _within(asked: Filters, rows: list[Row]) -> list[Row]:
    """Take away the end of a walk that has left the time asked for: there is nothing further on."""
    since = asked.since - SLACK if asked.since else None
    until = asked.until + SLACK if asked.until else None
    return [{**row, "ended": row["ended"] and not _is_outside(row["created_at"], since, until)} for row in rows]


def _is_outside(moment: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is not None and moment < since) or (until is not None and moment > until)


def _in_line(asked: Filters, state: State, size: int, now: datetime, place: str | None, *, up: bool) -> Search[JobPage]:
    lower, upper, running = _LINES[state]
    at, job_id = _place(place)
    pairs = int((yield "lines", {"queue": asked.queue, "lines": LINES})[0]["pairs"])
    # In the other states all fit but what runs at the front: a line is looked at no further than the page needs.
    window = max(LINES_WINDOW // max(pairs, 1), FRONT) if running else LINES_WINDOW
    window = max(window, size + 1)
    params = {
        "state": str(state),
        "queue": asked.queue,
        "running": running,
        "lower": lower or now,
        "upper": upper or now,
        "lines": LINES,
        "window": window,
        "most": size + 1,
        "up": up,
        "at": at,
        "id": job_id,
    }
    found = yield "jobs_line", params
    rows = [row for row in found if row["id"] is not None]
    if up and len(rows) <= size:  # the first page, which is full
        return (yield from _in_line(asked, state, size, now, None, up=False))
    more = len(rows) > size
    rows = (rows[-size:] if up else rows[:size]) if more else rows
    looked_at = window * max(pairs, 1) if running else window
    searched = looked_at if found[0]["ended"] and not more else None
    if not rows:
        return JobPage([], None, None, searched, by_due=True)
    forth = _mark(rows[-1], state) if up or more else None
    back = _mark(rows[0], state) if up or place is not None else None
    return JobPage(rows, forth, back, searched, by_due=True)


def _mark(row: Row, state: State) -> str:
    """Write the place of a job among those of its state: when it is due, and its id."""
    at = "infinity" if state is State.BLOCKED else row["run_at"].isoformat()
    return f"{at}~{row['id']}"


def _place(written: str | None) -> tuple[Any, int]:
    if not written:
        return "-infinity", 0
    at, _, number = written.partition("~")
    try:
        moment: Any = at if at == "infinity" else datetime.fromisoformat(at)
        if not (number.isdecimal() and int(number) <= TOP) or (moment != at and moment.utcoffset() is None):
            raise ValueError(written)
    except ValueError:
        raise AstrayError from None
    return moment, int(number)
