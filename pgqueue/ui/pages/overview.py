"""The first page: every queue with its depth, lag, rates and failures, and charts of all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from pgqueue.errors import InvalidArgument
from pgqueue.ui.database import Row
from pgqueue.ui.routing import Page
from pgqueue.ui.visit import Visit

STATES = ("running", "ready", "scheduled", "blocked", "dead")


@dataclass(frozen=True, slots=True)
class Span:
    """A time that charts show, the length of a step in it, and how many seconds an answer is shared."""

    word: str
    length: timedelta
    step: timedelta
    shared_seconds: float


SPANS = {
    "hour": Span("Hour", timedelta(hours=1), timedelta(minutes=1), 2),
    "day": Span("Day", timedelta(days=1), timedelta(minutes=10), 30),
    "week": Span("7 days", timedelta(days=7), timedelta(hours=1), 120),
}
CHARTS = (
    ("throughput", "Throughput", "jobs/min", ""),
    ("lag", "Lag", "s", "warn"),
    ("failures", "Failures", "attempts/min", "bad"),
)


async def overview(visit: Visit) -> Response:
    """Show all queues at once."""
    await visit.site.fold()
    queues = await visit.shared_rows("overview")
    workers = await visit.shared_rows("workers_count")
    chosen = _span(visit)
    context: dict[str, Any] = {"queues": queues, "totals": _totals(queues), "workers": workers[0]["alive"]}
    if not visit.is_live:
        context |= {"series": await _series(visit, chosen), "span": chosen, "spans": SPANS, "charts": CHARTS}
    live = {"totals": "_totals.html", "queues": "_overview.html"}
    return visit.page("overview.html", live=live, states=STATES, largest=_largest(queues), **context)


async def numbers(visit: Visit) -> Response:
    """Answer with the charts' series: columns of the same length, times in seconds of the Unix time."""
    await visit.site.fold()
    return visit.json(await _series(visit, _span(visit)))


def _span(visit: Visit) -> str:
    chosen = visit.query("span") or "hour"
    if chosen not in SPANS:
        raise InvalidArgument(f'span "{chosen}": must be {", ".join(SPANS)}')
    return chosen


async def _series(visit: Visit, chosen: str) -> dict[str, list[Any]]:
    span = SPANS[chosen]
    rows = await visit.shared_rows("numbers", {"span": span.length, "step": span.step}, seconds=span.shared_seconds)
    return {name: [row[name] for row in rows] for name in ("at", "throughput", "failures", "lag")}


def _totals(queues: Sequence[Row]) -> dict[str, Any]:
    """Sum what all queues have; a paused queue's lag is meant to be there and does not count."""
    totals: dict[str, Any] = {state: sum(row[state] or 0 for row in queues) for state in STATES}
    waits = [row["oldest_due_age"] for row in queues if row["oldest_due_age"] and not row["paused"]]
    totals["lag"] = max(waits, default=None)
    totals["done_rate"] = sum(row["done_rate"] for row in queues)
    totals["failed_rate"] = sum(row["failed_rate"] for row in queues)
    totals["estimated"] = any(row["estimated"] for row in queues)
    return totals


def _largest(queues: Sequence[Row]) -> int:
    return max((sum(row[state] or 0 for state in STATES) for row in queues), default=0)


ENTRIES = (Page("/", overview, nav="Overview"), Page("/numbers.json", numbers))
