"""What a chapter of the demo plays on, and what a chapter is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, LiteralString

from pgqueue.schema import render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from psycopg import Connection

    from pgqueue.demo.checks import Check
    from pgqueue.demo.show import Show
    from pgqueue.demo.world import World


@dataclass(frozen=True, slots=True)
class Stage:
    """A database, a folder that vanishes, and somebody who says what happens."""

    show: Show
    made: World
    conn: Connection[Any]
    folder: Path
    check: Callable[[], None]  # raises when the demo was told to stop

    def ask(self, sql: Any, params: Sequence[Any] | None = None) -> Any:
        """Return the first row of what a statement says; `pgqueue.` in it is the queue's schema."""
        self.check()
        return self.conn.execute(render(sql, self.made.schema), params).fetchone()

    def execute(self, sql: Any, params: Sequence[Any]) -> None:
        """Run a statement; `pgqueue.` in it is the queue's schema."""
        self.conn.execute(render(sql, self.made.schema), params)

    def put(self, sql: Any, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each of these rows."""
        with self.conn.cursor() as cursor:
            cursor.executemany(sql, rows)


class Chapter(ABC):
    """A part of the story, with tables of its own and promises. All are played at the same time."""

    tables: ClassVar[Sequence[LiteralString]]
    checks: ClassVar[Sequence[Check]]

    def __init__(self, stage: Stage) -> None:
        """Take the stage; nothing happens yet."""
        self.stage = stage

    def open(self, servers: ExitStack) -> Mapping[str, str]:
        """Make what its jobs work on and start its servers; returns what the workers find in their environment."""
        del servers
        return {}

    @abstractmethod
    def begin(self) -> None:
        """Enqueue."""

    @abstractmethod
    def go_on(self) -> bool:
        """Look how far it is, and say so; False when nothing is left to wait for."""

    def testify(self) -> None:  # noqa: B027 - not all have something to say
        """Put what the outside world saw where the checks can see it."""
