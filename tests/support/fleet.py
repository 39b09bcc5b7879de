"""`pgq work` as a process of its own, with everything that it starts, and what it says."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Self

from tests.support.command import PGQ, environment
from tests.support.ledger import VARIABLE, Ledger
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
APP = "tests.support.jobs:app"


class Fleet:
    """A supervisor and its children; killed with all of them at the end."""

    def __init__(self, dsn: str, ledger: Ledger, log: Path, *words: str, app: str = APP, cwd: Path = ROOT) -> None:
        self.log = log
        self._command = [*PGQ, "work", app, *words]
        self._environment = environment(PGQ_DSN=dsn, **{VARIABLE: str(ledger.path)})
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: set[int] = set()

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._cwd, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *_: object) -> None:
        for pid in [*self.descendants(), *self._seen]:
            with contextlib.suppress(ProcessLookupError):
                if "pgqueue" in command_of(pid):
                    os.kill(pid, signal.SIGCONT)
                    os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = 20.0) -> int:
        """Its exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the fleet did not end:\n{self.said()}") from None

    def workers(self) -> list[int]:
        """The pids of the worker processes, oldest first."""
        found = [pid for pid in children(self.pid) if "pgqueue.worker.main" in command_of(pid)]
        self._seen.update(found)
        return found

    def descendants(self) -> list[int]:
        found, look = [], [self.pid]
        while look:
            below = children(look.pop())
            found += below
            look += below
        return found

    def ready(self, count: int = 1, timeout: float = 20.0) -> list[int]:
        """Wait until so many worker processes have said that they are ready; the pids that run."""
        try:
            wait_until(lambda: self.said().count("worker process ready") >= count, timeout)
        except AssertionError:
            raise AssertionError(f"not ready:\n{self.said()}") from None
        return self.workers()


def children(pid: int) -> list[int]:
    """The pids of a process's children, in the order in which they were started."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
