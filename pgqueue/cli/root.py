"""The tree of commands, and the run of one: from the words of a command line to an exit status."""

import os
import sys
from typing import Annotated, Any

import typer

from pgqueue.cli import (
    autoscale,
    command,
    demo,
    dlq,
    doctor,
    enqueue,
    failure,
    flows,
    grants,
    health,
    jobs,
    limits,
    metrics,
    migrate,
    queues,
    rework,
    schedules,
    stats,
    top,
    ui,
    why,
    work,
    workers,
)
from pgqueue.version import VERSION


def run() -> int:
    """Run the command line of this process and return its exit status."""
    try:
        status = _invoke(tree())
        sys.stdout.flush()
        return status
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else failure.FAILED
    except BaseException as error:  # noqa: BLE001 - the last one who can say it in a line
        return failure.report(error, debug=bool(os.environ.get("PGQ_DEBUG")) or "--debug" in sys.argv)


def tree() -> typer.Typer:
    """Return all commands."""
    app = command.group("A durable job queue in PostgreSQL.")
    app.callback()(command.accepting_global_options(_version))
    for module in (demo, migrate, work, enqueue):
        module.add_to(app)
    groups = {
        "jobs": ("List, show, retry, cancel and remove jobs.", (jobs, rework)),
        "dlq": ("The dead letters: jobs that will not be tried again by themselves.", (dlq,)),
        "queues": ("List, pause, resume and tune queues.", (queues,)),
        "flows": ("List, show, cancel and retry flows: jobs that wait for others.", (flows,)),
        "limits": ("List, set and remove limits.", (limits,)),
        "schedules": ("Add, list, run, pause, resume and remove schedules.", (schedules,)),
    }
    for name, (help_text, modules) in groups.items():
        branch = command.group(help_text)
        for part in modules:
            part.add_to(branch)
        app.add_typer(branch, name=name)
    for module in (why, workers, stats, top, autoscale, health, metrics, doctor, grants, ui):
        module.add_to(app)
    return app


def _invoke(app: typer.Typer) -> int:
    """Run typer's command, but say its complaints as we say ours."""
    from typer.main import get_command

    try:
        status = get_command(app).main(
            prog_name="pgq", standalone_mode=False, auto_envvar_prefix=command.PREFIX, max_content_width=120
        )
        return status if isinstance(status, int) else failure.DONE
    except typer.Abort as abort:
        return failure.INTERRUPTED if isinstance(abort.__cause__, KeyboardInterrupt) else failure.FAILED
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's own, whichever click it brings along
            raise
        return _misused(error)


def _misused(error: Any) -> int:
    context = getattr(error, "ctx", None)
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help(), file=sys.stderr)  # noqa: T201
        return failure.USAGE
    message = str(error.format_message()).rstrip(".")
    remedy = f"; see `{context.command_path} --help`" if context is not None else ""
    failure.say(f"{message[:1].lower()}{message[1:]}{remedy}")
    return int(error.exit_code)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    print(f"pgq {VERSION}")  # noqa: T201
    raise typer.Exit


def _version(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, allow_from_autoenv=False, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """A durable job queue in PostgreSQL: transactional enqueue, leases that fence, work that is never lost."""
