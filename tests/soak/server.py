"""A durable PostgreSQL of the soak's own, which can be crashed: immediate shutdown, then recovery from its log."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from pgqueue.embedded import Server
from pgqueue.embedded.cluster import DURABLE, Cluster
from pgqueue.embedded.watchdog import postmaster

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
ENDED_SECONDS = 30.0


class SoakServer:
    """The server, and where it listens now: its TCP port changes with each restart."""

    def __init__(self, folder: Path, *, settings: dict[str, str] | None = None) -> None:
        self._settings = SETTINGS | (settings or {})
        self._log = folder / "server.log"
        self._server = Server(folder / "server", durable=True, tcp=True, settings=self._settings)
        self.port = 0
        self.crashes = 0

    def __enter__(self) -> "SoakServer":
        self._server.start()
        self.port = self._server.address.port
        with psycopg.connect(self._server.dsn(), autocommit=True) as conn:
            conn.execute(f"create database {DBNAME}".encode())
        return self

    def __exit__(self, *_: object) -> None:
        self.keep_log()
        self._server.stop()

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
            os.kill(pid, signal.SIGQUIT)
            deadline = time.monotonic() + ENDED_SECONDS
            while self.pid is not None and time.monotonic() < deadline:
                time.sleep(0.01)
        self.keep_log()
        cluster = Cluster(home=self._server.home, settings=DURABLE | self._settings, durable=True, tcp=True)
        self.port = cluster.ensure_running().port
        self.crashes += 1

    def keep_log(self) -> None:
        """Append what the server wrote so far to the run's own log: a restart begins a new one."""
        current = self._server.home / "server.log"
        if current.exists():
            with self._log.open("ab") as kept, current.open("rb") as file:
                shutil.copyfileobj(file, kept)

    def errors(self) -> dict[str, int]:
        """How often the server logged each SQLSTATE at ERROR or above; call after `keep_log`."""
        found: dict[str, int] = {}
        for line in self._log.read_text(errors="replace").splitlines():
            words = line.split(" ", 6)
            if len(words) > 5 and words[5] in {"ERROR:", "FATAL:", "PANIC:"}:
                found[words[4]] = found.get(words[4], 0) + 1
        return found


@contextmanager
def connected(server: SoakServer) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """A connection of the harness, past the proxy. Raises psycopg.OperationalError while the server is away."""
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        yield conn
