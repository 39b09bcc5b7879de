"""What handlers did and when, in a file outside PostgreSQL: it survives every kill, and rollbacks do not touch it."""

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "PGQ_TEST_LEDGER"


@dataclass(frozen=True)
class Entry:
    """One line: `at` is the machine's monotonic clock, which all its processes share."""

    kind: str
    job: int
    attempt: int
    pid: int
    at: float


def note(kind: str, ctx: Any) -> None:
    """Append a line to the file that the environment names, in one write."""
    line = f"{kind} {ctx.job.id} {ctx.attempt} {os.getpid()} {time.monotonic()}\n"
    descriptor = os.open(os.environ[VARIABLE], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


class Ledger:
    """The file as tests read it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, kind: str | None = None, job: int | None = None) -> list[Entry]:
        """Entries in the order in which they were written."""
        if not self.path.exists():
            return []
        entries = []
        for line in self.path.read_text().splitlines():
            found, number, attempt, pid, at = line.split()
            entries.append(Entry(found, int(number), int(attempt), int(pid), float(at)))
        return [e for e in entries if kind in {None, e.kind} and job in {None, e.job}]

    def overlaps(self) -> list[tuple[Entry, Entry]]:
        """Pairs of attempts of one job, in which one started before the other's last sign of life."""
        spans: dict[tuple[int, int, int], list[Entry]] = {}
        for entry in self.read():
            spans.setdefault((entry.job, entry.attempt, entry.pid), []).append(entry)
        runs = sorted(spans.values(), key=lambda run: (run[0].job, run[0].at))
        return [
            (before[-1], after[0])
            for before, after in itertools.pairwise(runs)
            if before[0].job == after[0].job and after[0].at < before[-1].at
        ]
