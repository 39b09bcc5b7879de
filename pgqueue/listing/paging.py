"""Pages of lists by keyset: where a page begins and ends in each of the tables that it is put together from. No I/O.

A list of jobs comes from up to three tables, each walked along its ids, down (older) or up (newer). A walk that finds
few rows ends when it has looked at so many; then the page says so, and its link goes on from there. So a cursor is a
position for each table: the ids below it (down), or above it (up), are still to be looked at. What commits meanwhile
never shifts a page, since nothing is counted.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgqueue.errors import InvalidArgument

TOP = 2**63 - 1  # above all ids
Row = dict[str, Any]


class AstrayError(InvalidArgument):
    """A place that no page has said."""

    def __init__(self) -> None:
        super().__init__("older, newer: these come from the links under a list; begin at its first page")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to go on in each table, in the order in which the list names them."""

    positions: tuple[int, ...]
    up: bool = False

    @classmethod
    def start(cls, tables: int) -> "Cursor":
        """Return the beginning of a list, its newest page."""
        return cls((TOP,) * tables)

    @classmethod
    def read(cls, older: str | None, newer: str | None, *, tables: int) -> "Cursor":
        """Read it from the parameters of an address; a single id stands for every table. Raises InvalidArgument."""
        written = older or newer
        if written is None:
            return cls.start(tables)
        parts = written.replace("top", str(TOP)).split(".")
        parts = parts * tables if len(parts) == 1 else parts
        if len(parts) != tables or not all(part.isdecimal() and part.isascii() and len(part) <= 19 for part in parts):
            raise AstrayError
        return cls(tuple(min(int(part), TOP) for part in parts), up=older is None)

    def __str__(self) -> str:
        return ".".join("top" if position == TOP else str(position) for position in self.positions)

    @property
    def is_start(self) -> bool:
        """Whether this is the beginning of the list."""
        return not self.up and all(position == TOP for position in self.positions)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of a list, newest first, and the ways on from it."""

    rows: Sequence[Row]
    older: Cursor | None = None
    newer: Cursor | None = None
    searched: bool = False  # a walk ended before it had found a page
    is_level: bool = False  # every table was looked at down to the last row: its id says where the older begin

    @property
    def is_at_top(self) -> bool:
        """Whether a walk up has seen all there is, so that the first page, which is full, is the one to show."""
        return self.newer is None


def lay_out(found: Sequence[Sequence[Row]], cursor: Cursor, *, size: int) -> Sheet:
    """Put a page together from what the walk of each table found: at most size + 1 rows with `id`, in any order, `hit`
    (it fits) and `ended` (the walk ended here, having seen all that it may)."""
    direction = 1 if cursor.up else -1
    walks = [sorted((row for row in rows if row["hit"]), key=lambda row: direction * row["id"]) for rows in found]
    ends = [next((row["id"] for row in rows if row["ended"]), None) for rows in found]
    merged = heapq.merge(*walks, key=lambda row: direction * int(row["id"]))
    shown = [row for row, _ in zip(merged, range(size), strict=False)]
    reached = tuple(
        _reached(walk, shown, begin, end, cursor.up)
        for walk, begin, end in zip(walks, cursor.positions, ends, strict=True)
    )
    left = len(shown) < sum(map(len, walks))
    searched = len(shown) < size and any(end is not None for end in ends)
    more = left or any(end is not None for end in ends)
    if cursor.up:
        older = Cursor(tuple(min(position + 1, TOP) for position in cursor.positions))
        return Sheet(shown[::-1], older, Cursor(reached, up=True) if more else None, searched)
    newer = None if cursor.is_start else Cursor(tuple(max(position - 1, 0) for position in cursor.positions), up=True)
    level = bool(shown) and all(end is None or end <= shown[-1]["id"] for end in ends)
    return Sheet(shown, Cursor(reached) if more else None, newer, searched, level)


def _reached(walk: Sequence[Row], shown: Sequence[Row], begin: int, end: int | None, up: bool) -> int:
    """Return how far the page goes in one table."""
    here = {row["id"] for row in shown}.intersection(row["id"] for row in walk)
    last = (max(here) if up else min(here)) if here else begin
    if len(here) < len(walk):
        return last
    if end is not None:
        return end
    return last
