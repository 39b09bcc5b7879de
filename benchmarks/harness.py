"""One run of benchmarks: a durable server, the machine and its settings beside the figures, bars that pass or fail.

Without `--dsn` a private PostgreSQL is started on disk, durable (fsync, synchronous_commit and full_page_writes on),
reached over TCP. With it, a database of its own is made on that server and dropped afterwards. Either way everything
in the database is the benchmark's: scenarios truncate.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from benchmarks.figures import table
from pgqueue import migrate
from pgqueue.embedded import Server

DATABASE = "pgqueue_bench"
RESULTS = Path(__file__).with_name("results")
# Large enough that no checkpoint falls into a measured stretch by chance; each scenario makes its own before it.
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min", "track_io_timing": "off"}
SHOWN = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_compression",
    "shared_buffers",
    "max_wal_size",
    "autovacuum",
]


class Run:
    """What the scenarios share: the database's address, the options, and where figures go."""

    def __init__(self, dsn: str, options: argparse.Namespace, folder: Path) -> None:
        self.dsn = dsn
        self.quick: bool = options.quick
        self.folder = folder
        self.failed: list[str] = []
        self.figures: dict[str, Any] = {}
        self._options = options

    def connect(self) -> psycopg.Connection[Any]:
        """An autocommit connection."""
        return psycopg.connect(self.dsn, autocommit=True)

    def count(self, full: int, quick: int) -> int:
        """How many jobs a scenario takes; `--jobs` overrides."""
        return self._options.jobs or (quick if self.quick else full)

    def repeats(self, full: int, quick: int) -> int:
        """How often each variant is run; `--repeats` overrides."""
        return self._options.repeats or (quick if self.quick else full)

    def say(self, text: str) -> None:
        """Show progress."""
        print(text, flush=True)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Show a table."""
        print(f"\n{table(head, rows)}\n", flush=True)

    def keep(self, name: str, value: object) -> None:
        """Put a figure into the JSON report."""
        self.figures[name] = value

    def bar(self, what: str, value: float, bar: float, *, most: bool = False, unit: str = "x") -> None:
        """Hold a figure against its bar: at least it, or with `most` at most."""
        passed = value <= bar if most else value >= bar
        self.verdict(f"{what}: {value:.2f}{unit}, bar {'<=' if most else '>='} {bar:g}{unit}", passed=passed)

    def verdict(self, what: str, *, passed: bool) -> None:
        """Say PASS or FAIL."""
        print(f"{'PASS' if passed else 'FAIL'}  {what}", flush=True)
        self.figures.setdefault("bars", []).append({"bar": what, "passed": passed})
        if not passed:
            self.failed.append(what)


Scenario = Callable[[Run], None]


def main(**scenarios: Scenario) -> None:
    """Run scenarios by the command line's options, and exit 1 if a bar was missed."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that processes and the server end with us
    started = time.strftime("%Y%m%d-%H%M%S")
    report: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgq-bench-")))
        dsn = stack.enter_context(_database(options))
        run = Run(dsn, options, folder)
        report["machine"] = describe(run)
        for name, scenario in scenarios.items():
            run.say(f"\n== {name}: {(sys.modules[scenario.__module__].__doc__ or '').splitlines()[0]}")
            run.figures = {"load_before": os.getloadavg()}
            begun = time.monotonic()
            scenario(run)
            run.figures["seconds"] = round(time.monotonic() - begun, 1)
            report[name] = run.figures
    RESULTS.mkdir(exist_ok=True)
    file = (
        RESULTS
        / f"{started}-{'-'.join(scenarios) if len(scenarios) == 1 else 'all'}{'-quick' if options.quick else ''}.json"
    )
    file.write_text(json.dumps(report, indent=1, default=str) + "\n")
    print(
        f"\n{'all bars passed' if not run.failed else f'{len(run.failed)} bars missed'}; "
        f"figures in benchmarks/results/{file.name}"
    )
    sys.exit(bool(run.failed))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="See benchmarks/README.md.")
    parser.add_argument(
        "--quick", action="store_true", help="fewer jobs and repeats: shows that it works, bars may be missed"
    )
    parser.add_argument(
        "--dsn", help="a server to use, as a superuser; a database pgqueue_bench is made on it and dropped"
    )
    parser.add_argument(
        "--data", type=Path, help="folder on a disk for the private server (default: the temporary folder)"
    )
    parser.add_argument("--jobs", type=int, help="jobs of a scenario")
    parser.add_argument("--repeats", type=int, help="repeats of each variant")
    return parser.parse_args()


@contextmanager
def _database(options: argparse.Namespace) -> Iterator[str]:
    with ExitStack() as stack:
        server = options.dsn or stack.enter_context(_server(options.data))
        name = sql.Identifier(DATABASE)
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(name))
            admin.execute(sql.SQL("create database {}").format(name))
        dsn = make_conninfo(server, dbname=DATABASE)
        migrate.upgrade(dsn)
        yield dsn
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(name))


@contextmanager
def _server(data: Path | None) -> Iterator[str]:
    parent = data or Path("/var/tmp" if os.access("/var/tmp", os.W_OK) else tempfile.gettempdir())
    if (kind := _filesystem(parent)) in {"tmpfs", "ramfs"}:
        sys.exit(f"{parent} is {kind}: a durable server needs a disk; give a folder with --data")
    home = Path(tempfile.mkdtemp(prefix="pgq-bench-", dir=parent))
    home.chmod(0o755)
    try:
        with Server(home, durable=True, tcp=True, settings=SETTINGS) as server:
            yield f"host=127.0.0.1 port={server.address.port} user=postgres dbname=postgres"
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _filesystem(path: Path) -> str:
    """The type of the file system that holds a path, as /proc/mounts tells; '' where there is none."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    lines = [line.split() for line in mounts.read_text().splitlines()]
    real = str(path.resolve())
    holding = [(len(at), kind) for _, at, kind, *_ in lines if real == at or real.startswith(at.rstrip("/") + "/")]
    return max(holding)[1] if holding else ""


def describe(run: Run) -> dict[str, Any]:
    """The machine, the versions and the settings; printed, too."""
    with run.connect() as conn:
        settings = {name: conn.execute("select current_setting(%s)", [name]).fetchone()[0] for name in SHOWN}  # type: ignore[index]
    versions = {
        "python": platform.python_version(),
        "psycopg": psycopg.__version__,
        "psycopg_impl": psycopg.pq.__impl__,
    }
    for module in ("uvloop", "orjson"):
        try:
            versions[module] = getattr(__import__(module), "__version__", "?")
        except ImportError:
            versions[module] = "absent"
    machine = {
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "kernel": platform.release(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }
    said = {**machine, **versions, **settings}
    run.say("  ".join(f"{name}={value}" for name, value in said.items()))
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        if settings[name] != "on":
            run.say(f"WARNING  {name} is {settings[name]}: these figures are not of durable commits")
    return said


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
