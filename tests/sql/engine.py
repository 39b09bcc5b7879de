# ruff: noqa: E501 - SQL and names of tests are told on one line
"""The database's verbs as producers and workers send them, on any connection, one thin method each.

`Worker` is one worker process as the database sees it: an id, an epoch, and the leases that its last claims brought.
`Background` runs a statement in a thread and says when it waits for a lock, so that tests step two sessions exactly.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from tests.support.waiting import wait_until

Conn = psycopg.Connection[Any]
CASTS = {
    "args": "jsonb",
    "limits": "jsonb",
    "meta": "jsonb",
    "run_at": "timestamptz",
    "expires_at": "timestamptz",
    "timeout": "interval",
}
CASTS |= {"delay": "interval", "key_period": "interval", "priority": "integer", "max_attempts": "integer"}


def scalar(conn: Conn, query: str, *params: Any) -> Any:
    """Return the first column of the first row, None when there is none."""
    row = conn.execute(query, params).fetchone()
    return None if row is None else row[0]


def column(conn: Conn, query: str, *params: Any) -> list[Any]:
    """Return the first column."""
    return [row[0] for row in conn.execute(query, params)]


def enqueue(conn: Conn, task: str = "t", **options: Any) -> int:
    """Call enqueue with named arguments; objects become JSON."""
    parts: list[sql.Composable] = [sql.SQL("%s")]
    values: list[Any] = [task]
    for name, value in options.items():
        parts.append(sql.SQL("{} => %s::" + CASTS.get(name, "text")).format(sql.Identifier(name)))
        values.append(json.dumps(value) if isinstance(value, dict) else value)
    statement = sql.SQL("select pgqueue.enqueue({})").format(sql.SQL(", ").join(parts))
    row = conn.execute(statement, values).fetchone()
    assert row is not None
    return int(row[0])


def enqueue_many(conn: Conn, jobs: Sequence[Any] | str) -> list[int]:
    """Call enqueue_many with a JSON array."""
    text = jobs if isinstance(jobs, str) else json.dumps(jobs)
    return column(conn, "select x from pgqueue.enqueue_many(%s::jsonb) x", text)


def cancel(conn: Conn, job_id: int) -> str:
    return str(scalar(conn, "select pgqueue.cancel(%s)", job_id))


def retry(conn: Conn, job_id: int) -> int:
    return int(scalar(conn, "select pgqueue.retry(%s)", job_id))


def redrive(conn: Conn, queue: str | None = None, task: str | None = None, limit: int | None = None) -> int:
    return int(scalar(conn, 'select pgqueue.redrive(%s, %s, "limit" => %s)', queue, task, limit))


def sweep(conn: Conn) -> int:
    return int(scalar(conn, "select pgqueue.sweep_cancel_requests()"))


def rescue(conn: Conn) -> list[dict[str, Any]]:
    return (
        conn.cursor(row_factory=dict_row).execute("select worker_id, host, pid, jobs from pgqueue.rescue()").fetchall()
    )


def guard(conn: Conn, lease: "Lease") -> None:
    conn.execute("select pgqueue.guard(%s, %s)", (lease.id, lease.token))


def complete(conn: Conn, lease: "Lease", result: Any = None) -> None:
    conn.execute("select pgqueue.complete(%s, %s, %s::jsonb)", (lease.id, lease.token, json.dumps(result)))


def job(conn: Conn, job_id: int) -> dict[str, Any]:
    """Return the one row of the view jobs."""
    rows = conn.cursor(row_factory=dict_row).execute("select * from pgqueue.jobs where id = %s", (job_id,)).fetchall()
    assert len(rows) == 1, f"job {job_id} has {len(rows)} rows"
    return rows[0]


def state(conn: Conn, job_id: int) -> str:
    return str(job(conn, job_id)["state"])


def attempts(conn: Conn, job_id: int) -> list[tuple[int, str]]:
    """Return (attempt, outcome) of every attempt that ended."""
    query = "select attempt, outcome from pgqueue.attempts where job_id = %s order by attempt"
    return [(row[0], row[1]) for row in conn.execute(query, (job_id,))]


def holder(conn: Conn, key: str, queue: str = "default") -> int | None:
    """Return the id of the job that holds a key."""
    found: int | None = scalar(conn, "select job_id from pgqueue.job_keys where queue = %s and key = %s", queue, key)
    return found


def make_due(conn: Conn, job_id: int) -> None:
    """Let the time until the job is due pass."""
    query = "update pgqueue.queued_jobs set run_at = clock_timestamp() - interval '1 s' where id = %s and run_at > clock_timestamp()"
    conn.execute(query, (job_id,))


@dataclass(frozen=True, slots=True)
class Lease:
    """What a claim brought: a job's id and the token of this attempt."""

    id: int
    token: int
    attempt: int = 0
    row: dict[str, Any] = field(default_factory=dict, compare=False)

    def outcome(self, outcome: str, **fields: Any) -> dict[str, Any]:
        return {"id": self.id, "token": self.token, "outcome": outcome, **fields}


@dataclass(slots=True)
class Step:
    """A step's rows by kind."""

    leases: list[Lease]
    stale: list[int]
    lost: bool
    suspects: bool
    next_due: Any
    clock: Any

    @property
    def ids(self) -> list[int]:
        return [lease.id for lease in self.leases]


