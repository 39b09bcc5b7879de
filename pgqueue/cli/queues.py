"""`pgq queues`: list, pause, resume."""

from typing import Annotated

import typer

from pgqueue import calls
from pgqueue.cli import output
from pgqueue.cli.command import command
from pgqueue.cli.failure import Failed
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session

_COUNTS = ("scheduled", "blocked", "ready", "running", "succeeded", "cancelled", "dead")
COLUMNS: tuple[output.Column, ...] = (
    ("queue", output.text("queue")),
    ("paused", output.text("paused")),
    *((name, output.text(name)) for name in _COUNTS),
    ("oldest due", output.text("oldest_due_age")),
    ("done/min", output.text("throughput")),
    ("failed/min", output.text("failures")),
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "ls")(ls)
    command(app, "pause")(pause)
    command(app, "resume")(resume)


def ls(session: Session) -> None:
    """List the queues: jobs by state, how long the oldest due one has waited, jobs a minute."""
    rows = session.rows("queues")
    print_json(rows) if session.as_json else output.print_table(rows, COLUMNS, empty="no queue has a job or a worker")


def pause(
    session: Session, queue: Annotated[str, typer.Argument(envvar="PGQ_QUEUES_PAUSE_QUEUE", help="The queue.")]
) -> None:
    """Stop claims from a queue; running jobs go on."""
    _require_known(session, queue)
    _tell(session, queue, paused=True, changed=session.run(calls.pause(queue)))


def resume(
    session: Session, queue: Annotated[str, typer.Argument(envvar="PGQ_QUEUES_RESUME_QUEUE", help="The queue.")]
) -> None:
    """Let claims from a queue go on."""
    _require_known(session, queue)
    _tell(session, queue, paused=False, changed=session.run(calls.resume(queue)))


def _tell(session: Session, queue: str, *, paused: bool, changed: bool) -> None:
    if session.as_json:
        print_json({"queue": queue, "paused": paused, "changed": changed})
        return
    print_line(f'queue "{queue}" is {"" if changed else "already "}{"paused" if paused else "running"}')


def _require_known(session: Session, queue: str) -> None:
    if not session.rows("queue_known", {"queue": queue})[0]["known"]:
        names = ", ".join(row["queue"] for row in session.rows("queues"))
        raise Failed(f'there is no queue "{queue}"; there {f"are: {names}" if names else "are none yet"}')
