"""`pgq jobs retry`, `cancel`, `rm`: each job by itself, so that one refusal does not stop the others."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from pgqueue import calls
from pgqueue.cli import failure
from pgqueue.cli.command import command
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import JobNotFound, KeyTaken, StateConflict
from pgqueue.job import State


def _ids(verb: str) -> Any:
    return Annotated[list[int], typer.Argument(metavar="ID...", envvar=f"PGQ_JOBS_{verb}_IDS", help="The jobs.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "retry")(retry)
    command(app, "cancel")(cancel)
    command(app, "rm")(rm)


def retry(session: Session, ids: _ids("RETRY")) -> int:  # type: ignore[valid-type]
    """Make dead, cancelled and scheduled jobs ready now, with their counts of failures at zero."""

    def one(job_id: int) -> tuple[str, str]:
        session.run(calls.retry(job_id))
        return "ready", "ready again"

    return _each(session, ids, one)


def cancel(session: Session, ids: _ids("CANCEL")) -> int:  # type: ignore[valid-type]
    """Cancel waiting jobs, and tell running ones to stop."""

    def one(job_id: int) -> tuple[str, str]:
        found = session.run(calls.cancel(job_id))
        if found is State.RUNNING:
            return found, "running: told to stop"
        return (State.CANCELLED, f"cancelled, was {found}") if found.unfinished else (found, f"already {found}")

    return _each(session, ids, one)


def rm(session: Session, ids: _ids("RM")) -> int:  # type: ignore[valid-type]
    """Delete finished and dead jobs with their arguments and attempts. Unfinished ones have to be cancelled first."""

    def one(job_id: int) -> tuple[str, str]:
        found = session.rows("remove", {"id": job_id})[0]["state"]
        return "removed", f"removed, was {found}"

    return _each(session, ids, one)


def _each(session: Session, ids: list[int], one: Callable[[int], tuple[str, str]]) -> int:
    """Do one thing to each job and report each; 1 if any could not be done."""
    from psycopg import Error

    status = failure.DONE
    results: list[dict[str, object]] = []
    session.conn  # noqa: B018 - what is wrong with the database is said once, not for each job
    for job_id in dict.fromkeys(ids):
        try:
            state, told = one(job_id)
        except Error as error:
            refused = failure.ours(error)
            if not isinstance(refused, JobNotFound | StateConflict | KeyTaken):
                raise
            status = failure.FAILED
            results.append({"id": job_id, "error": str(refused)})
            failure.say(str(refused))
        else:
            results.append({"id": job_id, "state": state})
            if not session.as_json:
                print_line(f"job {job_id}: {told}")
    if session.as_json:
        print_json(results)
    return status
