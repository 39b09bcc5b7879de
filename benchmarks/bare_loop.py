"""The floor of a drain: one connection that runs the worker's own SQL step in a loop, without handlers.

It claims 500 jobs, and settles them with the next claim; in between it moves its mark to the last job claimed, as the
worker does. Durable and with history, exactly as the worker: only what Python has to do for a job is left out. Jobs of
priority 0 only.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

import psycopg
from psycopg.adapt import Loader
from psycopg.rows import tuple_row

from pgqueue.calls import statement
from pgqueue.version import VERSION

KIND, ID, RUN_AT = 0, 1, 11
TASKS = ["jobs.noop"]


class AsText(Loader):
    """Leaves times as PostgreSQL wrote them, as the worker does."""

    def load(self, data: Any) -> str:
        return bytes(data).decode()


def main(dsn: str, batch: int = 500) -> None:
    """Drain the queue."""
    conn = psycopg.connect(dsn, autocommit=True, row_factory=tuple_row)
    conn.adapters.register_loader("timestamptz", AsText)
    worker: dict[str, object] = {"worker_id": secrets.randbits(52), "epoch": 0}
    conn.execute(
        statement("register_worker", "pgqueue"),
        {
            **worker,
            "host": "bare",
            "pid": os.getpid(),
            "queues": ["default"],
            "tasks": TASKS,
            "concurrency": batch,
            "lease_seconds": 600.0,
            "version": VERSION,
        },
    )
    step = statement("step", "pgqueue")
    lane = {"queue": "default", "tasks": TASKS, "max_jobs": batch, "priorities": "{0}", "series": 1}
    fixed = {**worker, **lane, "outcomes": None}
    mark_at, mark_id = "-infinity", 0
    ids: list[int] = []
    tokens: list[int] = []
    while True:
        token = secrets.randbits(62)
        marks = {"marks_at": f'{{"{mark_at}"}}', "marks_id": f"{{{mark_id}}}"}
        done = {"done_ids": f"{{{','.join(map(str, ids))}}}", "done_tokens": f"{{{','.join(map(str, tokens))}}}"}
        rows = conn.execute(step, {**fixed, "token": token, **marks, **done}, prepare=True).fetchall()
        jobs = [row for row in rows if row[KIND] == "job"]
        if any(row[KIND] in {"stale", "lost"} for row in rows):
            raise SystemExit("the bare loop lost its jobs")
        if not jobs and not ids:
            break
        if jobs:
            mark_at, mark_id = jobs[-1][RUN_AT], jobs[-1][ID]
        ids = sorted(row[ID] for row in jobs)
        tokens = [token] * len(ids)
    conn.execute(statement("leave", "pgqueue"), {"worker_id": worker["worker_id"]})
    conn.close()


if __name__ == "__main__":
    main(os.environ["PGQ_DSN"])
