"""`pgq enqueue`: one job from the command line, or a file of them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from pgqueue import calls
from pgqueue.cli import bulk, values
from pgqueue.cli.command import command
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument
from pgqueue.job import NewJob

_DURATION: dict[str, Any] = {"metavar": "TIME", "parser": values.option_type(values.duration)}
_MOMENT: dict[str, Any] = {"metavar": "ISO", "parser": values.option_type(values.moment)}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "enqueue")(enqueue)


def enqueue(
    session: Session,
    task: Annotated[str | None, typer.Argument(help="The name of the task.", envvar="PGQ_ENQUEUE_TASK")] = None,
    args: Annotated[
        str | None, typer.Option("--args", metavar="JSON", help="The arguments, a JSON object; @FILE, or - for stdin.")
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", "-q", help='The queue, "default" unless given.')] = None,
    priority: Annotated[int | None, typer.Option("--priority", help="From -100 to 100; lower runs first.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="One unfinished job per queue and key.")] = None,
    key_policy: Annotated[
        str | None, typer.Option("--key-policy", help="When the key is taken: skip, replace or raise.")
    ] = None,
    key_period: Annotated[
        timedelta | None, typer.Option("--key-period", help="The key holds at least so long.", **_DURATION)
    ] = None,
    delay: Annotated[
        timedelta | None, typer.Option("--delay", help="Due in 30s, 10m, 1h30m, 2d ...", **_DURATION)
    ] = None,
    run_at: Annotated[
        datetime | None, typer.Option("--run-at", help="Due at this time, with its zone.", **_MOMENT)
    ] = None,
    max_attempts: Annotated[int | None, typer.Option("--max-attempts", help="Tries in all; else the task's.")] = None,
    timeout: Annotated[
        timedelta | None,
        typer.Option("--timeout", help="The longest that a try may take; else the task's.", **_DURATION),
    ] = None,
    expires_in: Annotated[
        timedelta | None, typer.Option("--expires-in", help="Cancelled if it has not started by then.", **_DURATION)
    ] = None,
    expires_at: Annotated[
        datetime | None, typer.Option("--expires-at", help="Cancelled if it has not started by then.", **_MOMENT)
    ] = None,
    meta: Annotated[str | None, typer.Option("--meta", metavar="JSON", help="Kept beside the arguments.")] = None,
    many: Annotated[
        str | None,
        typer.Option(
            "--many",
            metavar="FILE",
            help="Enqueue each line of FILE (- for stdin): a JSON object with task, args, queue ... The task and "
            "options given beside it count where a line says nothing. All lines are added, or none.",
        ),
    ] = None,
) -> None:
    """Add a job and print its id."""
    if expires_in is not None and expires_at is not None:
        raise InvalidArgument("--expires-in and --expires-at are two answers to one question; give one of them")
    if delay is not None and run_at is not None:
        raise InvalidArgument("--delay and --run-at are two answers to one question; give one of them")
    if expires_in is not None:
        expires_at = _from_now(expires_in)
    given = {
        "task": task,
        "args": None if args is None else values.json_object(values.text_of(args, name="--args"), name="--args"),
        "queue": queue,
        "priority": priority,
        "key": key,
        "key_policy": key_policy,
        "key_period": key_period,
        "delay": delay,
        "run_at": run_at,
        "max_attempts": max_attempts,
        "timeout": timeout,
        "expires_at": expires_at,
        "meta": None if meta is None else values.json_object(values.text_of(meta, name="--meta"), name="--meta"),
    }
    job = {name: value for name, value in given.items() if value is not None}
    if many is not None:
        bulk.enqueue_file(session, many, defaults=job)
    else:
        _enqueue_one(session, job)


def _enqueue_one(session: Session, job: dict[str, Any]) -> None:
    if "task" not in job:
        raise InvalidArgument("which task? Write `pgq enqueue TASK --args JSON`, or --many FILE")
    job_id = session.run(calls.enqueue(NewJob(**job)))
    print_json({"id": job_id}) if session.as_json else print_line(str(job_id))


def _from_now(wait: timedelta) -> datetime:
    try:
        return datetime.now(UTC) + wait
    except OverflowError:
        raise InvalidArgument(f"--expires-in: {wait} is too long") from None
