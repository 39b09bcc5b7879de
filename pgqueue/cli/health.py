"""`pgq health`: the checks of a probe, each on a line of its own; 1 when one of them fails."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

import typer

from pgqueue.cli import failure, output, values
from pgqueue.cli.command import command
from pgqueue.cli.output import clean, print_json, span
from pgqueue.cli.session import Session
from pgqueue.errors import DatabaseUnavailable, MigrationsPending, VersionTooOld

_TIME: dict[str, Any] = {"metavar": "TIME", "parser": values.option_type(values.duration)}


class Check(NamedTuple):
    """One thing that must hold."""

    check: str
    ok: bool
    detail: str


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "health")(health)


def health(
    session: Session,
    max_lag: Annotated[
        timedelta,
        typer.Option("--max-lag", help="The longest a due job may have waited, paused queues aside.", **_TIME),
    ] = timedelta(minutes=5),
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Do not ask for a living worker.")] = False,
) -> int:
    """Check that the database is reachable, migrated and worked on. Exit status 0 when all is well, 1 when not."""
    checks = list(_checks(session, max_lag, no_worker=no_worker))
    if session.as_json:
        print_json([check._asdict() for check in checks])
    else:
        output.print_fields(
            (check.check, f"{'ok' if check.ok else 'FAILED'}  {clean(check.detail)}") for check in checks
        )
    return failure.DONE if all(check.ok for check in checks) else failure.FAILED


def _checks(session: Session, max_lag: timedelta, *, no_worker: bool) -> Iterator[Check]:
    """Check in order; when one fails on which the others rest, they are left out."""
    try:
        session.conn  # noqa: B018 - connects
    except DatabaseUnavailable as error:
        yield Check("database", False, str(error))
        return
    except (MigrationsPending, VersionTooOld) as error:
        yield Check("database", True, "reachable")
        yield Check("migrations", False, str(error))
        return
    yield Check("database", True, "reachable")
    yield Check("migrations", True, "current")
    if not no_worker:
        alive = sum(worker["alive"] for worker in session.rows("workers"))
        yield Check("workers", alive > 0, f"{alive} alive")
    yield _lag(session.rows("lag"), max_lag)


def _lag(queues: list[dict[str, Any]], max_lag: timedelta) -> Check:
    """The oldest due job of the queues that are served; a paused queue waits because somebody wanted it so."""
    served = [queue for queue in queues if not queue["paused"]]
    late = [f'"{queue["queue"]}" {span(queue["age"])}' for queue in served if queue["age"] > max_lag]
    if late:
        return Check("lag", False, f"due for longer than {span(max_lag)}: {', '.join(late)}")
    longest = span(served[0]["age"]) if served else "nothing is due"
    return Check("lag", True, f"{longest} (at most {span(max_lag)})" if served else longest)
