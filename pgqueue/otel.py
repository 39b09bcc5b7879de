"""OpenTelemetry spans and metrics of jobs, by the semantic conventions for messaging (extra `otel`).

    from pgqueue import otel
    otel.instrument(app)          # or pgq work --otel

    send QUEUE      producer: the statement that enqueues one job, several, or a flow
    process QUEUE   consumer: one attempt, from its handler's begin to its outcome

An attempt's span is a child of the span that sent its job and links to it, so a request and what it set off are one
trace. A retry is one more `process` span beside the first. `relation="link"` makes each attempt the root of a trace of
its own, with the link only: for jobs sent by the thousand. The context is carried in meta (see `tracing`).

Spans and metrics are made of what `events` tells and of names: no argument, result, meta or message of an error gets
into them. The SDK and its exporters are the application's; without one this does nothing but pass contexts on.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Literal

from pgqueue.errors import ConfigError
from pgqueue.events import AttemptEnded, StepDone
from pgqueue.telling import place_of
from pgqueue.tracing import CARRIED, carried, marked
from pgqueue.version import VERSION

try:
    from opentelemetry import context as _context
    from opentelemetry import metrics as _metrics
    from opentelemetry import trace as _trace
    from opentelemetry.trace import Link, Span, SpanKind, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as missing:
    raise ConfigError(
        f'tracing needs OpenTelemetry, which is not installed ({missing.name}): pip install "pgqueue[otel]"'
    ) from None

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider
    from opentelemetry.util.types import AttributeValue

    from pgqueue.app import App
    from pgqueue.events import Event
    from pgqueue.job import NewJob

log = logging.getLogger(__name__)

Relation = Literal["parent", "link"]
SYSTEM = "pgqueue"
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
FAILED = ("failed", "dead", "lost")  # outcomes that are errors; the others are decisions
# Seconds; the conventions' own advice ends at 10 s, jobs do not.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 300, 1800)
_W3C = TraceContextTextMapPropagator()


def instrument(
    app: App,
    *,
    relation: Relation = "parent",
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Trace what an App sends, and what workers in this process run of it. Before these start; again: once.

    Without providers the global ones are asked. Raises ConfigError.
    """
    if relation not in {"parent", "link"}:
        raise ConfigError(f'otel: relation must be "parent" or "link", got {relation!r}')
    if app.tracer is not None:
        return
    tracing = Tracing(relation, tracer_provider, meter_provider)
    app.tracer = tracing
    app.observers.add(tracing.observe)


def uninstrument(app: App) -> None:
    """Take back what `instrument` did."""
    if isinstance(app.tracer, Tracing):
        app.observers.remove(app.tracer.observe)
        app.tracer = None


def resume(carrier: Mapping[str, str]) -> Attempting:
    """Go on with a trace that another process began; in the context that is current now."""
    context = _W3C.extract(dict(carrier), _context.Context())
    return Attempting(_trace.get_current_span(context), _context.attach(context))


