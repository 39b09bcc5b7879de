"""`pgq enqueue`: one job from the command line, or a file of them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from pgqueue import calls
from pgqueue.cli import bulk
from pgqueue.cli import joboptions as options
from pgqueue.cli.command import command
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument
from pgqueue.job import NewJob

_Task = Annotated[str | None, typer.Argument(help="The name of the task.", envvar="PGQ_ENQUEUE_TASK")]
_Many = Annotated[
    str | None,
    typer.Option(
        "--many",
        metavar="FILE",
        help="Enqueue each line of FILE (- for stdin): a JSON object with task, args, queue ... The task and "
        "options given beside it count where a line says nothing. All lines are added, or none.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "enqueue")(enqueue)


def enqueue(
    session: Session,
    task: _Task = None,
    args: Annotated[str | None, options.ARGS] = None,
    queue: options.Queue = None,
    priority: options.Priority = None,
    key: options.Key = None,
    key_policy: options.KeyPolicy = None,
    key_period: options.KeyPeriod = None,
    delay: options.Delay = None,
    run_at: options.RunAt = None,
    max_attempts: options.MaxAttempts = None,
    timeout: options.Timeout = None,
    expires_in: options.ExpiresIn = None,
    expires_at: options.ExpiresAt = None,
    meta: options.Meta = None,
    many: _Many = None,
) -> None:
    """Add a job and print its id."""
    if delay is not None and run_at is not None:
        raise InvalidArgument("--delay and --run-at are two answers to one question; give one of them")
    given = {
        "task": task,
        "args": options.object_of(args, name="--args"),
        "queue": queue,
        "priority": priority,
        "key": key,
        "key_policy": key_policy,
        "key_period": key_period,
        "delay": delay,
        "run_at": run_at,
        "max_attempts": max_attempts,
        "timeout": timeout,
        "expires_at": _expiry(expires_in, expires_at),
        "meta": options.object_of(meta, name="--meta"),
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


def _expiry(wait: timedelta | None, moment: datetime | None) -> datetime | None:
    if wait is None:
        return moment
    if moment is not None:
        raise InvalidArgument("--expires-in and --expires-at are two answers to one question; give one of them")
    try:
        return datetime.now(UTC) + wait
    except OverflowError:
        raise InvalidArgument(f"--expires-in: {wait} is too long") from None
