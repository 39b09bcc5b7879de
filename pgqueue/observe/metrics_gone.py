"""Keeps counters from falling when the database drops those of a queue that is gone. No I/O.

Several rows may be added up in one time series (`other`, or all tasks of a queue). If one of them vanished, the sum
would fall, which Prometheus takes for a restart from 0, and so for an increase by all that is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgqueue.observe.metrics_reading import Row


class Gone:
    """What the rows that are gone had last, added up by their labels, for as long as this process lives."""

    def __init__(self) -> None:
        self._last: Mapping[Any, Row] = {}
        self._sums: dict[Any, Row] = {}

    def with_those_gone(self, rows: Mapping[Any, Row]) -> list[Row]:
        """Return these rows, by what tells them apart and each with its `labels`, and the sums of those that were there
        before. One that comes back begins at 0, and is added to what it had."""
        for key in self._last.keys() - rows.keys():
            row = self._last[key]
            self._sums[row["labels"]] = _added(row, self._sums.get(row["labels"]))
        self._last = rows
        return [*rows.values(), *self._sums.values()]


def _added(row: Row, other: Row | None) -> Row:
    if other is None:
        return row
    return {name: value if name in _NAMES else _sum(value, other[name]) for name, value in row.items()}


_NAMES = frozenset({"queue", "task", "labels"})


def _sum(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return [a + b for a, b in zip(one, other, strict=True)] if isinstance(one, list) else one + other
