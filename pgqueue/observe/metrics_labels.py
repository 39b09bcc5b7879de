"""Keeps the values of a label bounded: a queue per customer must not become a time series per customer. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER = "other"
T = TypeVar("T")


class Cap(Generic[T]):
    """The first `most` values keep their names; what comes later is `other`, for as long as this process lives.

    First come, because a counter must not move from one series to another: whoever has a name keeps it, and what is
    added up under `other` only grows. A restart deals the names out anew.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._named: set[T] = set()
        self._others: set[T] = set()

    def admit(self, values: Iterable[T]) -> None:
        """Give names to these, the more important first, while there is room."""
        for value in values:
            if len(self._named) < self._most:
                self._named.add(value)
            elif value not in self._named:
                self._others.add(value)

    def __contains__(self, value: T) -> bool:
        """Whether it has a name."""
        return value in self._named

    def named(self) -> frozenset[T]:
        """Those that have names."""
        return frozenset(self._named)

    @property
    def folded(self) -> int:
        """How many values were added up under `other`."""
        return len(self._others)
