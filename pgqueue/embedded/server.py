"""A throw-away server for tests and the demo: fast, not durable, gone with its folder when its user is gone."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pgqueue.embedded.cluster import DURABLE, THROW_AWAY, Address, Cluster
from pgqueue.embedded.shared import enter, home_folder
from pgqueue.embedded.watchdog import clean

# A fresh server takes 60 MB and grows; Docker gives /dev/shm 64 MB in all, which is too little.
RAM = Path("/dev/shm")  # noqa: S108 # mkdtemp makes a private folder in it
ROOMY_BYTES = 1 << 30
STOP_SECONDS = 60.0


class Server:
    """A server of one's own; `with Server() as server: connect(server.dsn())`.

    It ends with this process, kill -9 included. `path` is the folder to make for it, a temporary one if not given.
    Several processes may name the same path: they share the server, and the last to leave removes it. `settings` are
    PostgreSQL's. With `tcp` it also listens on 127.0.0.1, at a free port, for every user of the machine.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
        tcp: bool = False,
    ) -> None:
        self._path = path
        self._durable = durable
        self._tcp = tcp
        self._settings = (DURABLE if durable else THROW_AWAY) | dict(settings or {})
        self._users = -1
        self._home: Path | None = None
        self._address: Address | None = None

    def start(self) -> Self:
        """Make the folder, initialise and start the server. Raises ConfigError, DatabaseUnavailable."""
        home = home_folder(self._path or tempfile.mkdtemp(prefix="pgq-", dir=scratch()))
        if self._path is None and os.geteuid() == 0:
            home.chmod(0o755)
        cluster = Cluster(home=home, settings=self._settings, durable=self._durable, tcp=self._tcp)
        try:
            self._users, self._address = enter(cluster, keep=False)
        except BaseException:
            if self._path is None:
                shutil.rmtree(home, ignore_errors=True)
            raise
        self._home = home
        return self

    def stop(self) -> None:
        """Leave, and wait until the server is gone unless other processes use it."""
        if self._home is None:
            return
        home, self._home = self._home, None
        try:
            _leave(home, self._users)
        finally:
            os.close(self._users)

    @property
    def address(self) -> Address:
        """Where it listens: `host`, the folder of the socket, and `port`, the same for the socket and for TCP."""
        if self._address is None:
            raise RuntimeError("this server was not started")
        return self._address

    @property
    def home(self) -> Path:
        """The folder with its data and its log."""
        if self._home is None:
            raise RuntimeError("this server is not running")
        return self._home

    def dsn(self, dbname: str = "postgres") -> str:
        """Return a conninfo string for a database, through the Unix socket."""
        return self.address.dsn(dbname)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def scratch() -> Path:
    """Return where throw-away data is best kept: in memory when there is room, else in the temporary folder."""
    try:
        room = os.statvfs(RAM)
    except OSError:
        return Path(tempfile.gettempdir())
    if room.f_bavail * room.f_frsize > ROOMY_BYTES and os.access(RAM, os.W_OK):
        return RAM
    return Path(tempfile.gettempdir())


def _leave(home: Path, users: int) -> None:
    """Stop the server unless others use it. The watchdog may be first to get the lock; then wait until it has done so.

    The lock is let go of, not only closed: a forked child that has it too would keep the server otherwise.
    """
    if _locks(users, fcntl.LOCK_EX):
        clean(home, keep=False)
        fcntl.flock(users, fcntl.LOCK_UN)
        return
    deadline = time.monotonic() + STOP_SECONDS
    while home.exists() and time.monotonic() < deadline:
        if _locks(users, fcntl.LOCK_SH):
            fcntl.flock(users, fcntl.LOCK_UN)
            return
        time.sleep(0.01)


def _locks(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
