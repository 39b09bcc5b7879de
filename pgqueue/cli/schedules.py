"""`pgq schedules`: list, run now, pause, resume, add, remove."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from pgqueue import cron as _cron
from pgqueue.cli import joboptions as options
from pgqueue.cli import output
from pgqueue.cli.command import command
from pgqueue.cli.failure import Failed
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument


def _name(verb: str) -> Any:
    return Annotated[str, typer.Argument(envvar=f"PGQ_SCHEDULES_{verb}_NAME", help="The schedule.")]


_Task = Annotated[str, typer.Argument(envvar="PGQ_SCHEDULES_ADD_TASK", help="The name of the task.")]
_Cron = Annotated[
    str | None, typer.Option("--cron", help='minute hour day month weekday, as in "0 2 * * *", or @daily.')
]
_Every = Annotated[timedelta | None, options.time_option("--every", help="Even distances instead: 30s, 15m, 1h30m ...")]
_Timezone = Annotated[str, typer.Option("--timezone", help="Whose clock --cron goes by, as in Europe/Berlin.")]
_Missed = Annotated[
    str, typer.Option("--missed", help="Ticks that nobody was there for: skip, once (the last one) or all.")
]
_MissedLimit = Annotated[
    int | None, typer.Option("--missed-limit", help="With --missed all, at most so many; 100 unless given.")
]
_Overlap = Annotated[str, typer.Option("--overlap", help="skip: no job while the last one is unfinished; else allow.")]
_Jitter = Annotated[timedelta | None, options.time_option("--jitter", help="Each job is due up to so much later.")]


def _when(row: output.Row) -> str:
    return str(row["cron"]) if row["cron"] is not None else f"every {output.span(row['every'])}"


COLUMNS: tuple[output.Column, ...] = (
    ("name", output.text("name")),
    ("task", output.text("task")),
    ("when", _when),
    ("timezone", output.text("timezone")),
    ("paused", output.text("paused")),
    ("last", output.text("last_at")),
    ("next", output.text("next_at")),
    ("missed", output.text("missed")),
    ("overlap", output.text("overlap")),
    ("queue", output.text("queue")),
    ("last job", output.text("last_job_id")),
    ("error", output.text("error")),
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "ls")(ls)
    command(app, "run")(run)
    command(app, "pause")(pause)
    command(app, "resume")(resume)
    command(app, "add")(add)
    command(app, "rm")(rm)


def ls(session: Session) -> None:
    """List the schedules: when they tick, when they did last, and what keeps one from it. Times are in UTC."""
    rows = session.rows("schedules")
    print_json(rows) if session.as_json else output.print_table(rows, COLUMNS, empty="there is no schedule")


def run(session: Session, name: _name("RUN")) -> None:  # type: ignore[valid-type]
    """Enqueue a job of a schedule now, and print its id. Its ticks go on as they were."""
    _require_known(session, name)
    found = session.rows("schedule_run", {"name": name})[0]
    print_json(found) if session.as_json else print_line(str(found["id"]))


def pause(session: Session, name: _name("PAUSE")) -> None:  # type: ignore[valid-type]
    """Stop the ticks of a schedule. What falls into the pause is not made up for."""
    _require_known(session, name)
    _tell(session, name, paused=True, changed=session.rows("schedule_pause", {"name": name})[0]["changed"])


def resume(session: Session, name: _name("RESUME")) -> None:  # type: ignore[valid-type]
    """Let a schedule tick again, from now on."""
    _require_known(session, name)
    _tell(session, name, paused=False, changed=session.rows("schedule_resume", {"name": name})[0]["changed"])


def add(
    session: Session,
    name: _name("ADD"),  # type: ignore[valid-type]
    task: _Task,
    cron: _Cron = None,
    every: _Every = None,
    timezone: _Timezone = "UTC",
    args: Annotated[str, options.ARGS] = "{}",
    queue: options.Queue = None,
    priority: options.Priority = None,
    missed: _Missed = "once",
    missed_limit: _MissedLimit = None,
    overlap: _Overlap = "allow",
    jitter: _Jitter = None,
    meta: options.Meta = None,
) -> None:
    """Make a schedule, or give an existing one these contents."""
    if (cron is None) == (every is None):
        raise InvalidArgument('--cron or --every, one of them: --cron "0 2 * * *", --every 15m')
    _cron.timing(cron, every, timezone)  # the database cannot judge an expression
    given = {
        "name": name,
        "task": task,
        "cron": cron,
        "every": every,
        "timezone": timezone,
        "args": options.object_of(args, name="--args"),
        "queue": queue,
        "priority": priority,
        "missed": missed,
        "missed_limit": missed_limit,
        "overlap": overlap,
        "jitter": jitter,
        "meta": options.object_of(meta, name="--meta"),
    }
    verdict = session.rows("schedule_add", given)[0]["verdict"]
    if session.as_json:
        print_json({"schedule": name, "verdict": verdict})
        return
    print_line(f'schedule "{name}" {"is as it was" if verdict == "unchanged" else f"was {verdict}"}')


def rm(session: Session, name: _name("RM")) -> None:  # type: ignore[valid-type]
    """Remove a schedule; its jobs stay. Code that still declares it makes it anew when a worker starts."""
    _require_known(session, name)
    removed = session.rows("schedule_rm", {"name": name})[0]["removed"]
    print_json({"schedule": name, "removed": removed}) if session.as_json else print_line(f'schedule "{name}" removed')


def _tell(session: Session, name: str, *, paused: bool, changed: bool) -> None:
    if session.as_json:
        print_json({"schedule": name, "paused": paused, "changed": changed})
        return
    print_line(f'schedule "{name}" is {"" if changed else "already "}{"paused" if paused else "running"}')


def _require_known(session: Session, name: str) -> None:
    if not session.rows("schedule_known", {"name": name})[0]["known"]:
        names = ", ".join(row["name"] for row in session.rows("schedules"))
        raise Failed(f'there is no schedule "{name}"; there {f"are: {names}" if names else "are none yet"}')
