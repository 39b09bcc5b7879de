"""`pgq jobs ls` and `show`: pages of jobs, newest first, and all that is known of one."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer

from pgqueue import calls
from pgqueue.cli import failure, output
from pgqueue.cli.command import command
from pgqueue.cli.output import Row, clean, message_of, print_json, print_line, show, text
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument, JobNotFound
from pgqueue.job import State
from pgqueue.listing import jobs as listing
from pgqueue.listing.filters import Filters
from pgqueue.listing.paging import AstrayError

MOST = 100_000
COLUMNS: tuple[output.Column, ...] = (
    ("id", text("id")),
    ("state", text("state")),
    ("task", text("task")),
    ("queue", text("queue")),
    ("key", text("key")),
    ("attempt", text("attempt")),
    ("when", lambda job: show(job["finished_at"] or job["started_at"] or job["run_at"])),
    ("error", lambda job: message_of(job["error"]) if job["error"] else "-"),
)

FIELDS = (
    *("id", "task", "queue", "state", "priority", "key", "attempt", "max_attempts"),
    *("run_at", "created_at", "started_at", "finished_at", "worker_id"),
)
Before = Annotated[
    str | None,
    typer.Option("--before", metavar="ID", help="The page below this id, or from where the last one said to go on."),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "ls")(ls)
    command(app, "show")(show_job)


def ls(
    session: Session,
    state: Annotated[
        str | None, typer.Option("--state", "-s", help="Only these states: dead, or ready,running ...")
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", "-q", help="Only this queue.")] = None,
    task: Annotated[str | None, typer.Option("--task", "-t", help="Only this task.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Only jobs with this key.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST, help="At most so many.")] = 50,
    before: Before = None,
) -> None:
    """List jobs, newest first; those of one unfinished state (and a queue) in the order in which they are due."""
    asked = Filters(states=states(state), queue=queue, task=task, key=key)
    print_page(session, asked, limit=limit, before=before, empty="no such job")


def print_page(session: Session, asked: Filters, *, limit: int, before: str | None, empty: str) -> None:
    """Print one page of jobs, and where to go on. Its cost is bounded: it says when it did not look at all of them."""
    page = _find(session, asked, limit, before)
    errors = {row["id"]: row["error"] for row in session.rows("errors", {"ids": [row["id"] for row in page.rows]})}
    rows = [{**{name: row[name] for name in FIELDS}, "error": errors.get(row["id"])} for row in page.rows]
    if session.as_json:
        print_json(rows)
    else:
        output.print_table(rows, COLUMNS, empty=empty)
    further = page.below or page.older
    if page.window:
        on = f"; go on with --before {further}" if further else ""
        failure.say(
            f"looked at {page.window} rows and stopped there, to be kind to the database: there may be more{on}"
        )
    elif further and output.is_terminal() and not session.as_json:
        print_line(f"{'later' if page.by_due else 'older'} ones: --before {further}")


def _find(session: Session, asked: Filters, limit: int, before: str | None) -> listing.JobPage:
    with session.conn.transaction():
        now = session.rows("ago", {"age": timedelta(0)})[0]["moment"]
        search = listing.find(asked, size=limit, now=now, older=before, newer=None)
        try:
            return listing.follow(search, lambda ask: session.rows(*ask, package=listing.PACKAGE))
        except AstrayError:
            said = "must be the id of a job, or what the page before it said"
            raise InvalidArgument(f'--before "{before}": {said}') from None


def states(written: str | None) -> tuple[State, ...]:
    """Read `dead` or `ready,running`. Raises InvalidArgument."""
    try:
        return tuple(dict.fromkeys(State(word.strip().lower()) for word in written.split(","))) if written else ()
    except ValueError:
        raise InvalidArgument(f'--state "{written}": the states are {", ".join(State)}') from None


def show_job(
    session: Session, job_id: Annotated[int, typer.Argument(metavar="ID", envvar="PGQ_JOBS_SHOW_ID", help="The job.")]
) -> None:
    """Show all that is known of a job: fields, what holds it back, arguments, steps, attempts with their tracebacks."""
    found = session.rows("job", {"id": job_id})
    if not found:
        raise JobNotFound(f"there is no job {job_id}: it never existed, was rolled back, or retention has dropped it")
    job: dict[str, Any] = found[0]
    attempts = session.rows("attempts", {"id": job_id})
    steps = session.rows("steps", {"id": job_id})
    logged = session.rows("attempt_logs", {"id": job_id})
    gates = session.run(calls.why(job_id)) if State(job["state"]).unfinished else []
    if session.as_json:
        told = {"why": [asdict(gate) for gate in gates], "steps": steps, "attempts": attempts, "logs": logged}
        print_json({**job, **told})
        return
    output.print_fields(
        (name, clean(_field(name, value))) for name, value in job.items() if name not in {"args", "meta", "error"}
    )
    if gates:
        print_line("\nwhy:\n" + "\n".join(_indented(clean(f"{gate.gate}: {gate.detail}")) for gate in gates))
    for name in ("args", "meta"):
        if job[name] is not None:
            print_line(f"\n{name}:\n{_indented(json.dumps(job[name], ensure_ascii=False, indent=2))}")
    if steps:
        print_line("\nsteps:\n" + "\n".join(map(_step, steps)))
    for attempt in attempts:
        print_line("\n" + "\n".join(_attempt(attempt)))
    for one in logged:
        print_line("\n" + "\n".join(_log(one)))
    if job["error"] and not any(attempt["error"] for attempt in attempts):
        print_line("\n" + "\n".join(_error(job["error"])))


def _field(name: str, value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if name == "result" and value is not None else show(value)


def _step(step: Row) -> str:
    result = clean(json.dumps(step["result"], ensure_ascii=False))
    return f"    {clean(step['name'])}: attempt {step['attempt']}, {show(step['stored_at'])}, {result}"


def _attempt(attempt: Row) -> Iterator[str]:
    took = ""
    if attempt["started_at"] and attempt["finished_at"]:
        took = f", took {output.span(attempt['finished_at'] - attempt['started_at'])}"
    yield (
        f"attempt {attempt['attempt']}: {attempt['outcome']}, worker {show(attempt['worker_id'])}, "
        f"started {show(attempt['started_at'])}{took}"
    )
    if attempt["error"]:
        yield from _error(attempt["error"])


def _log(logged: Row) -> Iterator[str]:
    yield f"log of attempt {logged['attempt']}:"
    for line in logged["lines"] or []:  # null for who may not see contents
        yield _indented(_log_line(line))


def _log_line(line: Mapping[str, Any]) -> str:
    if "left_out" in line:
        return f"... {line['left_out']} lines were left out ..."
    fields = "".join(f" {name}={show(value)}" for name, value in (line.get("fields") or {}).items())
    told = clean(
        f"{line.get('at')} {str(line.get('level')).upper():<7} {line.get('logger')}: {line.get('message')}{fields}"
    )
    return f"{told}\n{clean(str(line['exception']), keep=chr(10)).rstrip()}" if line.get("exception") else told


def _error(error: Any) -> Iterator[str]:
    yield f"  {clean(message_of(error))}"
    traceback = error.get("traceback") if isinstance(error, dict) else None
    if traceback:
        yield _indented(clean(str(traceback), keep="\n").rstrip())


def _indented(text: str) -> str:
    return textwrap.indent(text, "    ")
