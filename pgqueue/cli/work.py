"""`pgq work`: turns the command line into the options of a fleet, which does the rest."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pgqueue.cli import values
from pgqueue.cli.command import command
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument
from pgqueue.worker import logs

_PLACES = "Where and what"
_ENDS = "When it ends"
_TUNING = "Tuning"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "work")(work)


def _option(*names: str, env: str, help: str, panel: str = _PLACES, **more: Any) -> Any:  # noqa: A002 - typer's word
    return typer.Option(*names, envvar=f"PGQ_{env}", help=help, rich_help_panel=panel, **more)


_SECONDS = {"metavar": "TIME", "parser": values.option_type(values.seconds)}


def work(
    session: Session,
    app: Annotated[
        str, typer.Argument(metavar="MODULE[:APP]", envvar="PGQ_APP", help="The app, found from the current directory.")
    ],
    queues: Annotated[
        str, _option("--queues", "-q", env="QUEUES", help="a,b: strictly in this order; a:3,b:1: by weight. Else all.")
    ] = "",
    concurrency: Annotated[
        int, _option("--concurrency", "-c", env="CONCURRENCY", help="Jobs that a process runs at the same time.")
    ] = 100,
    processes: Annotated[int, _option("--processes", env="PROCESSES", help="Worker processes.")] = 1,
    threads: Annotated[int, _option("--threads", env="THREADS", help="Threads for plain `def` handlers.")] = 8,
    cpu_processes: Annotated[
        int, _option("--cpu-processes", env="CPU_PROCESSES", help="Processes for handlers with cpu=True.")
    ] = 1,
    burst: Annotated[bool, _option("--burst", env="BURST", panel=_ENDS, help="End when nothing is due.")] = False,
    max_jobs: Annotated[
        int | None, _option("--max-jobs", env="MAX_JOBS", panel=_ENDS, help="Replace a process after so many jobs.")
    ] = None,
    max_memory: Annotated[
        int | None,
        _option(
            "--max-memory",
            env="MAX_MEMORY",
            panel=_ENDS,
            metavar="MB",
            help="Replace a process that has grown to this.",
        ),
    ] = None,
    shutdown_timeout: Annotated[
        float,
        _option(
            "--shutdown-timeout",
            env="SHUTDOWN_TIMEOUT",
            panel=_ENDS,
            help="How long running jobs may go on after TERM.",
            **_SECONDS,
        ),
    ] = 25.0,
    reload: Annotated[
        bool,
        _option("--reload", env="RELOAD", panel=_ENDS, help="Restart when a source file changes (for development)."),
    ] = False,
    lease: Annotated[
        float, _option("--lease", env="LEASE", panel=_TUNING, help="A worker silent for so long is lost.", **_SECONDS)
    ] = 15.0,
    poll_interval: Annotated[
        float,
        _option(
            "--poll-interval", env="POLL_INTERVAL", panel=_TUNING, help="The longest sleep between looks.", **_SECONDS
        ),
    ] = 1.0,
    no_listen: Annotated[
        bool, _option("--no-listen", env="NO_LISTEN", panel=_TUNING, help="Poll only; no LISTEN connection.")
    ] = False,
    listen_dsn: Annotated[
        str | None,
        _option(
            "--listen-dsn",
            env="LISTEN_DSN",
            panel=_TUNING,
            metavar="DSN",
            help="A direct address for LISTEN, beside a pooler.",
        ),
    ] = None,
    log_level: Annotated[
        str, _option("--log-level", env="LOG_LEVEL", metavar="LEVEL", help="debug, info, warning or error.")
    ] = "info",
    log_format: Annotated[
        str, _option("--log-format", env="LOG_FORMAT", metavar="FORMAT", help="console, or json: one object a line.")
    ] = "console",
) -> int:
    """Run jobs until TERM or INT: then let running ones end, hand the rest back, and leave."""
    from pgqueue.worker.options import WorkerOptions, parse_queues

    name = _app_name(app)
    logs.configure(log_level, log_format)
    weights, strict = parse_queues(queues) if queues.strip() else ({}, False)
    worker = WorkerOptions(
        queues=weights,
        strict=strict,
        concurrency=concurrency,
        threads=threads,
        cpu_processes=cpu_processes,
        burst=burst,
        max_jobs=max_jobs,
        max_memory_mb=max_memory,
        shutdown_timeout_seconds=shutdown_timeout,
        lease_seconds=lease,
        poll_interval_seconds=poll_interval,
        listen=not no_listen,
        listen_dsn=listen_dsn,
    )
    if processes < 1:
        raise InvalidArgument(f"processes: must be at least 1, got {processes}")
    _find_modules_here()
    dsn = session.dsn

    from pgqueue.worker import fleet

    options = fleet.FleetOptions(
        app=name,
        dsn=dsn,
        schema=session.schema,
        processes=processes,
        worker=worker,
        debug=session.debug,
        reload=reload,
        log_level=log_level,
        log_format=log_format,
    )
    return fleet.run(options)


def _app_name(given: str) -> str:
    module, colon, attribute = given.partition(":")
    attribute = attribute if colon else "app"
    if not all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")]):
        raise InvalidArgument(f'"{given}" does not name an app; write MODULE:APP, such as shop.jobs:app')
    return f"{module}:{attribute}"


def _find_modules_here() -> None:
    """Put the current directory first on the path, for this process and those that it starts."""
    here = str(Path.cwd())
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)
