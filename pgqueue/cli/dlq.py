"""`pgq dlq`: look at the dead letters, put them back into their queues, or delete them."""

import sys
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from pgqueue import calls
from pgqueue.cli import failure, jobs, output, values
from pgqueue.cli.command import command
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument
from pgqueue.job import State
from pgqueue.listing.filters import Filters

BATCH = 500
Queue = Annotated[str | None, typer.Option("--queue", "-q", help="Only this queue.")]
Task = Annotated[str | None, typer.Option("--task", "-t", help="Only this task.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
_AGE: dict[str, Any] = {"metavar": "TIME", "parser": values.option_type(values.duration)}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "ls")(ls)
    command(app, "redrive")(redrive)
    command(app, "purge")(purge)


def ls(
    session: Session,
    queue: Queue = None,
    task: Task = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=jobs.MOST, help="At most so many.")] = 50,
    before: jobs.Before = None,
) -> None:
    """List dead letters, newest first."""
    asked = Filters(states=(State.DEAD,), queue=queue, task=task)
    jobs.print_page(session, asked, limit=limit, before=before, empty="no dead letters")


def redrive(
    session: Session,
    queue: Queue = None,
    task: Task = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many, oldest first.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Make dead letters ready again. Those whose key another job holds stay, and are named."""
    if dry_run:
        plan = session.rows("redrive_plan", {"queue": queue, "task": task})[0]
        movable = plan["movable"] if limit is None else min(plan["movable"], limit)
        if session.as_json:
            print_json({"would_redrive": movable, "held_by_key": plan["held"]})
        else:
            held = f"; {plan['held']} would stay, as another job holds their key" if plan["held"] else ""
            print_line(f"{movable} dead letters would be ready again{held}")
        return
    kept: list[str] = []
    session.conn.add_notice_handler(lambda notice: kept.append(notice.message_primary or ""))
    moved = session.run(calls.redrive(queue, task, limit))
    for warning in kept:
        failure.say(warning)
    print_json({"redriven": moved, "warnings": kept}) if session.as_json else print_line(
        f"{moved} jobs are ready again"
    )


def purge(
    session: Session,
    queue: Queue = None,
    task: Task = None,
    older_than: Annotated[
        timedelta | None, typer.Option("--older-than", help="Only those dead for so long.", **_AGE)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Delete dead letters for good, with their arguments and attempts."""
    before: datetime | None = session.rows("ago", {"age": older_than})[0]["moment"] if older_than is not None else None
    filters = {"queue": queue, "task": task, "before": before}
    if dry_run:
        _show_plan(session, filters)
        return
    if not yes:
        _ask(session, filters)
    deleted = _purge(session, filters)
    print_json({"deleted": deleted}) if session.as_json else print_line(f"{deleted} dead letters deleted")


def _show_plan(session: Session, filters: dict[str, Any]) -> None:
    plan = session.rows("purge_plan", filters)
    if session.as_json:
        print_json(plan)
        return
    columns = [(name, output.text(name)) for name in ("queue", "task", "jobs", "oldest", "newest")]
    output.print_table(plan, columns, empty="nothing to delete")


def _ask(session: Session, filters: dict[str, Any]) -> None:
    if not sys.stdin.isatty():
        raise InvalidArgument("purge deletes for good: add --yes, or --dry-run to see what it would delete")
    count = sum(row["jobs"] for row in session.rows("purge_plan", filters))
    typer.confirm(f"Delete {count} dead letters for good?", abort=True, err=True)


def _purge(session: Session, filters: dict[str, Any]) -> int:
    """Delete in batches, each a transaction of its own."""
    deleted, after = 0, 0
    while True:
        batch = session.rows("purge", {**filters, "after": after, "limit": BATCH})
        deleted += len(batch)
        if len(batch) < BATCH:
            return deleted
        after = max(row["id"] for row in batch)
