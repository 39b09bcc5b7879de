"""What traces jobs, as the rest sees it: a `Tracer`, which `otel` provides and an App has none of by default. I/O-free.

The context of a trace travels in a job's meta, under the names that the W3C gives it (https://www.w3.org/TR/trace-context/):

    {"traceparent": "00-<trace id, 32 hex digits>-<span id, 16>-<flags, 2>", "tracestate": "..."}

so any producer can set it: `select pgqueue.enqueue('t', meta => '{"traceparent": "00-..."}')`. What is not such
a text is passed over.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from pgqueue.job import NewJob

CARRIED = ("traceparent", "tracestate")  # the keys of meta


class Trace(Protocol):
    """One attempt that is traced."""

    def ids(self) -> Mapping[str, str]:
        """The trace_id and span_id of what runs now, as hexadecimal digits."""
        ...

    def carrier(self) -> dict[str, str]:
        """What another process needs to go on with this trace."""
        ...

    def leave(self) -> None:
        """The handler has ended: the context is what it was before. In the context of `Tracer.enter`."""
        ...


class Sending(Protocol):
    """Jobs on their way to the database."""

    def mark(self, job: NewJob) -> NewJob:
        """Return the job with the context of the trace in its meta."""
        ...

    def sent(self, ids: Sequence[int], /) -> None:
        """The database has them, under these ids."""
        ...


class Tracer(Protocol):
    """What makes spans."""

    def sending(self, jobs: Sequence[NewJob]) -> AbstractContextManager[Sending]:
        """Trace the statement that sends jobs."""
        ...

    def enter(self, attempt: Any) -> Trace | None:
        """Begin the span of an attempt, and make it the current one. Never raises."""
        ...


class _Untraced:
    """The sending of jobs that nobody traces."""

    def __enter__(self) -> _Untraced:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def mark(self, job: NewJob) -> NewJob:
        return job

    def sent(self, _ids: Sequence[int]) -> None:
        return None


UNTRACED = _Untraced()


def sending(tracer: Tracer | None, jobs: Sequence[NewJob]) -> AbstractContextManager[Sending]:
    """Trace the sending of jobs, if anything traces."""
    return UNTRACED if tracer is None or not jobs else tracer.sending(jobs)


def carried(meta: str | None) -> dict[str, str]:
    """Return the context in a job's meta; empty when there is none, or no text."""
    if meta is None or '"traceparent"' not in meta:
        return {}
    value = json.loads(meta)
    if not isinstance(value, dict):
        return {}
    return {name: value[name] for name in CARRIED if isinstance(value.get(name), str)}


def marked(job: NewJob, carrier: Mapping[str, str]) -> NewJob:
    """Return the job with the carrier in its meta; a trace that the caller put there stays."""
    if not carrier:
        return job
    meta = job.meta or "{}"
    if '"traceparent"' in meta and "traceparent" in json.loads(meta):
        return job
    head = meta.rstrip()[:-1].rstrip()
    comma = "" if head == "{" else ","
    return replace(job, meta=f"{head}{comma}{json.dumps(dict(carrier))[1:]}")
