"""One data folder and the server on it: initialise, start, find out whether it runs. Whoever calls holds `start.lock`.

A home folder holds `data` (PostgreSQL's own), `server.conf` (ours, written at each start and included from
`postgresql.conf`), `server.log`, and `address` (the socket's folder and the port). Data is initialised under another
name and renamed, so that an interrupted start leaves nothing that looks like data. Stopping is the watchdog's work.
"""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pgqueue.embedded import binaries
from pgqueue.embedded.account import Account, server_account
from pgqueue.embedded.watchdog import postmaster, socket_folder
from pgqueue.errors import ConfigError, DatabaseUnavailable

START_SECONDS = 60
SOCKET_PATH_BYTES = 107
# What the server logs while processes of one that was killed are still ending; they notice within moments.
ORPHANS = "shared memory block"
ORPHAN_SECONDS = 10.0
DURABLE = {"max_connections": "200", "shared_buffers": "128MB", "log_min_messages": "warning"}
# May lose everything when the power fails; the server itself behaves the same.
THROW_AWAY = DURABLE | {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
}
# No process has it: PostgreSQL takes the file for a leftover, and still looks for backends that outlived their server.
_NOBODYS_PID = 2_147_483_646


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a Unix socket in the folder `host`, and 127.0.0.1 at `port` if TCP was asked for."""

    host: Path
    port: int

    def dsn(self, dbname: str = "postgres") -> str:
        return f"host={self.host} port={self.port} user=postgres dbname={dbname}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The server of a home folder."""

    home: Path
    settings: Mapping[str, str]
    durable: bool = True
    tcp: bool = False

    @property
    def data(self) -> Path:
        return self.home / "data"

    def ensure_running(self) -> Address:
        """Return where the server listens, after starting it if need be. Raises ConfigError, DatabaseUnavailable."""
        if postmaster(self.data) is None:
            self._start()
        self._wait_until_ready()
        return read_address(self.home)

    def _start(self) -> None:
        account = server_account(self.data)
        if not account.reaches(self.home):
            raise ConfigError(
                f"{self.home}: user {account.name}, who runs PostgreSQL for root, cannot enter it: give another folder"
            )
        programs = binaries.find()
        if not account.reaches(programs.bin / "postgres"):
            programs = programs.copied(self.home)
        if not self.data.exists():
            self._initialise(programs, account)
        self._check_version(programs)
        self._forget_dead_server()
        self._write_settings(self._new_address(account), account)
        self._launch(programs.bin / "pg_ctl", account)

    def _launch(self, pg_ctl: Path, account: Account) -> None:
        options: list[str | Path] = ["start", "-s", "-w", "-t", str(START_SECONDS), "-D", self.data]
        options += ["-l", self.home / "server.log"]
        deadline = time.monotonic() + ORPHAN_SECONDS
        while (started := account.run(pg_ctl, options, home=self.home)).returncode:
            reason = self._why_not_started(started.stdout)
            if ORPHANS not in reason or time.monotonic() > deadline:
                raise DatabaseUnavailable(reason)
            time.sleep(0.1)

    def _initialise(self, programs: binaries.Binaries, account: Account) -> None:
        for leftover in self.home.glob("new-*"):
            shutil.rmtree(leftover)
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=self.home))
        account.own(fresh)
        options: list[str | Path] = ["-D", fresh, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]
        done = account.run(
            programs.bin / "initdb", options if self.durable else [*options, "--no-sync"], home=self.home
        )
        if done.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            raise DatabaseUnavailable(f"{self.home}: initdb failed: {_last_line(done.stdout)}")
        # The account owns this folder: a link that it had put there must not lead root elsewhere.
        config = os.open(fresh / "postgresql.conf", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with os.fdopen(config, "a") as file:
            file.write("include = '../server.conf'\n")
        fresh.rename(self.data)

    def _check_version(self, programs: binaries.Binaries) -> None:
        written = (self.data / "PG_VERSION").read_text().strip()
        if written != str(programs.major):
            raise ConfigError(
                f"{self.home}: its data was written by PostgreSQL {written}, but {programs.bin} is {programs.version}: "
                f"set PGQ_PG_MAJOR={written} with that version installed, or give another folder"
            )

    def _forget_dead_server(self) -> None:
        """Make way after a server that was killed: its process id may be another process now, or a zombie for long.

        The rest of `postmaster.pid` stays: by it PostgreSQL looks for processes that outlived their server.
        """
        file = self.data / "postmaster.pid"
        if file.exists():
            _, *rest = file.read_text().split("\n")
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW), "w") as rewritten:
                rewritten.write("\n".join([str(_NOBODYS_PID), *rest]))

    def _new_address(self, account: Account) -> Address:
        """Keep the folder of a server that died, so that its users find the new one; a clean stop removed it."""
        host = socket_folder(self.home)
        if host is None or not _is_private(host, account):
            host = _short_folder(account)
        for left in host.glob(".s.PGSQL.*"):
            left.unlink()  # its lock file names the dead server too
        return Address(host=host, port=_free_port() if self.tcp else 5432)

    def _write_settings(self, address: Address, account: Account) -> None:
        settings = {
            **self.settings,
            "unix_socket_directories": str(address.host),
            "listen_addresses": "127.0.0.1" if self.tcp else "",
            "port": str(address.port),
        }
        lines = [f"{name} = '{_quoted(value)}'\n" for name, value in settings.items()]
        for name, text in (
            ("server.conf", "".join(lines)),
            ("server.log", ""),
            ("address", f"{address.host}\n{address.port}\n"),
        ):
            (self.home / name).write_text(text)
            account.own(self.home / name)

    def _wait_until_ready(self) -> None:
        """The last line of `postmaster.pid` says so; one who joins may come while the server still replays its log."""
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready(self.data):
            if postmaster(self.data) is None or time.monotonic() > deadline:
                raise DatabaseUnavailable(self._why_not_started("it ended or is not ready"))
            time.sleep(0.02)

    def _why_not_started(self, said: str) -> str:
        log = self.home / "server.log"
        reason = _last_line(log.read_text(errors="replace")) if log.exists() else ""
        return f"{self.home}: PostgreSQL did not start: {reason or _last_line(said)} (more in {log})"


