"""What the demo says: bars that move on a terminal, a line now and then in a pipe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.demo.checks import Verdict

QUARTERS = 4


class Show:
    """One telling of the story."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._began = time.monotonic()
        self._bars: dict[str, tuple[TaskID, int]] = {}
        self._progress = Progress(
            TextColumn("        {task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            refresh_per_second=5,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str, *, style: str = "") -> None:
        """Say what happens now, with the seconds since the beginning."""
        self.line(f"{time.monotonic() - self._began:5.1f} s {text}", style=style)

    def line(self, text: str = "", *, style: str = "") -> None:
        """Write a line as it is: no markup, no wrapping."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def bar(self, name: str, done: int, total: int) -> None:
        """Move a bar; in a pipe say so at each quarter."""
        task, quarter = self._bars.get(name) or (self._progress.add_task(name, total=total), 0)
        self._progress.update(task, completed=done)
        reached = done * QUARTERS // total
        if reached > quarter and not self._console.is_terminal:
            self.say(f"{name}: {done:,} of {total:,}")
        self._bars[name] = (task, max(reached, quarter))

    def verdict(self, verdict: Verdict) -> None:
        """Write what a check found, and the SQL that found it."""
        word, style = ("ok", "bold green") if verdict.holds else ("FAILED", "bold red")
        self.line()
        self._console.print(Text.assemble((f"{word:<7}", style), (verdict.promise, "bold")), soft_wrap=True)
        self.line(f"       {verdict.said}", style="" if verdict.holds else "red")
        for line in verdict.sql.splitlines():
            self.line(f"         {line}", style="dim")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Write a table; numbers to the right."""
        if not self._console.is_terminal:
            for row in [columns, *rows]:
                self.line("       " + "  ".join(f"{cell!s:<24}" for cell in row).rstrip())
            return
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
        for place, name in enumerate(columns):
            numeric = bool(rows) and isinstance(rows[0][place], int)
            table.add_column(name, justify="right" if numeric else "left", header_style="dim")
        for row in rows:
            table.add_row(*map(str, row))
        self._console.print(table)
