"""`pgq workers`: who works, and on what."""

import typer

from pgqueue.cli import output
from pgqueue.cli.command import command
from pgqueue.cli.output import print_json, text
from pgqueue.cli.session import Session

FIRST = "0.1.0"  # it did not say its version

COLUMNS: tuple[output.Column, ...] = (
    ("id", text("id")),
    ("host", text("host")),
    ("pid", text("pid")),
    ("alive", text("alive")),
    ("running", lambda worker: f"{worker['running']}/{worker['concurrency']}"),
    ("queues", text("queues")),
    ("tasks", lambda worker: str(len(worker["tasks"]))),
    ("started", text("started_at")),
    ("heartbeat", text("heartbeat_at")),
    ("version", lambda worker: worker["version"] or FIRST),
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "workers")(workers)


def workers(session: Session) -> None:
    """List the worker processes, the living ones first."""
    rows = session.rows("workers")
    print_json(rows) if session.as_json else output.print_table(rows, COLUMNS, empty="no workers")
