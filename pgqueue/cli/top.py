"""`pgq top`: the queue as it is now, live on a terminal, once in a pipe."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgqueue.cli import output, values
from pgqueue.cli.command import command
from pgqueue.cli.session import Session, shown
from pgqueue.errors import InvalidArgument
from pgqueue.extra import require

if TYPE_CHECKING:
    from pgqueue.top.source import Source

LEAST = timedelta(milliseconds=500)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "top")(top)


def top(
    session: Session,
    once: Annotated[
        bool, typer.Option("--once", help="Print what there is now and end; so it does in a pipe.")
    ] = False,
    interval: Annotated[
        timedelta,
        typer.Option("--interval", metavar="TIME", parser=values.option_type(values.duration), help="Read so often."),
    ] = timedelta(seconds=2),
) -> None:
    """Watch queues, workers, running jobs and dead letters; pause, retry and cancel by key."""
    from pgqueue.top.source import Source

    if interval < LEAST:
        raise InvalidArgument("interval: must be at least 500ms")
    session.conn  # noqa: B018 - what is wrong with the database is said before the screen is taken
    source = Source(session.dsn, session.schema)
    try:
        if once or session.as_json or not output.is_terminal():
            _print(session, source)
        else:
            _watch(session, source, interval)
    finally:
        source.close()


def _print(session: Session, source: "Source") -> None:
    from pgqueue.top.tables import TABLES

    snapshot = source.read()
    if session.as_json:
        output.print_json({table.name: getattr(snapshot, table.name) for table in TABLES})
        return
    for place, table in enumerate(TABLES):
        output.print_line(f"{chr(10) if place else ''}{table.title}:")
        columns: list[output.Column] = [(column.heading, _text(column)) for column in table.columns]
        output.print_table(getattr(snapshot, table.name), columns, empty=table.empty)


def _text(column: Any) -> Any:
    return lambda row: column.text(dict(row))


def _watch(session: Session, source: "Source", interval: timedelta) -> None:
    require("textual", extra="top", for_what="pgq top on a terminal (--once needs nothing)")
    from pgqueue.top.screen import Top

    where = f"pgq top  {shown(session.dsn)}  {session.schema}"
    Top(source, interval_seconds=interval.total_seconds(), where=where).run()
