"""`pgq queues`: list, pause, resume, share fairly."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import typer

from pgqueue import calls
from pgqueue.cli import output, values
from pgqueue.cli.command import command
from pgqueue.cli.failure import Failed
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument

_DURATION: dict[str, Any] = {"metavar": "TIME", "parser": values.option_type(values.duration)}
_COUNTS = ("scheduled", "blocked", "ready", "running", "succeeded", "cancelled", "dead")
_HISTORY = {"succeeded", "cancelled"}


def _count(name: str) -> Callable[[output.Row], str]:
    """Return how a count is shown: an estimate with a ~ before it."""
    mark = "history_estimated" if name in _HISTORY else "estimated"
    return lambda row: f"{'~' if row[mark] else ''}{row[name]}"


COLUMNS: tuple[output.Column, ...] = (
    ("queue", output.text("queue")),
    ("paused", output.text("paused")),
    *((name, _count(name)) for name in _COUNTS),
    ("oldest due", output.text("oldest_due_age")),
    ("done/min", output.text("throughput")),
    ("failed/min", output.text("failures")),
    ("fair", output.text("fair")),
    ("aging", output.text("aging")),
    ("max depth", output.text("max_depth")),
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "ls")(ls)
    command(app, "pause")(pause)
    command(app, "resume")(resume)
    command(app, "set")(set_)
    command(app, "share")(share)


def ls(session: Session) -> None:
    """List the queues: jobs by state, how long the oldest due one has waited, jobs a minute. ~ marks estimates."""
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


def set_(
    session: Session,
    queue: Annotated[str, typer.Argument(envvar="PGQ_QUEUES_SET_QUEUE", help="The queue.")],
    fair: Annotated[
        bool | None, typer.Option("--fair/--no-fair", help="Whether jobs with a fair_key take turns by their keys.")
    ] = None,
    aging: Annotated[
        timedelta | None,
        typer.Option("--aging", help="A job that waited so long counts as one priority higher; 0: never.", **_DURATION),
    ] = None,
    max_depth: Annotated[
        int | None,
        typer.Option("--max-depth", help="Refuse new jobs while it holds so many unfinished ones; 0: never.", min=0),
    ] = None,
) -> None:
    """Say how a queue deals its jobs out, and how many it takes. What is left out stays as it is; it holds at once."""
    wanted = {"fair": fair, "aging": aging, "max_depth": max_depth}
    if all(value is None for value in wanted.values()):
        raise InvalidArgument("give --fair, --no-fair, --aging or --max-depth")
    changed = session.rows("queue_set", {"queue": queue, **wanted})[0]["changed"]
    now = session.rows("queue_policy", {"queue": queue})[0]
    if session.as_json:
        print_json({"queue": queue, **now, "changed": changed})
        return
    aged = f"aging {output.span(now['aging'])}" if now["aging"] else "no aging"
    bound = f"at most {now['max_depth']} jobs" if now["max_depth"] else "any number of jobs"
    fairly = "fair" if now["fair"] else "not fair"
    print_line(f'queue "{queue}" is {"" if changed else "already "}{fairly}, {aged}, {bound}')


def share(
    session: Session,
    queue: Annotated[str, typer.Argument(envvar="PGQ_QUEUES_SHARE_QUEUE", help="The queue.")],
    key: Annotated[str, typer.Argument(envvar="PGQ_QUEUES_SHARE_KEY", help="The fair_key of its jobs.")],
    weight: Annotated[
        int, typer.Argument(envvar="PGQ_QUEUES_SHARE_WEIGHT", help="Of 1 to 1000; a key that was never told has 1.")
    ],
) -> None:
    """Give a key of a fair queue so much of it, in proportion to the other keys that have work."""
    changed = session.rows("queue_share", {"queue": queue, "key": key, "weight": weight})[0]["changed"]
    if session.as_json:
        print_json({"queue": queue, "key": key, "weight": weight, "changed": changed})
        return
    print_line(f'key "{key}" of queue "{queue}" {"now" if changed else "already"} has weight {weight}')


def _tell(session: Session, queue: str, *, paused: bool, changed: bool) -> None:
    if session.as_json:
        print_json({"queue": queue, "paused": paused, "changed": changed})
        return
    print_line(f'queue "{queue}" is {"" if changed else "already "}{"paused" if paused else "running"}')


def _require_known(session: Session, queue: str) -> None:
    if not session.rows("queue_known", {"queue": queue})[0]["known"]:
        names = ", ".join(row["queue"] for row in session.rows("queues"))
        raise Failed(f'there is no queue "{queue}"; there {f"are: {names}" if names else "are none yet"}')
