"""`pgq workers`: who works, on what, and who is stuck where."""

from typing import Annotated

import typer

from pgqueue.cli import output
from pgqueue.cli.command import command
from pgqueue.cli.output import print_json, print_line, text
from pgqueue.cli.session import Session

FIRST = "0.1.0"  # it did not say its version

COLUMNS: tuple[output.Column, ...] = (
    ("id", text("id")),
    ("host", text("host")),
    ("pid", text("pid")),
    ("alive", text("alive")),
    ("stuck", text("stuck")),
    ("since", text("stuck_since")),
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


_Stacks = Annotated[
    int | None,
    typer.Option(
        "--stacks",
        metavar="ID",
        help="Show what was seen of this worker when it stood still or ended, and where it stood; 0: of all, lately.",
    ),
]


def workers(session: Session, stacks: _Stacks = None) -> None:
    """List the worker processes, the living ones first; which of them are stuck, and since when."""
    if stacks is not None:
        _incidents(session, stacks or None)
        return
    rows = session.rows("workers")
    print_json(rows) if session.as_json else output.print_table(rows, COLUMNS, empty="no workers")


def _incidents(session: Session, worker: int | None) -> None:
    rows = session.rows("incidents", {"worker": worker})
    if session.as_json:
        print_json(rows)
        return
    if not rows:
        of = f" of worker {worker}" if worker else ""
        print_line(f"nothing{of} was seen to stand still in the last 7 days")
    for row in rows:
        jobs = f", jobs {','.join(map(str, row['jobs']))}" if row["jobs"] else ""
        who = f"worker {row['worker_id']} ({row['host']}, pid {row['pid']}{jobs})"
        print_line(output.clean(f"{output.show(row['at'])} {row['kind']} {who}: {row['detail']}"))
        for line in (row["stack"] or "").splitlines():
            print_line(f"    {output.clean(line)}")
