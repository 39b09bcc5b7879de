"""Who uses an embedded server, and when it may stop: the server of a folder lives while anybody holds `pgqueue.lock`.

The lock is shared among users and let go of by the kernel when a process ends in any way. A process that was forked
holds it too, until it ends: the server does not vanish under a worker whose parent was killed.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pgqueue.embedded import watchdog
from pgqueue.embedded.cluster import DURABLE, Address, Cluster
from pgqueue.errors import ConfigError

# Made before anything else in the folder, so that it also says whose folder it is.
MARKER = "pgqueue.lock"
# pg_ctl hands the path to a shell between double quotes.
_SHELL = '"$`\\\n'


@contextmanager
def shared(path: str | Path, *, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield a conninfo string of the durable private server in this folder, which runs at least until the block ends.

    `settings` are PostgreSQL's, and count for the command that starts the server. Raises ConfigError when the folder or
    the machine is not fit for it, DatabaseUnavailable when the server does not start.
    """
    home = home_folder(path)
    cluster = Cluster(home=home, settings=DURABLE | dict(settings or {}))
    users, address = enter(cluster, keep=True)
    try:
        yield address.dsn()
    finally:
        os.close(users)


def enter(cluster: Cluster, *, keep: bool) -> tuple[int, Address]:
    """Become a user of the server; it runs for as long as the returned file descriptor is open."""
    home = cluster.home
    users = _join(home)
    try:
        with _exclusively(home / "start.lock"):
            _ensure_watched(home, keep=keep)
            return users, cluster.ensure_running()
    except BaseException:
        os.close(users)
        raise


def home_folder(path: str | Path) -> Path:
    """Return the absolute folder, made now if it is missing. Raises ConfigError unless it is ours or empty."""
    if not str(path).strip():
        raise ConfigError("embedded: a folder is missing; write embedded:PATH")
    if any(character in str(path) for character in _SHELL):
        raise ConfigError(
            f"embedded:{path}: quotes, dollar signs, backslashes and line ends cannot be in the folder's name"
        )
    home = Path(path).expanduser().resolve()
    try:
        _make(home)
        names = {entry.name for entry in home.iterdir()}
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(f"embedded:{home}: is, or lies below, a file; give a folder") from None
    except OSError as error:
        raise ConfigError(
            f"embedded:{home}: cannot be used ({error.strerror}); give a folder that you may write"
        ) from None
    if names and MARKER not in names:
        raise ConfigError(f"embedded:{home}: is not empty and was not made by pgqueue; give an empty or a new folder")
    return home


def _make(home: Path) -> None:
    existed = home.exists()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not existed and os.geteuid() == 0:
        home.chmod(0o755)  # the server, which is not root, has to pass through; its data folder is closed


def _join(home: Path) -> int:
    """Take the shared lock. Waits while the watchdog stops the server; if that removed the folder, begins anew."""
    while True:
        try:
            users = os.open(home / MARKER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            _make(home)
            continue
        except OSError as error:
            raise ConfigError(
                f"embedded:{home}: cannot be used ({error.strerror}); give a folder that you may write"
            ) from None
        fcntl.flock(users, fcntl.LOCK_SH)
        if _is_current(users, home / MARKER):
            return users
        os.close(users)


def _is_current(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _exclusively(file: Path) -> Iterator[None]:
    with _lock_file(file) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock_file(file: Path) -> BinaryIO:
    """Closed to others: whoever may open a lock file may also hold its lock."""
    return os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")


def _ensure_watched(home: Path, *, keep: bool) -> None:
    """Start a watchdog unless one is alive: whoever gets its lock hands it on to a new one."""
    with _lock_file(home / "watchdog.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        script = [
            sys.executable,
            "-I",
            "-S",
            watchdog.__file__,
            str(home),
            "keep" if keep else "remove",
            str(lock.fileno()),
        ]
        subprocess.run(
            script, pass_fds=[lock.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/", check=True
        )
