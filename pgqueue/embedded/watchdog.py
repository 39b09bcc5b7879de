"""Outlives the users of an embedded server and stops it when the last has gone. A script: standard library only.

    python watchdog.py HOME keep|remove LOCK_FD

It holds `watchdog.lock` (inherited, already locked) for as long as it lives, waits for the exclusive lock on
`pgqueue.lock`, stops the server, and removes its socket folder, or with `remove` the whole of HOME. Users that come
meanwhile wait for their shared lock and then start the server again.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

FAST_STOP_SECONDS = 60.0
# A starter that was killed may have left a `pg_ctl start` behind, which takes a moment to bring the server up.
ORPHAN_SECONDS = 1.5


def main(home: Path, *, keep: bool, lock: int) -> None:
    """Wait until nobody uses HOME, then stop what runs there."""
    with (home / "pgqueue.lock").open("rb") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        clean(home, keep=keep)
        os.close(lock)  # before the users' lock: whoever comes next must find that nobody watches


def clean(home: Path, *, keep: bool) -> None:
    """Stop the server and remove what only a running one needs. Whoever calls holds the exclusive users' lock."""
    if (home / "data").exists():
        _stop(home / "data")
    leftover = socket_folder(home)
    if leftover is not None:
        shutil.rmtree(leftover, ignore_errors=True)
    if not keep:
        shutil.rmtree(home, ignore_errors=True)


def _stop(data: Path) -> None:
    """Stop the server, politely at first. Waits for one that is only just coming up."""
    pid = postmaster(data)
    deadline = time.monotonic() + ORPHAN_SECONDS
    while pid is None and time.monotonic() < deadline:
        time.sleep(0.05)
        pid = postmaster(data)
    for order, seconds in ((signal.SIGINT, FAST_STOP_SECONDS), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
        if pid is None or _ended(pid, data, order=order, seconds=seconds):
            return


def postmaster(data: Path) -> int | None:
    """Return the process id of the server on this data folder, or None: a file that outlived it does not count."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n")[0])
    except (OSError, ValueError):
        return None
    return pid if is_postmaster(pid, data) else None


def is_postmaster(pid: int, data: Path) -> bool:
    """Whether this process is the server of this data folder: process ids are used again, command lines tell."""
    command = command_line(pid)
    return bool(command) and Path(command[0]).name == "postgres" and str(data) in command


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process, nothing when it is gone. (/proc/PID/cwd is closed to root in containers.)"""
    if Path("/proc/self/cmdline").exists():
        try:
            line = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).rstrip("\0")
        except OSError:
            return []
        return line.split("\0") if line else []  # a zombie's is empty
    listed = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    program, found, data = listed.stdout.strip().partition(" -D ")
    return [program, "-D", data] if found else []


def socket_folder(home: Path) -> Path | None:
    """Return the folder of the server's socket, as its starter wrote it down."""
    try:
        return Path((home / "address").read_text().split("\n")[0])
    except OSError:
        return None


def _ended(pid: int, data: Path, *, order: signal.Signals, seconds: float) -> bool:
    try:
        os.kill(pid, order)
    except ProcessLookupError:
        return True
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not is_postmaster(pid, data):
            return True
        time.sleep(0.01)
    return False


def _detach() -> None:
    """Leave the starter's session, its output and its care: neither it nor who reads its pipes has to wait for us."""
    if os.fork():
        os._exit(0)
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)


if __name__ == "__main__":
    _detach()
    main(Path(sys.argv[1]), keep=sys.argv[2] == "keep", lock=int(sys.argv[3]))
