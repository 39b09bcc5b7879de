"""Times pick-ups: from just before COMMIT is sent to the handler's first line, by the machine's monotonic clock."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OURS = "select pgqueue.enqueue('jobs.stamp', %s::jsonb)"
ANSWER_SECONDS = 30.0


class Stopwatch:
    """A producer's connection and the file in which the handlers note their times."""

    def __init__(self, dsn: str, ledger: Path) -> None:
        self._conn = psycopg.connect(dsn)
        self.ledger = ledger
        self._ledger_at = 0
        self._next = 0
        self._seen: dict[int, int] = {}

    def many(self, jobs: int, enqueue: str = OURS) -> list[float]:
        """Milliseconds of `jobs` pick-ups, one job at a time, with random pauses of 20 to 60 ms."""
        sent: dict[int, int] = {}
        for _ in range(jobs):
            self.open_transaction(enqueue)
            number, at = self.commit()
            sent[number] = at
            time.sleep(random.uniform(0.02, 0.06))
        return [self.taken(number, at) for number, at in sent.items()]

    def open_transaction(self, enqueue: str = OURS) -> None:
        """Enqueue the next job, and leave the transaction open."""
        self._next += 1
        self._conn.execute(enqueue, [json.dumps({"i": self._next})], prepare=True)

    def commit(self) -> tuple[int, int]:
        """Commit; returns the job's number and the time just before."""
        at = time.monotonic_ns()
        self._conn.commit()
        return self._next, at

    def taken(self, number: int, at: int) -> float:
        """Milliseconds from `at` until that job was picked up. Waits for it; stops everything when nobody comes."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while number not in self._seen:
            self._read()
            if number not in self._seen:
                if time.monotonic() > deadline:
                    raise SystemExit(f"job {number} was not picked up in {ANSWER_SECONDS:g} s")
                time.sleep(0.005)
        return (self._seen[number] - at) / 1e6

    def close(self) -> None:
        """Close the connection."""
        self._conn.close()

    def _read(self) -> None:
        if not self.ledger.exists():
            return
        with self.ledger.open("rb") as file:
            file.seek(self._ledger_at)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._ledger_at += len(whole)
        for line in whole.splitlines():
            number, at = line.split()
            self._seen.setdefault(int(number), int(at))


def warm(watch: Stopwatch, enqueue: str = OURS, jobs: int = 10) -> None:
    """Wait until somebody picks jobs up, and let plans and caches settle."""
    watch.many(jobs, enqueue)


def within(values: Sequence[float], limit: float) -> str:
    """How many of the values are within a limit, in words."""
    return f"{sum(value <= limit for value in values)} of {len(values)} within {limit:g} ms"


def sleeping(conn: psycopg.Connection[Any]) -> bool:
    """Whether a worker says that it sleeps, so that an enqueue would notify."""
    row = conn.execute(
        "select exists (select from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and granted "
        "and database = (select oid from pg_database where datname = current_database()))"
    ).fetchone()
    return bool(row and row[0])
