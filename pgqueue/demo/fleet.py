"""`pgq work` as a process of its own, like in production: a supervisor with two worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Self

from pgqueue.errors import PgQueueError

if TYPE_CHECKING:
    from pathlib import Path

    from pgqueue.demo.world import World

STOP_SECONDS = 15.0
_MAIN = "from pgqueue.cli import main; main()"  # `pgq`, whether its script is on the path or not


class Fleet:
    """Workers of the demo; they end with it, however it ends."""

    def __init__(self, command: str, world: World, *, log: Path) -> None:
        self._command = command
        self._log = log
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PGQ_")}
        self._environ = kept | world.variables
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, **variables: str) -> None:
        """Add to the environment of workers that are not started yet."""
        self._environ |= variables

    def __enter__(self) -> Self:
        leash = [sys.executable, "-m", "pgqueue.demo.leash", str(os.getpid())]
        command = [sys.executable, "-c", _MAIN, *self._command.split()[1:]]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*leash, *command],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends its workers
            )
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        finally:
            _end_group(process.pid)
            process.wait()

    def check(self) -> None:
        """Raise PgQueueError, with what the workers said last, if they have ended."""
        if self._process is not None and self._process.poll() is not None:
            raise PgQueueError(f"`{self._command}` ended with status {self._process.returncode}:\n{self.last_words()}")

    def last_words(self, lines: int = 20) -> str:
        """The end of the workers' log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


def _end_group(leader: int) -> None:
    """End what a supervisor left behind; usually nothing."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def freeze(pid: int) -> bool:
    """Stop a process where it stands; False if there is none."""
    return _send(pid, signal.SIGSTOP)


def thaw(pid: int) -> bool:
    """Let a frozen process go on."""
    return _send(pid, signal.SIGCONT)


def kill(pid: int) -> bool:
    """Kill a process; it learns nothing of it."""
    return _send(pid, signal.SIGKILL)


def _send(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
