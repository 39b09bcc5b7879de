"""Spans and metrics of jobs: whose children they are, what they say, and that they say nothing of contents."""

import asyncio
import importlib
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from pgqueue import App, Cancel, Discard, Snooze, chain, otel
from pgqueue.errors import ConfigError
from pgqueue.logs import JobFilter, JsonFormatter
from tests.support.jobs import QUICKLY
from tests.support.waiting import wait_until
from tests.worker.conftest import Jobs, Start

CANARY = "canary-7f3a"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Telemetry:
    """An SDK of the test's own."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])

    def trace(self, app: App, **options: Any) -> None:
        otel.instrument(app, tracer_provider=self.tracers, meter_provider=self.meters, **options)

    def spans(self, name: str, count: int) -> list[ReadableSpan]:
        """So many finished spans, by their beginning."""

        def found() -> list[ReadableSpan]:
            return sorted(
                (s for s in self.exporter.get_finished_spans() if s.name == name), key=lambda s: s.start_time or 0
            )

        wait_until(lambda: len(found()) >= count)
        assert len(found()) == count
        return found()

    def metrics(self) -> dict[str, list[Any]]:
        data: Any = self.reader.get_metrics_data()
        scopes = (scope for resource in data.resource_metrics for scope in resource.scope_metrics)
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    made = Telemetry()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


@pytest.fixture
def traced(app: App, telemetry: Telemetry) -> App:
    telemetry.trace(app)
    return app


def identity(span: ReadableSpan) -> tuple[int, int]:
    return span.context.trace_id, span.context.span_id


def parent(span: ReadableSpan) -> tuple[int, int] | None:
    return None if span.parent is None else (span.parent.trace_id, span.parent.span_id)


def test_a_request_its_job_and_what_that_sends_are_one_trace(
    traced: App, start: Start, the: Jobs, telemetry: Telemetry
) -> None:
    @traced.task(name="second", queue="back")
    def second() -> None: ...

    @traced.task(name="first", queue="mail")
    async def first() -> None:
        await second.aenqueue()

    with telemetry.tracers.get_tracer("shop").start_as_current_span("request") as request:
        handle = first.enqueue()
    worker = start(traced)
    (sent,), (mail,) = telemetry.spans("send mail", 1), telemetry.spans("process mail", 1)
    (inner,), (back,) = telemetry.spans("send back", 1), telemetry.spans("process back", 1)

    assert parent(sent) == (request.get_span_context().trace_id, request.get_span_context().span_id)
    assert [parent(mail), parent(inner), parent(back)] == [identity(sent), identity(mail), identity(inner)]
    assert [identity_of_link(mail), identity_of_link(back)] == [identity(sent), identity(inner)]
    assert (sent.kind, mail.kind, mail.status.status_code) == (SpanKind.PRODUCER, SpanKind.CONSUMER, StatusCode.UNSET)
    assert dict(sent.attributes or {}) == {
        "messaging.system": "pgqueue",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "mail",
        "messaging.message.id": str(handle.id),
        "pgqueue.task": "first",
    }
    assert dict(mail.attributes or {}) == {
        "messaging.system": "pgqueue",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "mail",
        "messaging.message.id": str(handle.id),
        "messaging.client.id": str(worker.id),
        "pgqueue.task": "first",
        "pgqueue.attempt": 1,
        "pgqueue.outcome": "succeeded",
    }


def identity_of_link(span: ReadableSpan) -> tuple[int, int]:
    (link,) = span.links
    return link.context.trace_id, link.context.span_id


def test_each_try_is_a_span_beside_the_others(traced: App, start: Start, the: Jobs, telemetry: Telemetry) -> None:
    @traced.task(name="fails", queue="q", max_attempts=3, backoff=QUICKLY)
    async def fails() -> None:
        raise ValueError(CANARY)

    fails.enqueue()
    start(traced)
    tries = telemetry.spans("process q", 3)

    assert {parent(span) for span in tries} == {identity(telemetry.spans("send q", 1)[0])}
    told = [
        {k: (span.attributes or {}).get(k) for k in ("pgqueue.attempt", "pgqueue.outcome", "error.type")}
        for span in tries
    ]
    assert told == [
        {"pgqueue.attempt": n, "pgqueue.outcome": outcome, "error.type": "ValueError"}
        for n, outcome in ((1, "failed"), (2, "failed"), (3, "dead"))
    ]
    assert {(span.status.status_code, span.status.description) for span in tries} == {(StatusCode.ERROR, None)}


def test_jobs_sent_together_share_a_span_and_may_have_traces_of_their_own(
    app: App, start: Start, the: Jobs, telemetry: Telemetry
) -> None:
    telemetry.trace(app, relation="link")

    @app.task(name="one", queue="q")
    async def one() -> None: ...

    app.enqueue_many([one.job() for _ in range(3)])
    start(app)
    (sent,), done = telemetry.spans("send q", 1), telemetry.spans("process q", 3)

    assert (sent.attributes or {})["messaging.batch.message_count"] == 3
    assert {identity_of_link(span) for span in done} == {identity(sent)}
    assert [span.parent for span in done] == [None] * 3
    assert len({span.context.trace_id for span in done}) == 3


def test_the_jobs_of_a_flow_are_in_its_trace(traced: App, start: Start, the: Jobs, telemetry: Telemetry) -> None:
    @traced.task(name="step", queue="q")
    async def step(ctx: Any, more: bool) -> None:
        if more:
            await ctx.add(step.job(more=False))

    chain(step.job(more=True), step.job(more=False)).enqueue()
    start(traced)
    done = telemetry.spans("process q", 3)

    flow, added = telemetry.spans("send q", 2)
    assert sorted(map(parent, done)) == sorted([identity(flow), identity(flow), identity(added)])  # type: ignore[type-var]
    assert len({span.context.trace_id for span in done}) == 1


def test_a_producer_in_sql_sets_the_context_itself(
    traced: App, start: Start, the: Jobs, telemetry: Telemetry, conn: Any
) -> None:
    @traced.task(name="t", queue="q")
    def t(ctx: Any) -> dict[str, Any]:
        return dict(ctx.job.meta)

    meta = json.dumps({"traceparent": PARENT, "tracestate": "vendor=x", "mine": 1})
    (job,) = conn.execute("select pgqueue.enqueue('t', queue => 'q', meta => %s)", [meta]).fetchone()
    start(traced)
    (span,) = telemetry.spans("process q", 1)

    assert parent(span) == (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert span.context.trace_state.get("vendor") == "x"
    assert the.wait(job, "succeeded")["result"] == json.loads(meta)


@pytest.mark.parametrize(
    "meta",
    [
        {"traceparent": "nonsense"},
        {"traceparent": 7, "tracestate": []},
        {"traceparent": None},
        {"traceparent": "00-00000000000000000000000000000000-0000000000000000-01"},
        {"traceparent": PARENT + "\n", "tracestate": "=" * 5000},
        {"traceparent": "x" * 100_000},
        {"tracestate": "a=b"},
        {"nested": {"traceparent": PARENT}},
    ],
)
def test_a_context_that_is_none_fails_no_job(
    traced: App, start: Start, the: Jobs, telemetry: Telemetry, meta: dict[str, Any]
) -> None:
    @traced.task(name="t", queue="q")
    async def t() -> None: ...

    job = the.put("t", queue="q", meta=json.dumps(meta))
    start(traced)
    the.wait(job, "succeeded")

    (span,) = telemetry.spans("process q", 1)
    assert "pgqueue.outcome" in (span.attributes or {})


def test_what_the_caller_put_into_meta_stays(traced: App, the: Jobs) -> None:
    @traced.task
    def t() -> None: ...

    own = t.using(meta={"traceparent": PARENT, "a": 1}).enqueue()
    ours = t.using(meta={"a": {"b": "}"}}).enqueue()
    bare = t.using(meta={}).enqueue()

    assert the[own]["meta"] == {"traceparent": PARENT, "a": 1}
    assert (the[ours]["meta"]["a"], sorted(the[ours]["meta"])) == ({"b": "}"}, ["a", "traceparent"])
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", the[bare]["meta"]["traceparent"])


def test_spans_of_handlers_are_children_and_log_lines_name_them(
    traced: App, start: Start, the: Jobs, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(JobFilter())
    log, tracer = logging.getLogger("shop"), telemetry.tracers.get_tracer("shop")

    @traced.task(name="a", queue="loop")
    async def a() -> None:
        log.warning("outside")
        with tracer.start_as_current_span("inside loop"):
            await asyncio.to_thread(log.warning, "inside")

    @traced.task(name="t", queue="thread")
    def t() -> None:
        with tracer.start_as_current_span("inside thread"):
            log.warning("inside")

    a.enqueue()
    t.enqueue()
    start(traced)
    for queue in ("loop", "thread"):
        (span,), (inside,) = telemetry.spans(f"process {queue}", 1), telemetry.spans(f"inside {queue}", 1)
        assert parent(inside) == identity(span)
        lines: list[Any] = [r for r in caplog.records if r.name == "shop" and r.queue == queue]  # type: ignore[attr-defined]
        assert {line.trace_id for line in lines} == {trace.format_trace_id(span.context.trace_id)}
        assert lines[-1].span_id == trace.format_span_id(inside.context.span_id)


def test_a_cpu_handler_goes_on_with_the_trace_in_its_process(
    jobs_app: App, start: Start, the: Jobs, telemetry: Telemetry
) -> None:
    telemetry.trace(jobs_app)
    try:
        handle = jobs_app.tasks["traced.cpu"].enqueue()
        start(jobs_app)
        result = the.wait(handle, "succeeded")["result"]
    finally:
        otel.uninstrument(jobs_app)

    (span,) = telemetry.spans("process default", 1)
    expected = [trace.format_trace_id(span.context.trace_id), trace.format_span_id(span.context.span_id)]
    assert result["current"] == result["logged"] == expected


def test_no_span_is_seen_by_the_next_job(traced: App, start: Start, the: Jobs, telemetry: Telemetry) -> None:
    """A slot runs one job after the other; a handler that forgets to close a span must not lend it."""

    @traced.task(name="t", queue="q")
    async def t() -> str:
        from opentelemetry import context

        before = trace.get_current_span().get_span_context().span_id
        context.attach(trace.set_span_in_context(trace.INVALID_SPAN))
        return trace.format_span_id(before)

    jobs = [t.enqueue() for _ in range(5)]
    start(traced, concurrency=1)
    results = {the.wait(job, "succeeded")["result"] for job in jobs}

    assert results == {trace.format_span_id(span.context.span_id) for span in telemetry.spans("process q", 5)}


def test_metrics_by_the_conventions(traced: App, start: Start, the: Jobs, telemetry: Telemetry) -> None:
    @traced.task(name="t", queue="q", max_attempts=1)
    async def t(fails: bool) -> None:
        if fails:
            raise ValueError(CANARY)

    jobs = traced.enqueue_many([t.job(fails=False), t.job(fails=False), t.job(fails=True)])
    start(traced)
    for job, state in zip(jobs, ("succeeded", "succeeded", "dead"), strict=True):
        the.wait(job, state)
    found = telemetry.metrics()

    base = {"messaging.system": "pgqueue", "messaging.destination.name": "q"}
    (sent,) = found["messaging.client.sent.messages"]
    assert (sent.value, dict(sent.attributes)) == (3, {**base, "messaging.operation.name": "send"})
    (consumed,) = found["messaging.client.consumed.messages"]
    assert (consumed.value, dict(consumed.attributes)) == (3, {**base, "messaging.operation.name": "receive"})
    processed = {point.attributes.get("error.type"): point.count for point in found["messaging.process.duration"]}
    assert processed == {None: 2, "ValueError": 1}
    operations = {
        point.attributes["messaging.operation.name"] for point in found["messaging.client.operation.duration"]
    }
    assert {"send", "receive"} <= operations


def test_a_refused_send_is_an_error_without_contents(traced: App, telemetry: Telemetry) -> None:
    @traced.task(queue="q")
    def t(a: str) -> None: ...

    t.using(key="k").enqueue(a=CANARY)
    with pytest.raises(Exception, match="k"):
        t.using(key="k", key_policy="raise").enqueue(a=CANARY)

    refused = telemetry.spans("send q", 2)[1]
    assert (refused.status.status_code, (refused.attributes or {})["error.type"]) == (StatusCode.ERROR, "KeyTaken")
    assert CANARY not in refused.to_json()


def test_an_exporter_that_fails_fails_no_job(app: App, start: Start, the: Jobs) -> None:
    class Broken:
        def sending(self, jobs: Any) -> Any:
            raise AssertionError("nothing is sent here")

        def start_span(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError(CANARY)

    otel.instrument(app)
    assert isinstance(app.tracer, otel.Tracing)
    app.tracer._tracer = Broken()  # type: ignore[assignment]

    @app.task(name="t")
    async def t() -> None: ...

    job = the.put("t")
    start(app)

    the.wait(job, "succeeded")


def test_contents_are_in_no_span_no_metric_and_no_line_whatever_becomes_of_the_job(
    traced: App, start: Start, the: Jobs, telemetry: Telemetry, conn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.handler.addFilter(JobFilter())
    caplog.handler.setFormatter(JsonFormatter())

    @traced.task(
        name="any", queue="q", max_attempts=2, backoff=QUICKLY, capture_logs="debug", timeout=timedelta(seconds=0.3)
    )
    async def any_end(ctx: Any, verb: str, secret: str) -> str:
        logging.getLogger("shop").debug("doing %s", verb)
        match verb:
            case "fail":
                raise ValueError(secret)
            case "snooze" if ctx.attempt == 1:
                raise Snooze(0.01, secret)
            case "cancel":
                raise Cancel(secret)
            case "discard":
                raise Discard(secret)
            case "hang":
                await asyncio.sleep(30)
        return secret

    @traced.task(name="thread", queue="q", max_attempts=1)
    def in_thread(secret: str) -> None:
        raise KeyError(secret)

    ends = {
        "succeed": "succeeded",
        "fail": "dead",
        "snooze": "succeeded",
        "cancel": "cancelled",
        "discard": "dead",
        "hang": "dead",
    }
    bound = any_end.using(meta={"m": CANARY})
    jobs = {bound.enqueue(verb=verb, secret=CANARY): state for verb, state in ends.items()}
    jobs[in_thread.using(meta={"m": CANARY}).enqueue(secret=CANARY)] = "dead"
    misfit = the.put("any", json.dumps({"unknown": CANARY}), queue="q")
    start(traced)
    for job, state in jobs.items():
        the.wait(job, state)
    the.wait(misfit, "dead")

    spans = telemetry.spans("process q", 10)
    assert CANARY not in "".join(span.to_json() for span in [*spans, *telemetry.spans("send q", 7)])
    assert CANARY not in telemetry.reader.get_metrics_data().to_json()  # type: ignore[union-attr]
    kept = conn.execute("select coalesce(jsonb_agg(lines), '[]')::text from pgqueue.attempt_logs").fetchone()[0]
    assert "doing hang" in kept
    assert CANARY not in kept
    ours = [caplog.handler.format(r) for r in caplog.records if r.name.startswith("pgqueue")]
    assert len(ours) > 10
    assert CANARY not in "".join(ours)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "opentelemetry" or name == "pgqueue.otel"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delattr("pgqueue.otel")

    with pytest.raises(ConfigError, match=r'pip install "pgqueue\[otel\]"'):
        importlib.import_module("pgqueue.otel")


def test_an_untraced_app_imports_none_of_it() -> None:
    code = "import sys, pgqueue, pgqueue.worker.main; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