def read_address(home: Path) -> Address:
    """Return where the server of a home folder listens, as its starter wrote it down."""
    host, port, *_ = (home / "address").read_text().split("\n")
    return Address(host=Path(host), port=int(port))


def _is_ready(data: Path) -> bool:
    try:
        return (data / "postmaster.pid").read_text().rstrip().endswith(("ready", "standby"))
    except OSError:
        return False


def _is_private(folder: Path, account: Account) -> bool:
    try:
        stat = folder.lstat()
    except OSError:
        return False
    return stat.st_uid == account.uid and stat.st_mode & 0o170777 == 0o040700


def _short_folder(account: Account) -> Path:
    """A socket's path has room for 107 bytes, so it cannot live beside the data."""
    for parent in (Path("/tmp"), Path(tempfile.gettempdir())):  # noqa: S108 # mkdtemp makes a private folder in it
        if not os.access(parent, os.W_OK | os.X_OK):
            continue
        folder = Path(tempfile.mkdtemp(prefix="pgq-", dir=parent))
        account.own(folder)
        if len(os.fsencode(folder / ".s.PGSQL.65535")) <= SOCKET_PATH_BYTES and account.reaches(folder):
            return folder
        folder.rmdir()
    raise ConfigError("no writable temporary folder with a short name for PostgreSQL's socket: set TMPDIR to one")


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port: int = taken.getsockname()[1]
        return port


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _last_line(text: str) -> str:
    """Return the line that says what went wrong: the last fatal one, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
    return (fatal or lines or [""])[-1]
