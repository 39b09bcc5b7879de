"""`pgq stats`: the overall numbers."""

from typing import Any

import typer

from pgqueue.cli import output
from pgqueue.cli.command import command
from pgqueue.cli.output import print_json, show
from pgqueue.cli.session import Session

EXACT = 10_000  # the history is counted up to here; above, its size is estimated
_STATES = ("scheduled", "blocked", "ready", "running", "succeeded", "cancelled", "dead")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "stats")(stats)


def stats(session: Session) -> None:
    """Print the overall numbers: jobs by state, backlog, rates, workers, schema."""
    numbers = _numbers(session)
    if session.as_json:
        print_json(numbers)
        return
    about = "~" if numbers["history_estimated"] else ""
    rows = [(name, f"{about if name in {'succeeded', 'cancelled'} else ''}{numbers[name]}") for name in _STATES]
    rows += [
        ("backlog", f"{numbers['backlog']} (due or running)"),
        ("oldest due", show(numbers["oldest_due_age"])),
        ("done/min", f"{numbers['throughput']} (last 5 minutes)"),
        ("failed/min", f"{numbers['failures']} (last 5 minutes)"),
        ("workers", f"{numbers['workers']} alive"),
        ("schema", f"{session.schema} at {show(numbers['migration'])}"),
    ]
    output.print_fields(rows)


def _numbers(session: Session) -> dict[str, Any]:
    from pgqueue.migrate.session import read_revision

    numbers = session.rows("stats")[0]
    history = session.rows("history_count", {"most": EXACT})[0]
    estimated = history["succeeded"] + history["cancelled"] > EXACT
    if estimated:
        history = session.rows("history_estimate")[0]
    revision = read_revision(session.conn, session.schema)
    return {**numbers, **history, "history_estimated": estimated, "schema": session.schema, "migration": revision}
