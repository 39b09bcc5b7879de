"""Each database verb as a value: its SQL, its parameters, and how to read its rows.

A client, sync or async, runs any of them in three lines, so nothing is written twice. The text of each verb is the file
of its name in `sql/`; the schema is rendered into it once.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Generic, LiteralString, TypeVar

from pgqueue import statements
from pgqueue.errors import ArgumentError
from pgqueue.job import FlowProgress, FlowState, Gate, JobStatus, NewJob, ParentJob, State
from pgqueue.telling import brief

T = TypeVar("T")
Row = tuple[Any, ...]


statement = partial(statements.statement, "pgqueue")  # (name, schema): `sql/NAME.sql` of this package


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One verb, ready to run."""

    name: str
    params: Mapping[str, Any]
    read: Callable[[Sequence[Row]], T]

    def text(self, schema: str) -> LiteralString:
        """The SQL of the verb for a schema, with psycopg placeholders."""
        return statement(self.name, schema)


def _value(rows: Sequence[Row]) -> Any:
    return rows[0][0]


def _state(rows: Sequence[Row]) -> State:
    return State(rows[0][0])


def _column(rows: Sequence[Row]) -> list[Any]:
    return [row[0] for row in rows]


def _nothing(_: Sequence[Row]) -> None:
    return None


_NONE = (None,) * 7
_NO_GATES = (None,) * 3


def enqueue(job: NewJob) -> Call[int]:
    """Add one job; its id, or that of the job which holds its key."""
    special = (job.run_at, job.delay, job.key, job.expires_at, job.meta, job.max_attempts, job.timeout)
    gates = (job.group_key, job.limits, job.fair_key)
    if not job.priority and special == _NONE and gates == _NO_GATES:
        return Call("enqueue_plain", {"task": job.task, "args": job.args, "queue": job.queue}, _value)
    params = {
        "task": job.task,
        "args": job.args,
        "queue": job.queue,
        "priority": job.priority,
        "run_at": job.run_at,
        "delay": job.delay,
        "key": job.key,
        "key_policy": job.key_policy,
        "key_period": job.key_period,
        "max_attempts": job.max_attempts,
        "timeout": job.timeout,
        "expires_at": job.expires_at,
        "meta": job.meta,
        "group_key": job.group_key,
        "group_retry": job.group_retry,
        "limits": job.limits,
        "fair_key": job.fair_key,
    }
    return Call("enqueue", params, _value)


def enqueue_many(jobs: Sequence[NewJob]) -> Call[list[int]]:
    """Add many jobs in one round trip; their ids in the order given."""
    return Call("enqueue_many", {"jobs": "[" + ",".join(map(as_json, jobs)) + "]"}, _column)


def as_json(job: NewJob, *, leave_out: str = "") -> str:
    """Write one element of enqueue_many's array, spliced from the texts of args and meta, which are JSON already."""
    head = f'{{"task":{_quote(job.task)},"args":{job.args}'
    told = [(name, write, getattr(job, name)) for name, write in _WRITERS if name != leave_out]
    given = [f',"{name}":{write(value)}' for name, write, value in told if value is not None]
    return head + "".join(given) + "}"


@lru_cache(maxsize=4096)
def _quote(text: str) -> str:
    import json

    return json.dumps(text)


def _interval(value: timedelta) -> str:
    return f'"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"'


def _time(value: datetime) -> str:
    return f'"{value.isoformat()}"'


_WRITERS: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("queue", _quote),
    ("priority", str),
    ("run_at", _time),
    ("delay", _interval),
    ("key", _quote),
    ("key_policy", _quote),
    ("key_period", _interval),
    ("max_attempts", str),
    ("timeout", _interval),
    ("expires_at", _time),
    ("meta", str),
    ("group_key", _quote),
    ("group_retry", _quote),
    ("limits", str),
    ("fair_key", _quote),
)


def cancel(job_id: int) -> Call[State]:
    """Cancel a job, or tell a running one to stop; the state that it was in."""
    return Call("cancel", {"id": _id(job_id, "job")}, _state)


def _id(given: Any, kind: str) -> int:
    """Return an id that the database can look for; another would end the caller's transaction. Raises ArgumentError."""
    if isinstance(given, bool) or not isinstance(given, int) or not -(2**63) <= given < 2**63:
        raise ArgumentError(f"the id of a {kind} must be a whole number of 64 bits, got {brief(given)}")
    return given


def _queue(given: Any) -> str:
    found = _named(given, "queue")
    if not found:
        raise ArgumentError(f"queue must be a text that is not empty, got {brief(given)}")
    return found


def _named(given: Any, what: str) -> str | None:
    """Return a text, or None, that the driver and the database can take as a name. Raises ArgumentError."""
    if given is not None and (not isinstance(given, str) or "\x00" in given or not _is_utf8(given)):
        raise ArgumentError(f"{what} must be a text without NUL and lone surrogates, got {brief(given)}")
    return given


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def retry(job_id: int) -> Call[int]:
    """Make a dead, cancelled or scheduled job ready now; its id."""
    return Call("retry", {"id": _id(job_id, "job")}, _value)