class Worker:
    """A registered worker process."""

    def __init__(
        self, conn: Conn, *, lease: str = "15 s", tasks: Sequence[str] = ("t",), queues: Sequence[str] = ("default",)
    ) -> None:
        self.conn = conn
        self.id = secrets.randbits(62)
        self.epoch = 0
        self.tasks = list(tasks)
        registered = scalar(
            conn,
            "select pgqueue.register_worker(%s, 'host', 1, %s::text[], %s::text[], 10, %s::interval)",
            self.id, list(queues), self.tasks, lease,
        )  # fmt: skip
        assert registered is True

    def step(
        self,
        max_jobs: int = 100,
        *,
        queue: str = "default",
        done: Sequence[Lease] = (),
        outcomes: Sequence[dict[str, Any]] | None = None,
        conn: Conn | None = None,
        token: int | None = None,
        marks: Sequence[tuple[int, str, int]] | None = None,
        series: int = 1,
    ) -> Step:
        """Settle, then claim from the beginning, or from marks of (priority, run_at, id)."""
        done = sorted(done, key=lambda lease: lease.id)
        token = secrets.randbits(62) if token is None else token
        params = {
            "worker": self.id, "epoch": self.epoch, "token": token, "queue": queue, "tasks": self.tasks, "max_jobs": max_jobs,
            "priorities": None if marks is None else [mark[0] for mark in marks],
            "marks_at": None if marks is None else [mark[1] for mark in marks],
            "marks_id": None if marks is None else [mark[2] for mark in marks],
            "done_ids": [lease.id for lease in done], "done_tokens": [lease.token for lease in done],
            "outcomes": None if outcomes is None else json.dumps(list(outcomes)), "series": series,
        }  # fmt: skip
        query = """select * from pgqueue.step(%(worker)s::bigint, %(epoch)s::integer, %(token)s::bigint, %(queue)s::text, %(tasks)s::text[],
          %(max_jobs)s::integer, %(priorities)s::smallint[], %(marks_at)s::timestamptz[], %(marks_id)s::bigint[],
          %(done_ids)s::bigint[], %(done_tokens)s::bigint[], %(outcomes)s::jsonb, %(series)s::integer)"""
        rows = (conn or self.conn).cursor(row_factory=dict_row).execute(query, params).fetchall()
        kinds: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            kinds.setdefault(row["kind"], []).append(row)
        clock = kinds["clock"][0]
        return Step(
            [Lease(row["id"], token, row["attempt"], row) for row in kinds.get("job", []) + kinds.get("gated", [])],
            [row["id"] for row in kinds.get("stale", [])],
            "lost" in kinds,
            clock["id"] == 1,
            kinds["next"][0]["run_at"] if "next" in kinds else None,
            clock["run_at"],
        )

    def claim(self, max_jobs: int = 100, *, queue: str = "default", conn: Conn | None = None) -> list[Lease]:
        return self.step(max_jobs, queue=queue, conn=conn).leases

    def claim_one(self, *, queue: str = "default") -> Lease:
        (lease,) = self.claim(1, queue=queue)
        return lease

    def claim_alone(self, *, queue: str = "default", conn: Conn | None = None) -> list[Lease]:
        token = secrets.randbits(62)
        query = "select id, attempt, args, expired from pgqueue.claim_alone(%s, %s, %s, %s, %s::text[])"
        cursor = (conn or self.conn).cursor(row_factory=dict_row)
        rows = cursor.execute(query, (self.id, self.epoch, token, queue, self.tasks)).fetchall()
        return [Lease(row["id"], token, row["attempt"], row) for row in rows]

    def settle(self, *outcomes: dict[str, Any], conn: Conn | None = None) -> list[int]:
        """Settle without claiming; return the stale ids."""
        return self.step(0, outcomes=outcomes, conn=conn).stale

    def done(self, *leases: Lease, conn: Conn | None = None) -> list[int]:
        """Settle successes the short way; return the stale ids."""
        return self.step(0, done=leases, conn=conn).stale

    def beat(self) -> list[int] | None:
        found: list[int] | None = scalar(self.conn, "select pgqueue.beat(%s, 0)", self.id)
        return found

    def leave(self) -> int:
        return int(scalar(self.conn, "select pgqueue.leave(%s)", self.id))

    def recover(self, token: int | None = None) -> list[dict[str, Any]]:
        query = "select * from pgqueue.recover(%s, %s::bigint)"
        rows = self.conn.cursor(row_factory=dict_row).execute(query, (self.id, token)).fetchall()
        self.epoch = rows[0]["epoch"] if rows[0]["held"] else self.epoch
        return rows

    def fall_silent(self) -> None:
        """Let its lease run out."""
        query = "update pgqueue.worker_processes set heartbeat_at = heartbeat_at - 2 * lease where id = %s"
        self.conn.execute(query, (self.id,))

    def lose(self, conn: Conn | None = None) -> None:
        """Let its lease run out, and let the rescue see it."""
        self.fall_silent()
        lost = [row["worker_id"] for row in rescue(conn or self.conn)]
        assert self.id in lost


class Background:
    """A call in a thread of its own; `conn` is the connection that it uses."""

    _threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="pgqueue-sql")

    def __init__(self, conn: Conn, call: Callable[[], Any]) -> None:
        self._pid = conn.info.backend_pid
        self._future: Future[Any] = self._threads.submit(call)

    def waits(self, watcher: Conn) -> "Background":
        """Return once the call waits for a lock. Fails if it ends instead."""

        def blocked() -> bool:
            assert not self._future.done(), f"it did not wait: {self._future.exception() or self._future.result()!r}"
            return bool(scalar(watcher, "select cardinality(pg_blocking_pids(%s)) > 0", self._pid))

        wait_until(blocked)
        return self

    def settled_or_waits(self, watcher: Conn) -> "Background":
        """Return once the call has ended or waits for a lock."""
        query = "select cardinality(pg_blocking_pids(%s)) > 0"
        wait_until(lambda: self._future.done() or bool(scalar(watcher, query, self._pid)))
        return self

    def result(self, timeout: float = 10.0) -> Any:
        return self._future.result(timeout)
