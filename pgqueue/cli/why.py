"""`pgq why`: what holds a job back right now."""

from dataclasses import asdict
from typing import Annotated

import typer

from pgqueue import calls
from pgqueue.cli import output
from pgqueue.cli.command import command
from pgqueue.cli.output import print_json, text
from pgqueue.cli.session import Session

COLUMNS: tuple[output.Column, ...] = (("gate", text("gate")), ("detail", text("detail")))


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "why")(why)


def why(
    session: Session, job_id: Annotated[int, typer.Argument(metavar="ID", envvar="PGQ_WHY_ID", help="The job.")]
) -> None:
    """Say what holds a job back right now, a line for each gate, and what to do about it."""
    rows = [asdict(gate) for gate in session.run(calls.why(job_id))]
    print_json(rows) if session.as_json else output.print_table(rows, COLUMNS, empty="nothing holds it back")
