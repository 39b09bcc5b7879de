"""`pgq limits`: list, set, remove."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from pgqueue.cli import output, values
from pgqueue.cli.command import command
from pgqueue.cli.failure import Failed
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session

MOST = 100_000
_DURATION: dict[str, Any] = {"metavar": "TIME", "parser": values.option_type(values.duration)}
_Name = Annotated[str | None, typer.Argument(envvar="PGQ_LIMITS_LS_NAME", help="Only this limit, and who holds it.")]


def _rate(row: output.Row) -> str:
    return "-" if row["rate"] is None else f"{row['rate']:g} per {output.span(row['per'])}"


COLUMNS: tuple[output.Column, ...] = (
    ("limit", output.text("name")),
    ("key", output.text("key")),
    ("rate", _rate),
    ("burst", output.text("burst")),
    ("concurrency", output.text("concurrency")),
    ("held", output.text("held")),
    ("waiting", output.text("waiting")),
    ("in code", output.text("in_code")),
)
HOLDERS: tuple[output.Column, ...] = (
    ("key", output.text("key")),
    ("job", output.text("job_id")),
    ("task", output.text("task")),
    ("worker", output.text("worker_id")),
    ("weight", output.text("weight")),
    ("since", output.text("granted_at")),
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "ls")(ls)
    command(app, "set")(set_)
    command(app, "rm")(rm)


def ls(
    session: Session,
    name: _Name = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST, help="At most so many rows.")] = 100,
) -> None:
    """List the limits by key: their rules, permits that are out, jobs that wait. With a name also who holds permits."""
    rows = session.rows("limits", {"name": name, "limit": limit})
    if name is None:
        print_json(rows) if session.as_json else output.print_table(rows, COLUMNS, empty="there is no limit")
        return
    _require_known(session, name)
    holders = session.rows("limit_holders", {"name": name, "limit": limit})
    if session.as_json:
        print_json({"limits": rows, "holders": holders})
        return
    output.print_table(rows, COLUMNS, empty="there is no limit")
    print_line()
    output.print_table(holders, HOLDERS, empty="nobody holds a permit")


def set_(
    session: Session,
    name: Annotated[str, typer.Argument(envvar="PGQ_LIMITS_SET_NAME", help="The limit.")],
    rate: Annotated[float | None, typer.Option("--rate", help="So many starts ...")] = None,
    per: Annotated[timedelta, typer.Option("--per", help="... in so long: 1s, 1m, 1h ...", **_DURATION)] = timedelta(
        seconds=1
    ),
    burst: Annotated[
        int | None, typer.Option("--burst", help="At most so many at once; a tenth of a second's unless given.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", "-c", help="At most so many that run at the same time.")
    ] = None,
) -> None:
    """Make a limit, or give an existing one this rule, which holds at once: what is left out is off.

    It stays until the rule in the code changes.
    """
    given = {"name": name, "rate": rate, "per": per, "burst": burst, "concurrency": concurrency}
    verdict = session.rows("limit_set", given)[0]["verdict"]
    if session.as_json:
        print_json({"limit": name, "verdict": verdict})
        return
    print_line(f'limit "{name}" {"is as it was" if verdict == "unchanged" else f"was {verdict}"}')


def rm(session: Session, name: Annotated[str, typer.Argument(envvar="PGQ_LIMITS_RM_NAME", help="The limit.")]) -> None:
    """Remove a limit. Jobs that name it are held until it is set again; code that declares it does so at a start."""
    _require_known(session, name)
    removed = session.rows("limit_rm", {"name": name})[0]["removed"]
    print_json({"limit": name, "removed": removed}) if session.as_json else print_line(f'limit "{name}" removed')


def _require_known(session: Session, name: str) -> None:
    if not session.rows("limit_known", {"name": name})[0]["known"]:
        names = ", ".join(row["name"] for row in session.rows("limit_names"))
        raise Failed(f'there is no limit "{name}"; there {f"are: {names}" if names else "are none yet"}')
