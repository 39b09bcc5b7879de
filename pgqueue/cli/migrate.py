"""`pgq migrate`: brings a database to the schema of this version, or says what that would do."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli import failure, output
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
    force: Annotated[
        bool, typer.Option("--force", help="Apply also what living workers of older versions cannot survive.")
    ] = False,
) -> None:
    """Create or update the queue's schema. Safe to run any number of times, also at once, and again after a failure."""
    from pgqueue import migrate as migrations

    if plan and sql:
        raise InvalidArgument("--plan and --sql are two answers to one question; give one of them")
    if sql:
        script = migrations.offline_sql(session.schema)
        print_json({"sql": script}) if session.as_json else output.print_script(script.rstrip())
    elif plan:
        planned = migrations.plan(session.dsn, session.schema)
        _tell(session, planned, "pending", migrations.hindrances(session.dsn, session.schema, planned))
    else:
        applied = migrations.upgrade(session.dsn, session.schema, force=force, tell=failure.say)
        _tell(session, applied, "applied", [""] * len(applied))


def _tell(session: Session, revisions: "list[Revision]", word: str, hindrances: list[str]) -> None:
    if session.as_json:
        print_json([_row(step, word, hindrance) for step, hindrance in zip(revisions, hindrances, strict=True)])
        return
    for revision, hindrance in zip(revisions, hindrances, strict=True):
        about = f" ({_about(revision)})" if word == "pending" else ""
        print_line(f"{word} {revision.id}: {revision.title}{about}")
        if hindrance:
            print_line(f"  refused as long as older workers live: {hindrance}")
    if not revisions:
        print_line(f'schema "{session.schema}" is up to date')


def _row(revision: "Revision", word: str, hindrance: str) -> dict[str, object]:
    row: dict[str, object] = {"revision": revision.id, "title": revision.title, "may_lock": revision.may_lock}
    row |= {"needs": revision.needs, "state": word}
    return row | ({"refused": hindrance or None} if word == "pending" else {})


def _about(revision: "Revision") -> str:
    lock = "may hold up running workers while it runs" if revision.may_lock else "holds nobody up"
    builds = "; builds indexes concurrently" if revision.concurrently else ""
    needs = f"; needs workers of {revision.needs} or later" if revision.needs else ""
    return f"{lock}{builds}{needs}"
