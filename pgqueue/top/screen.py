"""The live view: four tables that are read again every few seconds, keys to sort, filter and act, and a line that says
when the database is away. Texts of the database are shown as texts: no markup, no control characters.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Label, Static, TabbedContent, TabPane

from pgqueue import calls
from pgqueue.errors import PgQueueError
from pgqueue.telling import reason_of
from pgqueue.top.tables import TABLES, Row, Table, matching

if TYPE_CHECKING:
    from pgqueue.top.source import Snapshot, Source


class Confirm(ModalScreen[bool]):
    """A question that y answers."""

    DEFAULT_CSS = """
    Confirm { align: center middle; }
    Confirm > Vertical { width: auto; max-width: 90%; height: auto; border: thick $warning; padding: 1 2; }
    Confirm Label { width: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,enter", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Ask."""
        with Vertical():
            yield Label(shown(self._question))
            yield Label("y: yes   n: no")

    def action_answer(self, answer: bool) -> None:
        """Take the answer."""
        self.dismiss(answer)


class Top(App[None]):
    """The screen of `pgq top`."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #status { height: 1; padding: 0 1; background: $primary-darken-2; }
    #status.away { background: $error; }
    #filter { display: none; }
    #filter.open { display: block; }
    DataTable { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        *(Binding(str(place), f"show('{table.name}')", table.title) for place, table in enumerate(TABLES, 1)),
        Binding("slash", "filter", "Filter"),
        Binding("escape", "unfilter", "All", show=False),
        Binding("s", "sort", "Sort"),
        Binding("p", "pause", "Pause/resume"),
        Binding("r", "retry", "Retry"),
        Binding("c", "cancel", "Cancel"),
    ]

    def __init__(self, source: Source, *, interval_seconds: float, where: str) -> None:
        super().__init__()
        self._source = source
        self._interval_seconds = interval_seconds
        self._where = where
        self._snapshot: Snapshot | None = None
        self._wanted = ""
        self._sorted_by: dict[str, str] = {}
        self._away_since: float | None = None

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield Static(id="status", markup=False)
        yield Input(
            id="filter", placeholder="a part of a queue, task, host, id or error; Enter keeps it, Escape ends it"
        )
        with TabbedContent(id="tabs"):
            for table in TABLES:
                with TabPane(table.title, id=f"tab-{table.name}"):
                    yield DataTable(id=table.name, cursor_type="row", zebra_stripes=True)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to read."""
        for table in TABLES:
            self._widget(table).add_columns(*(column.heading for column in table.columns))
        self._say(f"{self._where}: reading ...")
        self.set_interval(self._interval_seconds, self.read)
        self.read()
        self.action_show(TABLES[0].name)

    @work(exclusive=True, group="read")
    async def read(self) -> None:
        """Read and show; what the database cannot tell is said, and tried again."""
        try:
            self._snapshot = await asyncio.to_thread(self._source.read)
        except (PgQueueError, psycopg.Error) as error:
            self._away_since = self._away_since or time.monotonic()
            self._say(self._absence(error), away=True)
            return
        self._away_since = None
        self._draw()

    def _absence(self, error: Exception) -> str:
        since = time.monotonic() - (self._away_since or time.monotonic())
        why = str(error) if isinstance(error, PgQueueError) else reason_of(error)
        return f"NO ANSWER for {since:.0f} s, what is shown is old; trying again: {why}"

    @property
    def _laid_out(self) -> bool:
        """Whether the screen is there: an answer may come after it was taken down."""
        return self.is_running and len(self.query(DataTable)) == len(TABLES)

    def _say(self, text: str, *, away: bool = False) -> None:
        if not self._laid_out:
            return
        status = self.query_one("#status", Static)
        status.update(shown(text))
        status.set_class(away, "away")

    def _draw(self) -> None:
        if self._snapshot is None or not self._laid_out:
            return
        for table in TABLES:
            self._fill(table, getattr(self._snapshot, table.name))
        about = f"{self._where}  read in {self._snapshot.took_seconds * 1000:.0f} ms"
        about += f'  filter "{self._wanted}"' if self._wanted else ""
        about += f"  not for this role: {', '.join(self._snapshot.hidden)}" if self._snapshot.hidden else ""
        order = self._sorted_by.get(self._active.name)
        self._say(about + (f"  by {order}" if order else ""))

    def _fill(self, table: Table, rows: list[Row]) -> None:
        widget = self._widget(table)
        before, place = self._selected(table), widget.cursor_row
        rows = matching(rows, self._wanted)
        for column in table.orders():
            if column.heading == self._sorted_by.get(table.name) and column.order is not None:
                rows.sort(key=column.order, reverse=True)
        widget.clear()
        for row in rows:
            cells = [Text(shown(column.text(row)), style=_style(row)) for column in table.columns]
            widget.add_row(*cells, key=str(row[table.key]))
        keys = [str(row[table.key]) for row in rows]
        if keys:
            widget.move_cursor(row=keys.index(before) if before in keys else min(place, len(keys) - 1))

    def _widget(self, table: Table) -> DataTable[Any]:
        return self.query_one(f"#{table.name}", DataTable)

    @property
    def _active(self) -> Table:
        active = self.query_one("#tabs", TabbedContent).active
        return next((table for table in TABLES if f"tab-{table.name}" == active), TABLES[0])

    def _selected(self, table: Table) -> str | None:
        widget = self._widget(table)
        if not widget.row_count or not widget.is_valid_row_index(widget.cursor_row):
            return None
        return str(widget.coordinate_to_cell_key((widget.cursor_row, 0)).row_key.value)  # type: ignore[arg-type]

    # Keys.

    def action_show(self, name: str) -> None:
        """Show a table."""
        self.query_one("#tabs", TabbedContent).active = f"tab-{name}"
        self.query_one(f"#{name}", DataTable).focus()

    def on_tabbed_content_tab_activated(self) -> None:
        """The order in the status line is that of the table that is seen."""
        self._draw()

    def action_filter(self) -> None:
        """Open the line of the filter."""
        entry = self.query_one("#filter", Input)
        entry.add_class("open")
        entry.focus()

    def action_unfilter(self) -> None:
        """Show everything again."""
        self.query_one("#filter", Input).value = ""
        self._leave_filter()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._wanted = event.value.strip()
        self._draw()

    def on_input_submitted(self) -> None:
        """Keep the filter and go back to the table."""
        self._leave_filter()

    def _leave_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("open")
        self._widget(self._active).focus()

    def action_sort(self) -> None:
        """Sort by the next column that one may sort by, and after the last as it comes."""
        table = self._active
        names = ["", *(column.heading for column in table.orders())]
        self._sorted_by[table.name] = names[(names.index(self._sorted_by.get(table.name, "")) + 1) % len(names)]
        self._draw()

    def action_pause(self) -> None:
        """Pause the selected queue, or let it go on."""
        name = self._selected(TABLES[0])
        if self._active is not TABLES[0] or name is None or self._snapshot is None:
            self.notify("select a queue", severity="warning")
            return
        paused = any(row["paused"] for row in self._snapshot.queues if row["queue"] == name)
        call, verb = (calls.resume(name), "resume") if paused else (calls.pause(name), "pause")
        self._act(f'{verb} queue "{name}"', call)

    def action_retry(self) -> None:
        """Make the selected dead letter ready again."""
        self._on_job("dead", "retry", calls.retry)

    def action_cancel(self) -> None:
        """Cancel the selected job, or tell it to stop."""
        self._on_job("running", "cancel", calls.cancel)

    def _on_job(self, where: str, verb: str, make: Any) -> None:
        table = next(table for table in TABLES if table.name == where)
        job = self._selected(table)
        if self._active is not table or job is None:
            self.notify(f"select a job under {table.title}", severity="warning")
            return
        self._act(f"{verb} job {job}", make(int(job)))

    @work(group="act")
    async def _act(self, what: str, call: calls.Call[Any]) -> None:
        if not await self.push_screen_wait(Confirm(f"{what}?")):
            return
        try:
            await asyncio.to_thread(self._source.run, call)
        except (PgQueueError, psycopg.Error) as error:
            said = str(error) if isinstance(error, PgQueueError) else reason_of(error)
            self.notify(shown(f"{what}: {said}"), severity="error", markup=False)
        else:
            self.notify(shown(f"{what}: done"), markup=False)
        self.read()


def shown(text: str) -> str:
    """A text of the database without what would steer the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _style(row: Row) -> str:
    if row.get("stuck"):
        return "bold red"
    if row.get("paused") or row.get("alive") is False:
        return "yellow"
    return ""
