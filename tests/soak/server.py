"""A durable PostgreSQL of the soak's own, which can be crashed: immediate shutdown, then recovery from its log."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from pgqueue.embedded import Server
from pgqueue.embedded.account import server_account
from pgqueue.embedded.watchdog import command_line, postmaster
from pgqueue.errors import DatabaseUnavailable

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "120",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "log_line_prefix": "%m [%p] %e ",
    "log_min_messages": "warning",
    "log_error_verbosity": "terse",
    "deadlock_timeout": "200ms",
    "client_connection_check_interval": "1s",
}
DBNAME = "soak"
APPLICATION = "soak harness"
MOST_SECONDS = 120.0  # for a crash and the recovery after it


class SoakServer:
    """The server, and where it listens; it comes back there after a crash."""

    def __init__(self, folder: Path, *, settings: dict[str, str] | None = None) -> None:
        self._settings = SETTINGS | (settings or {})
        self._log = folder / "server.log"
        self._server = Server(folder / "server", durable=True, tcp=True, settings=self._settings)
        self.port = 0
        self.crashes = 0
        self._command: list[str] = []
        self._postmasters: list[subprocess.Popen[bytes]] = []  # ended by whoever stops the server

    def __enter__(self) -> "SoakServer":
        self._server.start()
        self.port = self._server.address.port
        with psycopg.connect(self._server.dsn(), autocommit=True) as conn:
            conn.execute(f"create database {DBNAME}".encode())
        return self

    def __exit__(self, *_: object) -> None:
        self.keep_log()
        self._server.stop()
        for process in self._postmasters:
            process.wait(MOST_SECONDS)

    @property
    def dsn(self) -> str:
        """The direct way, past the proxy, at this moment."""
        address = f"host=127.0.0.1 port={self.port} user=postgres dbname={DBNAME}"
        return f"{address} application_name='{APPLICATION}' connect_timeout=5"

    @property
    def pid(self) -> int | None:
        """The postmaster's."""
        return postmaster(self._server.home / "data")

    def crash(self) -> None:
        """Stop it at once, as `pg_ctl stop -m immediate`, and start it: it recovers from its write-ahead log."""
        pid = self.pid
        if pid is not None:
            self._command = command_line(pid)
            os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + MOST_SECONDS
        while self.pid is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        while not self._started_again(self._command):
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(f"{self._server.home}: the server did not come back after its crash")
            time.sleep(0.1)
        self.crashes += 1

    def _started_again(self, command: list[str]) -> bool:
        """Start the same program with the same words, log and port. It refuses while a process of the old one lives."""
        home = self._server.home
        account = server_account(home / "data")
        with (home / "server.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
                user=account.uid if account.other else None,
                group=account.gid if account.other else None,
                extra_groups=[] if account.other else None,
                start_new_session=True,
            )
        self._postmasters.append(process)
        while process.poll() is None:
            if _says_ready(home / "data" / "postmaster.pid", process.pid):
                return True
            time.sleep(0.01)
        return False

    def keep_log(self) -> None:
        """Copy what the server wrote so far to where it stays."""
        shutil.copyfile(self._server.home / "server.log", self._log)

    def errors(self) -> dict[str, int]:
        """How often the server logged each SQLSTATE at ERROR or above; call after `keep_log`."""
        found: dict[str, int] = {}
        for line in self._log.read_text(errors="replace").splitlines():
            words = line.split(" ", 6)
            if len(words) > 5 and words[5] in {"ERROR:", "FATAL:", "PANIC:"}:
                found[words[4]] = found.get(words[4], 0) + 1
        return found


def _says_ready(file: Path, pid: int) -> bool:
    """Whether the server of this process has written that it takes connections."""
    try:
        lines = file.read_text().rstrip().splitlines()
    except FileNotFoundError:
        return False
    return bool(lines) and lines[0] == str(pid) and lines[-1].startswith("ready")


@contextmanager
def connected(server: SoakServer) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """A connection of the harness, past the proxy. Raises psycopg.OperationalError while the server is away."""
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        yield conn
