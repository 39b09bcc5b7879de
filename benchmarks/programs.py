"""The processes of a run: workers, floors, pgbench; and what they and the server cost, from /proc and wait4."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

ROOT = Path(__file__).parent.parent
TICK = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 40
# Burst logs nothing at this level unless something is wrong.
WORK = [
    sys.executable,
    "-c",
    "from pgqueue.cli import main; main()",
    "work",
    "benchmarks.jobs:app",
    "--log-level",
    "error",
]


class Program:
    """A process that was started, and its cost once it has ended."""

    def __init__(
        self, command: list[str], dsn: str, *, env: Mapping[str, str] | None = None, quiet: bool = False
    ) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PGQ_DSN": dsn} | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if quiet else None,
        )
        self.pid = self._process.pid
        self.cpu_seconds = 0.0
        self.peak_mb = 0.0
        self.status: int | None = None

    def wait(self) -> Program:
        """Wait for its end; its cost and that of its children is known then."""
        if self.status is None:
            _, status, usage = os.wait4(self.pid, 0)
            self.status = self._process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu_seconds = usage.ru_utime + usage.ru_stime
            self.peak_mb = usage.ru_maxrss / 1024
        return self

    def running(self) -> bool:
        """Whether it has not ended yet."""
        if self.status is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.status = self._process.returncode = os.waitstatus_to_exitcode(status)
                self.cpu_seconds = usage.ru_utime + usage.ru_stime
        return self.status is None

    def stop(self) -> Program:
        """Ask it to end, and wait."""
        if self.running():
            os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def check(self) -> Program:
        """Stop everything when it failed."""
        if self.wait().status != 0:
            raise SystemExit(f"process {self.pid} ended with status {self.status}")
        return self


def work(dsn: str, *options: str, env: Mapping[str, str] | None = None, quiet: bool = False) -> Program:
    """Start `pgq work` as a user would."""
    return Program([*WORK, *options], dsn, env=env, quiet=quiet)


def module(name: str, dsn: str, *arguments: str, env: Mapping[str, str] | None = None) -> Program:
    """Start a module of this folder."""
    return Program([sys.executable, "-m", f"benchmarks.{name}", *arguments], dsn, env=env)


@contextmanager
def kept(program: Program) -> Iterator[Program]:
    """Have a process for the length of a block."""
    try:
        yield program
    finally:
        program.stop()


def children(pid: int) -> list[int]:
    """The processes that a process has started itself."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def server_cpu_seconds(conn: psycopg.Connection[Any]) -> float | None:
    """What the server has used since it started, ended backends included; None when it is not on this machine."""
    if not (info := conn.info.host) or (info not in {"127.0.0.1", "localhost", "::1"} and not info.startswith("/")):
        return None
    try:
        postmaster = _fields(conn.info.backend_pid)[1]
        total = sum(_fields(int(postmaster))[11:15])
        return (total + sum(sum(_fields(child)[11:13]) for child in children(int(postmaster)))) / TICK
    except OSError:
        return None


def _fields(pid: int) -> list[int]:
    """The numbers of /proc/PID/stat after the name: state, parent, ..., utime, stime, cutime, cstime from 11 on."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return [int(field) if field.lstrip("-").isdigit() else 0 for field in text.rpartition(")")[2].split()]