def redrive(queue: str | None = None, task: str | None = None, limit: int | None = None) -> Call[int]:
    """Make dead jobs ready again; how many."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or not 0 <= limit < 2**31):
        raise ArgumentError(f"limit must be a whole number from 0, got {brief(limit)}")
    return Call("redrive", {"queue": _named(queue, "queue"), "task": _named(task, "task"), "limit": limit}, _value)


def pause(queue: str) -> Call[bool]:
    """Stop claims from a queue; whether it was not paused before."""
    return Call("pause", {"queue": _queue(queue)}, _value)


def resume(queue: str) -> Call[bool]:
    """Let claims from a queue go on; whether it was paused."""
    return Call("resume", {"queue": _queue(queue)}, _value)


def backlog(queue: str | None = None) -> Call[int]:
    """Jobs due plus jobs running."""
    return Call("backlog", {"queue": _named(queue, "queue")}, _value)


def why(job_id: int) -> Call[list[Gate]]:
    """The gates that hold a job back right now."""
    return Call("why", {"id": _id(job_id, "job")}, _gates)


def _gates(rows: Sequence[Row]) -> list[Gate]:
    return [Gate(*row) for row in rows]


def status(job_id: int) -> Call[JobStatus | None]:
    """A job's state, result and last error; None when there is no such job (any more)."""
    return Call("status", {"id": job_id}, _status)


def _status(rows: Sequence[Row]) -> JobStatus | None:
    if not rows:
        return None
    job_id, state, attempt, result, error = rows[0]
    return JobStatus(job_id, State(state), attempt, result, error)


def ended(job_ids: Collection[int]) -> Call[dict[int, JobStatus | None]]:
    """Those of several jobs that have ended, by id; None for unknown ones."""
    return Call("ended", {"ids": list(job_ids)}, _ended)


def _ended(rows: Sequence[Row]) -> dict[int, JobStatus | None]:
    return {row[0]: None if row[1] is None else _status([row]) for row in rows}


def guard(job_id: int, token: int) -> Call[None]:
    """Lock an attempt's lease until the transaction ends. Raises LeaseLost."""
    return Call("guard", {"id": job_id, "token": token}, _nothing)


def complete(job_id: int, token: int, result: str | None) -> Call[None]:
    """Settle an attempt as succeeded in the caller's transaction. Raises LeaseLost. `result` is JSON text."""
    return Call("complete", {"id": job_id, "token": token, "result": result}, _nothing)


def stored_steps(job_id: int, token: int, name: str | None = None) -> Call[dict[str, str]]:
    """The steps that a job has stored, or the one of that name: JSON texts by name. Raises LeaseLost."""
    return Call("stored_steps", {"id": job_id, "token": token, "name": name}, dict)


def store_step(job_id: int, token: int, name: str, result: str) -> Call[str]:
    """Store a step's result unless it is stored; what is stored then, as JSON text. Raises LeaseLost."""
    return Call("store_step", {"id": job_id, "token": token, "name": name, "result": result}, _value)


def enqueue_flow(kind: str, name: str | None, jobs: str) -> Call[tuple[int, list[int]]]:
    """Add a flow, whose entries come as a JSON array; its id and the ids of the entries."""
    head = f'{{"kind":{_quote(kind)}' + ("" if name is None else f',"name":{_quote(name)}')
    return Call("enqueue_flow", {"flow": f'{head},"jobs":{jobs}}}'}, _ids)


def add_to_flow(job_id: int, token: int, jobs: str) -> Call[list[int]]:
    """Add entries, a JSON array, to the flow of a running job; their ids. Raises LeaseLost."""
    return Call("add_to_flow", {"id": job_id, "token": token, "jobs": jobs}, _column)


def _ids(rows: Sequence[Row]) -> tuple[int, list[int]]:
    return rows[0][0], list(rows[0][1])


def flow_parents(job_id: int) -> Call[list[ParentJob]]:
    """The jobs that a job waited for, in the order in which it names them, with what came of them."""
    return Call("flow_parents", {"id": job_id}, lambda rows: [ParentJob(*row) for row in rows])


def flow_progress(flow_id: int) -> Call[tuple[FlowProgress, int | None] | None]:
    """How far a flow is, and an unfinished job to wait for; None when there is no such flow (any more)."""
    return Call("flow_progress", {"id": flow_id}, _flow_progress)


def _flow_progress(rows: Sequence[Row]) -> tuple[FlowProgress, int | None] | None:
    if not rows:
        return None
    state, *counts, unfinished = rows[0]
    return FlowProgress(FlowState(state), *counts), unfinished


def flow_results(flow_id: int) -> Call[list[tuple[int, str, str, Any]]]:
    """What came of a flow's jobs: id, task, outcome, result."""
    return Call("flow_results", {"id": flow_id}, _results)


def _results(rows: Sequence[Row]) -> list[tuple[int, str, str, Any]]:
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def cancel_flow(flow_id: int) -> Call[int]:
    """Cancel what is unfinished of a flow; how many jobs."""
    return Call("cancel_flow", {"id": _id(flow_id, "flow")}, _value)


def retry_flow(flow_id: int) -> Call[int]:
    """Run again what failed in a flow and what was cancelled for it; how many jobs."""
    return Call("retry_flow", {"id": _id(flow_id, "flow")}, _value)
