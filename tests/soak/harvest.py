"""Reads what a run left behind, from the database and from the ledgers, into plain values for the rules."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.soak.ledger import Tail

if TYPE_CHECKING:
    import psycopg

# Within a nanosecond a start comes before a refusal, and that before an end.
ORDER = {"S": 0, "F": 1, "X": 2, "D": 3}


class Lease(NamedTuple):
    """A change of a job's lease, in the order in which the database made them. `at` in nanoseconds."""

    seq: int
    at: int
    was: int | None
    now: int | None
    worker: int | None
    attempt: int
    ended: bool


class Run(NamedTuple):
    """A line of a worker's ledger, without its job: sorts by time, and a start before an end."""

    at: int
    order: int
    token: int


class Effect(NamedTuple):
    """A row of the effects table."""

    token: int
    kind: str
    at: int


class Job(NamedTuple):
    """A job as the database has it at the end; `state` is finished, cancelled, dead or unfinished."""

    id: int
    state: str
    task: str
    attempt: int
    failures: int
    args: dict[str, Any]
    error: str = ""


class Batch(NamedTuple):
    """What a producer sent in one transaction; `ids` once it was acknowledged."""

    name: str
    kind: str
    first: int
    count: int
    ids: list[int] | None


@dataclass(slots=True)
class Workers:
    """What is known of worker processes: pid by id, and for lost ones how long (seconds) they had been silent. Of those
    that `ended` a supervisor says that it has waited for them: they need not have been silent for a lease.
    """

    pids: dict[int, int] = field(default_factory=dict)
    lost: dict[int, float] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Harvest:
    """Everything that the rules look at."""

    jobs: list[Job]
    leases: dict[int, list[Lease]]
    runs: dict[int, list[Run]]
    effects: dict[int, list[Effect]]
    outcomes: dict[tuple[int, int], str]  # (job, attempt) of attempts that did not end their job
    workers: Workers
    batches: list[Batch]
    lease_seconds: float
    calm_at: int  # the last fault, in nanoseconds
    faults: list[dict[str, Any]] = field(default_factory=list)


def gather(conn: "psycopg.Connection[Any]", folder: Path, *, lease_seconds: float) -> Harvest:
    """Read everything."""
    leases, effects = _leases(conn), _effects(conn)
    faults = [json.loads(line) for line in (folder / "faults.log").read_text().splitlines()]
    calm_at = max((fault["at"] for fault in faults), default=0)
    return Harvest(
        jobs=_jobs(conn),
        leases=leases,
        runs=runs(folder),
        effects=effects,
        outcomes=_outcomes(conn),
        workers=_workers(conn),
        batches=batches(folder),
        lease_seconds=lease_seconds,
        calm_at=calm_at,
        faults=faults,
    )


def _rows(conn: "psycopg.Connection[Any]", query: str) -> Iterator[Sequence[str]]:
    """The rows of a query as text, an empty text for null, without keeping them all."""
    with conn.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout with (null '')".encode()) as copy:
        rest = b""
        for block in copy:
            *lines, rest = (rest + bytes(block)).split(b"\n")
            for line in lines:
                yield line.decode().split("\t")


_NS = "(extract(epoch from {0}) * 1000000)::bigint * 1000"


def _jobs(conn: "psycopg.Connection[Any]") -> list[Job]:
    tables = {
        "finished_jobs": "case when succeeded then 'finished' else 'cancelled' end, error ->> 'message'",
        "dead_jobs": "'dead', error ->> 'message'",
        "queued_jobs": "'unfinished', null",
    }
    parts = [f"select id, {state}, task, attempt, failures, args_day from pgqueue.{t}" for t, state in tables.items()]
    query = (
        "select j.id, j.state, j.task, j.attempt, j.failures, a.args, j.error"
        f" from ({' union all '.join(parts)}) j (id, state, error, task, attempt, failures, day)"
        " left join pgqueue.job_args a on a.id = j.id and a.day = j.day"
    )
    return [
        Job(int(row[0]), row[1], row[2], int(row[3]), int(row[4]), json.loads(_plain(row[5]) or "{}"), row[6])
        for row in _rows(conn, query)
    ]


def _leases(conn: "psycopg.Connection[Any]") -> dict[int, list[Lease]]:
    found: dict[int, list[Lease]] = defaultdict(list)
    query = f"select job_id, seq, {_NS.format('at')}, was, now, worker_id, attempt, ended from soak.leases order by seq"
    for job, seq, at, was, now, worker, attempt, ended in _rows(conn, query):
        event = Lease(int(seq), int(at), _int(was), _int(now), _int(worker), int(attempt), ended == "t")
        found[int(job)].append(event)
    return found


def _effects(conn: "psycopg.Connection[Any]") -> dict[int, list[Effect]]:
    found: dict[int, list[Effect]] = defaultdict(list)
    for job, token, kind, at in _rows(conn, f"select job_id, token, kind, {_NS.format('at')} from soak.effects"):
        found[int(job)].append(Effect(int(token), kind, int(at)))
    return found


def _outcomes(conn: "psycopg.Connection[Any]") -> dict[tuple[int, int], str]:
    rows = _rows(conn, "select job_id, attempt, outcome from pgqueue.job_attempts")
    return {(int(job), int(attempt)): outcome for job, attempt, outcome in rows}


def _workers(conn: "psycopg.Connection[Any]") -> Workers:
    workers = Workers()
    for worker, pid, lost, silent in _rows(conn, "select id, pid, lost, extract(epoch from silent) from soak.workers"):
        workers.pids[int(worker)] = int(pid)
        if lost == "t":
            workers.lost[int(worker)] = float(silent)
    rows = _rows(conn, "select worker_id, at from pgqueue.incident_log where kind = 'ended'")
    workers.ended = {int(worker) for worker, _ in rows}
    return workers


def runs(folder: Path) -> dict[int, list[Run]]:
    """The lines of all workers, by job, in order."""
    found: dict[int, list[Run]] = defaultdict(list)
    for line in Tail(folder, "worker").lines():
        kind, job, token, at = line.split()
        found[int(job)].append(Run(int(at), ORDER[kind], int(token)))
    for lines in found.values():
        lines.sort()
    return found


def batches(folder: Path) -> list[Batch]:
    """What all producers sent."""
    found: dict[str, Batch] = {}
    for line in Tail(folder, "producer").lines():
        kind, name, *rest = line.split()
        if kind == "A":
            found[name] = Batch(name, rest[0], int(rest[1]), int(rest[2]), None)
        elif kind == "K":
            found[name] = found[name]._replace(ids=[int(word) for word in rest])
    return list(found.values())


def _plain(text: str) -> str:
    """A column of COPY without the backslashes that COPY put in."""
    return text.replace("\\\\", "\\")


def _int(text: str) -> int | None:
    return int(text) if text else None
