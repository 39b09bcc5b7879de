"""`pgq work`: turns the command line into the options of a fleet, which does the rest."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pgqueue.cli import values
from pgqueue.cli.command import command
from pgqueue.cli.scaling import fleet_policy
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument
from pgqueue.worker import logs
from pgqueue.worker.options import WorkerOptions, parse_queues
from pgqueue.worker.ports import Ports

_PLACES = "Where and what"
_ENDS = "When it ends"
_TUNING = "Tuning"
_SCALING = "Scaling"
_PROBES = "Probes and metrics"


def _option(*names: str, env: str, help: str, panel: str = _PLACES, **more: Any) -> Any:  # noqa: A002 - typer's word
    return typer.Option(*names, envvar=f"PGQ_{env}", help=help, rich_help_panel=panel, **more)


def _time(name: str, *, env: str, help: str, panel: str) -> Any:  # noqa: A002 - typer's word
    return _option(name, env=env, help=help, panel=panel, metavar="TIME", parser=values.option_type(values.seconds))


_App = Annotated[
    str, typer.Argument(metavar="MODULE[:APP]", envvar="PGQ_APP", help="The app, found from the current directory.")
]
_Queues = Annotated[
    str, _option("--queues", "-q", env="QUEUES", help="a,b: strictly in this order; a:3,b:1: by weight. Else all.")
]
_Concurrency = Annotated[
    int, _option("--concurrency", "-c", env="CONCURRENCY", help="Jobs that a process runs at the same time.")
]
_Processes = Annotated[
    int | None, _option("--processes", env="PROCESSES", help="Worker processes: 1. With --max-processes: at first.")
]
_Threads = Annotated[int, _option("--threads", env="THREADS", help="Threads for plain `def` handlers.")]
_CpuProcesses = Annotated[
    int, _option("--cpu-processes", env="CPU_PROCESSES", help="Processes for handlers with cpu=True.")
]
_LogLevel = Annotated[
    str, _option("--log-level", env="LOG_LEVEL", metavar="LEVEL", help="debug, info, warning or error.")
]
_LogFormat = Annotated[
    str, _option("--log-format", env="LOG_FORMAT", metavar="FORMAT", help="console, or json: one object a line.")
]

_LEAST = "Worker processes at least, with --max-processes: 1."
_MinProcesses = Annotated[
    int | None, _option("--min-processes", env="MIN_PROCESSES", panel=_SCALING, help=_LEAST, metavar="N")
]
_MOST = "Start and end worker processes with the load, up to this number."
_MaxProcesses = Annotated[
    int | None, _option("--max-processes", env="MAX_PROCESSES", panel=_SCALING, help=_MOST, metavar="N")
]
_TargetLag = Annotated[
    float, _time("--target-lag", env="TARGET_LAG", panel=_SCALING, help="A backlog is to be gone within this.")
]
_ShrinkAfter = Annotated[
    float, _time("--shrink-after", env="SHRINK_AFTER", panel=_SCALING, help="Fewer have to be enough for so long.")
]
_CAPTURED = "Keep what handlers log from this level on with their attempts: debug to critical, or off."
_CaptureLogs = Annotated[str, _option("--capture-logs", env="CAPTURE_LOGS", metavar="LEVEL", help=_CAPTURED)]
_TRACED = "Make OpenTelemetry spans and metrics (extra otel); the app sets up the SDK."
_Otel = Annotated[bool, _option("--otel", env="OTEL", help=_TRACED)]

_Port: dict[str, Any] = {"metavar": "PORT", "min": 0, "max": 65_535, "panel": _PROBES}
_HealthPort = Annotated[
    int | None, _option("--health-port", env="HEALTH_PORT", help="Answer /livez, /readyz, /healthz here.", **_Port)
]
_MetricsPort = Annotated[
    int | None, _option("--metrics-port", env="METRICS_PORT", help="Answer /metrics here, for all processes.", **_Port)
]
_ProbeHost = Annotated[
    str,
    _option("--probe-host", env="PROBE_HOST", panel=_PROBES, metavar="HOST", help="The address of these two ports."),
]
_Burst = Annotated[bool, _option("--burst", env="BURST", panel=_ENDS, help="End when nothing is due.")]
_MaxJobs = Annotated[
    int | None, _option("--max-jobs", env="MAX_JOBS", panel=_ENDS, help="Replace a process after so many jobs.")
]
_GROWN = "Replace a process that has grown to this."
_MaxMemory = Annotated[int | None, _option("--max-memory", env="MAX_MEMORY", panel=_ENDS, metavar="MB", help=_GROWN)]
_ON_AFTER_TERM = "How long running jobs may go on after TERM."
_ShutdownTimeout = Annotated[
    float, _time("--shutdown-timeout", env="SHUTDOWN_TIMEOUT", panel=_ENDS, help=_ON_AFTER_TERM)
]
_Reload = Annotated[
    bool, _option("--reload", env="RELOAD", panel=_ENDS, help="Restart when a source file changes (for development).")
]

_Lease = Annotated[float, _time("--lease", env="LEASE", panel=_TUNING, help="A worker silent for so long is lost.")]
_PollInterval = Annotated[
    float, _time("--poll-interval", env="POLL_INTERVAL", panel=_TUNING, help="The longest sleep between looks.")
]
_NoListen = Annotated[
    bool, _option("--no-listen", env="NO_LISTEN", panel=_TUNING, help="Poll only; no LISTEN connection.")
]
_BESIDE_A_POOLER = "A direct address for LISTEN, beside a pooler."
_ListenDsn = Annotated[
    str | None, _option("--listen-dsn", env="LISTEN_DSN", panel=_TUNING, metavar="DSN", help=_BESIDE_A_POOLER)
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "work")(work)


def work(
    session: Session,
    app: _App,
    queues: _Queues = "",
    concurrency: _Concurrency = 100,
    processes: _Processes = None,
    threads: _Threads = 8,
    cpu_processes: _CpuProcesses = 1,
    burst: _Burst = False,
    max_jobs: _MaxJobs = None,
    max_memory: _MaxMemory = None,
    shutdown_timeout: _ShutdownTimeout = 25.0,
    reload: _Reload = False,
    lease: _Lease = 15.0,
    poll_interval: _PollInterval = 1.0,
    no_listen: _NoListen = False,
    listen_dsn: _ListenDsn = None,
    log_level: _LogLevel = "info",
    log_format: _LogFormat = "console",
    capture_logs: _CaptureLogs = "info",
    otel: _Otel = False,
    health_port: _HealthPort = None,
    metrics_port: _MetricsPort = None,
    probe_host: _ProbeHost = "0.0.0.0",  # noqa: S104 - see Ports
    min_processes: _MinProcesses = None,
    max_processes: _MaxProcesses = None,
    target_lag: _TargetLag = 30.0,
    shrink_after: _ShrinkAfter = 60.0,
) -> int:
    """Run jobs until TERM or INT: then let running ones end, hand the rest back, and leave."""
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
        capture_logs=capture_logs,
        otel=otel,
    )
    start, scaling = fleet_policy(
        processes=processes,
        least=min_processes,
        most=max_processes,
        slots=concurrency,
        target_lag=target_lag,
        shrink_after=shrink_after,
        burst=burst,
    )
    _find_modules_here()
    ports = Ports(health=health_port, metrics=metrics_port, host=probe_host)
    more = {"app": name, "processes": start, "scaling": scaling, "reload": reload, "ports": ports}
    return _run_fleet(session, worker, log_level=log_level, log_format=log_format, **more)


def _run_fleet(
    session: Session,
    worker: WorkerOptions,
    **more: Any,
) -> int:
    dsn = session.dsn  # missing, it is said before the import, which takes a while

    from pgqueue.worker import fleet
    from pgqueue.worker.fleet_options import FleetOptions

    options = FleetOptions(dsn=dsn, schema=session.schema, worker=worker, debug=session.debug, **more)
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
