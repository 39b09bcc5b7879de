"""`pgq flows`: list, show, cancel, retry."""

from typing import Annotated, Any

import typer

from pgqueue import calls
from pgqueue.cli import failure, output
from pgqueue.cli.command import command
from pgqueue.cli.output import clean, print_json, print_line, show, text
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument, JobNotFound
from pgqueue.job import FlowState

MOST = 100_000
NODES = 200_000  # jobs that are counted for a page; 0.5 us each
WINDOW = 3_000  # flows that are looked at for a page
FIELDS = (
    *("id", "kind", "name", "state", "total", "succeeded", "failed", "cancelled", "skipped", "running", "waiting"),
    *("created_at", "finished_at"),
)
COLUMNS: tuple[output.Column, ...] = (
    ("id", text("id")),
    ("kind", text("kind")),
    ("name", text("name")),
    ("state", text("state")),
    ("jobs", text("total")),
    ("succeeded", text("succeeded")),
    ("failed", text("failed")),
    ("cancelled", text("cancelled")),
    ("running", text("running")),
    ("waiting", text("waiting")),
    ("created", text("created_at")),
)
JOBS: tuple[output.Column, ...] = (
    ("id", text("id")),
    ("name", text("name")),
    ("role", text("role")),
    ("task", lambda row: "(barrier)" if row["task"] is None else show(row["task"])),
    ("state", text("state")),
    ("after", lambda row: _after(row["after"])),
)


def _id(verb: str) -> Any:
    return Annotated[int, typer.Argument(metavar="ID", envvar=f"PGQ_FLOWS_{verb}_ID", help="The flow.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "ls")(ls)
    command(app, "show")(show_flow)
    command(app, "cancel")(cancel)
    command(app, "retry")(retry)


def ls(
    session: Session,
    state: Annotated[
        str | None, typer.Option("--state", "-s", help="Only this state: running, succeeded, failed or cancelled.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST, help="At most so many.")] = 50,
    before: Annotated[int | None, typer.Option("--before", metavar="ID", help="The page below this id.")] = None,
) -> None:
    """List flows, newest first, with their jobs counted by what became of them."""
    if state is not None and state not in list(FlowState):
        raise InvalidArgument(f'--state "{state}": the states are {", ".join(FlowState)}')
    bounds = {"nodes": NODES, "window": WINDOW}
    found = session.rows("flows", {"state": state, "limit": limit, "before": before, **bounds})
    rows = [{name: row[name] for name in FIELDS} for row in found if row["hit"]]
    print_json(rows) if session.as_json else output.print_table(rows, COLUMNS, empty="no such flow")
    if found and found[-1]["ended"]:
        stopped = "stopped after counting the jobs of many flows, to be kind to the database"
        failure.say(f"{stopped}: there may be more; go on with --before {found[-1]['id']}")


def show_flow(
    session: Session,
    flow_id: _id("SHOW"),  # type: ignore[valid-type]
    state: Annotated[
        str | None, typer.Option("--state", "-s", help="Only jobs in this state: dead, blocked, ready ...")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST, help="At most so many of its jobs.")] = 1000,
) -> None:
    """Show a flow and its jobs: what each waits for and where it is."""
    found = session.rows("flow", {"id": flow_id})
    if not found:
        raise JobNotFound(f"there is no flow {flow_id}: it never existed, was rolled back, or retention has dropped it")
    jobs = session.rows("flow_jobs", {"id": flow_id, "state": state, "limit": limit})
    if session.as_json:
        print_json({**found[0], "jobs": jobs})
        return
    output.print_fields((name, clean(show(value))) for name, value in found[0].items())
    print_line()
    output.print_table(jobs, JOBS, empty="no such job")


def cancel(session: Session, flow_id: _id("CANCEL")) -> None:  # type: ignore[valid-type]
    """Cancel what is unfinished of a flow, and tell what runs to stop."""
    _tell(session, flow_id, "cancelled", session.run(calls.cancel_flow(flow_id)))


def retry(session: Session, flow_id: _id("RETRY")) -> None:  # type: ignore[valid-type]
    """Run again what failed or was cancelled in a flow. What succeeded stays; callbacks that ran do not run again."""
    _tell(session, flow_id, "retried", session.run(calls.retry_flow(flow_id)))


def _tell(session: Session, flow_id: int, what: str, jobs: int) -> None:
    if session.as_json:
        print_json({"flow": flow_id, what: jobs})
        return
    print_line(f"flow {flow_id}: {jobs} job{'' if jobs == 1 else 's'} {what}")


def _after(ids: list[int]) -> str:
    if len(ids) > 5:
        return f"{','.join(map(str, ids[:4]))} and {len(ids) - 4} more"
    return ",".join(map(str, ids)) or "-"