class Tracing:
    """The spans and metrics of one App."""

    def __init__(
        self, relation: Relation, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None
    ) -> None:
        self._relation = relation
        self._tracer = _trace.get_tracer("pgqueue", VERSION, tracer_provider, SCHEMA_URL)
        meter = _metrics.get_meter("pgqueue", VERSION, meter_provider, SCHEMA_URL)
        self._operations = meter.create_histogram(
            "messaging.client.operation.duration",
            unit="s",
            description="Duration of messaging operation initiated by a producer or consumer client.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        self._processing = meter.create_histogram(
            "messaging.process.duration",
            unit="s",
            description="Duration of processing operation.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        self._sent = meter.create_counter(
            "messaging.client.sent.messages",
            unit="{message}",
            description="Number of messages producer attempted to send to the broker.",
        )
        self._consumed = meter.create_counter(
            "messaging.client.consumed.messages",
            unit="{message}",
            description="Number of messages that were delivered to the application.",
        )
        self._open: dict[tuple[int, int], Attempting] = {}

    def sending(self, jobs: Sequence[NewJob]) -> Sent:
        """Trace the statement that sends jobs."""
        return Sent(self, jobs)

    def begin(self, jobs: Sequence[NewJob]) -> Span:
        """Begin the span of that statement."""
        attributes = _about("send", _queue_of(jobs))
        tasks = {job.task for job in jobs}
        if len(tasks) == 1:
            attributes["pgqueue.task"] = tasks.pop()
        if len(jobs) != 1:
            attributes["messaging.batch.message_count"] = len(jobs)
        return self._tracer.start_span(_name("send", _queue_of(jobs)), kind=SpanKind.PRODUCER, attributes=attributes)

    def was_sent(self, jobs: Sequence[NewJob], seconds: float, error: type[BaseException] | None) -> None:
        """Count it."""
        attributes = _metric("send", _queue_of(jobs), None if error is None else error.__qualname__)
        self._operations.record(seconds, attributes)
        self._sent.add(len(jobs), attributes)

    def enter(self, attempt: Any) -> Attempting | None:
        """Begin the span of an attempt, and make it the current one. What goes wrong here is logged, and no more."""
        try:
            return self._enter(attempt)
        except Exception as error:  # noqa: BLE001 - an exporter's trouble must not fail a job
            log.warning("a job could not be traced", extra={"job": attempt.id, "error": place_of(error)})
            return None

    def _enter(self, attempt: Any) -> Attempting:
        carrier = carried(attempt.meta)
        sent_in = _W3C.extract(carrier, _context.Context()) if carrier else _context.Context()
        creation = _trace.get_current_span(sent_in).get_span_context()
        fields = attempt.log_fields()
        span = self._tracer.start_span(
            _name("process", fields["queue"]),
            sent_in if self._relation == "parent" else _context.Context(),
            kind=SpanKind.CONSUMER,
            attributes=_about("process", fields["queue"])
            | {
                "messaging.message.id": str(fields["job"]),
                "messaging.client.id": str(fields["worker"]),
                "pgqueue.task": fields["task"],
                "pgqueue.attempt": fields["attempt"],
            },
            links=[Link(creation)] if creation.is_valid else [],
        )
        token = _context.attach(_trace.set_span_in_context(span, _context.Context()))
        begun = Attempting(span, token)
        self._open[fields["job"], fields["attempt"]] = begun
        return begun

    def observe(self, event: Event) -> None:
        """End spans, and count."""
        if isinstance(event, AttemptEnded):
            self._ended(event)
        elif isinstance(event, StepDone):
            self._stepped(event)

    def _ended(self, event: AttemptEnded) -> None:
        error = (event.error or event.outcome) if event.outcome in FAILED else None
        if event.run_seconds is not None:
            self._processing.record(event.run_seconds, _metric("process", event.queue, error))
        begun = self._open.pop((event.job, event.attempt), None)
        if begun is not None:
            span = begun.span
            span.set_attribute("pgqueue.outcome", event.outcome)
            if error is not None:
                span.set_attribute("error.type", error)
                span.set_status(StatusCode.ERROR)
            span.end()

    def _stepped(self, event: StepDone) -> None:
        if event.claimed:
            attributes = _metric("receive", event.queue, None)
            self._operations.record(event.seconds, attributes)
            self._consumed.add(event.claimed, attributes)
        elif event.settled:
            self._operations.record(event.seconds, _metric("settle", None, None))


class Attempting:
    """An attempt under way, or what another process has of it."""

    def __init__(self, span: Span, token: Any) -> None:
        self.span = span
        self._token = token

    def ids(self) -> dict[str, str]:
        """The trace_id and span_id of what runs now: the handler may have begun spans of its own."""
        now = _trace.get_current_span().get_span_context()
        if not now.is_valid:
            now = self.span.get_span_context()
        if not now.is_valid:
            return {}
        return {"trace_id": _trace.format_trace_id(now.trace_id), "span_id": _trace.format_span_id(now.span_id)}

    def carrier(self) -> dict[str, str]:
        """What another process needs to go on."""
        return _carrier(self.span)

    def leave(self) -> None:
        """Make current what was before."""
        _context.detach(self._token)


class Sent:
    """The span around a statement that sends jobs, which is the current one meanwhile."""

    def __init__(self, tracing: Tracing, jobs: Sequence[NewJob]) -> None:
        self._tracing = tracing
        self._jobs = jobs

    def __enter__(self) -> Sent:
        self._span = self._tracing.begin(self._jobs)
        self._carrier = _carrier(self._span)
        self._token = _context.attach(_trace.set_span_in_context(self._span))
        self._began = time.monotonic()
        return self

    def mark(self, job: NewJob) -> NewJob:
        """Return the job with this span's context in its meta."""
        return marked(job, self._carrier)

    def sent(self, ids: Sequence[int], /) -> None:
        """The database has them."""
        if len(self._jobs) == len(ids) == 1:
            self._span.set_attribute("messaging.message.id", str(ids[0]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _context.detach(self._token)
        self._tracing.was_sent(self._jobs, time.monotonic() - self._began, kind)
        if kind is not None:
            self._span.set_attribute("error.type", kind.__qualname__)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


def _carrier(span: Span) -> dict[str, str]:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, _trace.set_span_in_context(span, _context.Context()))
    return {name: carrier[name] for name in CARRIED if carrier.get(name)}


def _queue_of(jobs: Sequence[NewJob]) -> str | None:
    queues = {job.queue or "default" for job in jobs}
    return queues.pop() if len(queues) == 1 else None


def _name(operation: str, queue: str | None) -> str:
    return operation if queue is None else f"{operation} {queue}"


def _about(operation: str, queue: str | None) -> dict[str, AttributeValue]:
    return _metric(operation, queue, None) | {"messaging.operation.type": operation}


def _metric(operation: str, queue: str | None, error: str | None) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {"messaging.system": SYSTEM, "messaging.operation.name": operation}
    if queue is not None:
        attributes["messaging.destination.name"] = queue
    if error is not None:
        attributes["error.type"] = error
    return attributes
