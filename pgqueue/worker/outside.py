"""What the system says about another process, which cannot speak for itself: Linux's /proc, as far as it may
be read.
"""

from __future__ import annotations

import socket
from pathlib import Path

OURS = b"pgqueue.worker.main"
LIMIT = 2_000
THREADS = 32
STOPPED = frozenset("Tt")


def stopped(host: str, pid: int) -> str | None:
    """Say that a worker process of this machine is stopped; None when it is not, or is not seen from here. A pid that
    belongs to another program by now says nothing.
    """
    if host != socket.gethostname() or OURS not in _read(pid, "cmdline").encode():
        return None
    return f"the process is stopped (state {state(pid)}, as by SIGSTOP)" if state(pid) in STOPPED else None


def state(pid: int) -> str:
    """The state of a process: R runs, S sleeps, D waits for a device, T is stopped, Z has ended; "?" when not known."""
    after_name = _read(pid, "stat").rpartition(")")[2].split()
    return after_name[0] if after_name else "?"


def describe(pid: int) -> str:
    """Where a process stands, for people: its state, and what each thread waits for in the kernel; empty where that is
    not known.
    """
    if not _read(pid, "stat"):
        return ""
    kept = [line for line in _read(pid, "status").splitlines() if line.startswith(("State:", "Threads:", "VmRSS:"))]
    tasks = sorted(int(path.name) for path in _tasks(pid))
    for task in tasks[:THREADS]:
        where = _read(pid, f"task/{task}/wchan").strip() or "?"
        name = _read(pid, f"task/{task}/comm").strip()
        kept.append(f"  thread {task} ({name}) {state_of_task(pid, task)} in {where}")
    if kernel := _read(pid, "stack").strip():
        kept += ["kernel stack:", *(f"  {line}" for line in kernel.splitlines())]
    return "\n".join(kept)[:LIMIT]


def state_of_task(pid: int, task: int) -> str:
    """The state of one thread."""
    after_name = _read(pid, f"task/{task}/stat").rpartition(")")[2].split()
    return after_name[0] if after_name else "?"


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
