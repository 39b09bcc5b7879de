"""`pgq migrate`: brings a database to the schema of this version, or says what that would do."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli.command import command
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument

if TYPE_CHECKING:
    from pgqueue.migrate import Revision


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "migrate")(migrate)


def migrate(
    session: Session,
    plan: Annotated[bool, typer.Option("--plan", help="Only list what is pending.")] = False,
    sql: Annotated[
        bool, typer.Option("--sql", help="Only print the whole script for psql; needs no database.")
    ] = False,
) -> None:
    """Create or update the queue's schema. Safe to run any number of times, also at once."""
    from pgqueue import migrate as migrations

    if plan and sql:
        raise InvalidArgument("--plan and --sql are two answers to one question; give one of them")
    if sql:
        script = migrations.offline_sql(session.schema)
        print_json({"sql": script}) if session.as_json else print_line(script.rstrip())
    elif plan:
        _tell(session, migrations.plan(session.dsn, session.schema), "pending")
    else:
        _tell(session, migrations.upgrade(session.dsn, session.schema), "applied")


def _tell(session: Session, revisions: "list[Revision]", word: str) -> None:
    if session.as_json:
        rows = [{"revision": r.id, "title": r.title, "may_lock": r.may_lock, "state": word} for r in revisions]
        print_json(rows)
        return
    for revision in revisions:
        lock = "may hold up running workers while it runs" if revision.may_lock else "holds nobody up"
        print_line(f"{word} {revision.id}: {revision.title}" + (f" ({lock})" if word == "pending" else ""))
    if not revisions:
        print_line(f'schema "{session.schema}" is up to date')
