"""What a page of the dashboard costs the server at millions of jobs: its statements, and the whole answer.

Each page is asked for through the ASGI application, in this process: `statements` is the time that it waited for the
database, `answer` includes the template. The tables are filled as benchmarks/fill.py does, with 200,000 dead letters;
the oldest live job is the only one of its task and queue, so that a walk for it finds nothing for long.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks import fill
from benchmarks.harness import Run, main
from pgqueue.ui import Dashboard
from pgqueue.ui.database import PACKAGE, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

BAR_MS = 150.0
LINK = re.compile(r'rel="next" href="([^"]+)"')


@dataclass
class Clock:
    """How long the statements of a page took."""

    seconds: float = 0.0


def run(run: Run) -> None:
    """Fill, and ask for each page."""
    live, finished = run.count(5_000_000, 100_000), run.count(5_000_000, 100_000)
    with run.connect() as conn:
        load = fill.Load(live=live, finished=finished, dead=max(live // 25, 100), arguments=True)
        run.say(f"filled with {live:,} live and {finished:,} finished jobs in {fill.fill(conn, load):.0f} s")
        first = finished + load.dead + 1
        conn.execute(
            "update pgqueue.queued_jobs set task = 'rare', queue = 'rare' where id = %s", [first + load.running + 1]
        )
        conn.execute("select pgqueue.fold_statistics()")
        conn.execute("analyze pgqueue.queued_jobs")
    asyncio.run(_measure(run, _pages(first, load)))


def _pages(first: int, load: fill.Load) -> Mapping[str, str]:
    """Return the pages, by what is asked."""
    hour = f"{datetime.now(UTC) - timedelta(minutes=30):%Y-%m-%dT%H:%M}"
    states = {
        f"jobs, {state}": f"/jobs?state={state}"
        for state in ("ready", "running", "scheduled", "blocked", "succeeded", "cancelled", "dead")
    }
    with_queue = {f"{name} of a queue": f"{address}&queue=queue-3" for name, address in states.items()}
    return {
        "overview": "/",
        "queues": "/queues",
        "queue": "/queues/queue-3",
        "jobs": "/jobs",
        **states,
        **with_queue,
        "jobs of a queue": "/jobs?queue=queue-3",
        "jobs of a queue with one job": "/jobs?queue=rare",
        "jobs of no queue": "/jobs?queue=none",
        "jobs of a task": "/jobs?task=task-3",
        "jobs of a task with one job": "/jobs?task=rare",
        "jobs of a task with one job, ready": "/jobs?task=rare&state=ready",
        "jobs of no task": "/jobs?task=none",
        "succeeded jobs of no task": "/jobs?task=none&state=succeeded",
        "jobs with a key": f"/jobs?key=key-{load.running * 50 + 7}",
        "jobs with a key of a queue": f"/jobs?key=key-{load.running * 50 + 7}&queue=queue-3",
        "jobs with no such key": "/jobs?key=none",
        "job, ready": f"/jobs/{first + load.live - 3}",
        "job, running": f"/jobs/{first + 1}",
        "job, succeeded": f"/jobs/{load.finished // 2 + 1}",
        "job, dead": f"/jobs/{load.finished + 5}",
        "jobs of a time": f"/jobs?since={hour}",
        "jobs before a time": f"/jobs?until={hour}",
        "jobs by arguments, some": '/jobs?args={"customer": 7}',
        "jobs by arguments, none": '/jobs?args={"customer": -7}',
        "jobs by meta, none": '/jobs?meta={"tenant": "none"}',
        "jobs of a group, none": "/jobs?group=none",
        "dead letters": "/dead",
        "dead letters of a queue": "/dead?queue=queue-3",
        "dead letters of a task": "/dead?task=task-3",
        "dead letters of no task": "/dead?task=none",
        "dead letters of an error": "/dead?error=ValueError",
        "dead letters of no error": "/dead?error=None",
        "dead letters with no such key": "/dead?key=none",
        "dead letters by arguments, none": '/dead?args={"customer": -7}',
        "retry all dead letters?": "/dead/redrive",
        "delete dead letters of a task?": "/dead/delete?task=task-3",
        "flows": "/flows",
        "schedules": "/schedules",
        "workers": "/workers",
        "limits": "/limits",
        "audit": "/audit",
    }


async def _measure(run: Run, pages: Mapping[str, str]) -> None:
    clock = Clock()
    _time_statements(clock)
    dashboard = Dashboard(run.dsn, authenticate=lambda _: ("ada", "admin"))
    rows = []
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(dashboard), base_url="http://localhost") as client:
            for name, address in pages.items():
                rows.append([name, *await _ask(run, client, clock, address)])
                if name in (
                    "jobs",
                    "jobs, ready",
                    "jobs, succeeded",
                    "jobs of a queue",
                    "jobs of a task",
                    "dead letters",
                ):
                    rows.append([f"{name}, page 20", *await _ask(run, client, clock, await _deep(client, address))])
    finally:
        await dashboard.aclose()
    run.table(
        ["page", "statements ms", "answer ms", "worst ms"], [[row[0], *(f"{ms:.1f}" for ms in row[1:])] for row in rows]
    )
    run.keep("pages", rows)
    for name, _, answer, _ in rows:
        run.bar(f"{name}: the median answer", answer, BAR_MS, most=True, unit=" ms")


async def _ask(run: Run, client: httpx.AsyncClient, clock: Clock, address: str) -> tuple[float, float, float]:
    """Return the medians of statements and answers, and the worst answer, in milliseconds; the first is not counted."""
    database, answers = [], []
    for _ in range(run.repeats(7, 3) + 1):
        await asyncio.sleep(1.1 if address in ("/", "/queues") else 0)  # what is shared for a second is asked for anew
        clock.seconds, began = 0.0, time.perf_counter()
        answer = await client.get(address)
        answers.append((time.perf_counter() - began) * 1000)
        database.append(clock.seconds * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{address}: {answer.status_code}")
    return statistics.median(database[1:]), statistics.median(answers[1:]), max(answers[1:])


async def _deep(client: httpx.AsyncClient, address: str) -> str:
    """Go to the twentieth page by the links."""
    for _ in range(19):
        found = LINK.search((await client.get(address)).text)
        if found is None:
            return address
        address = found[1].replace("&amp;", "&")
    return address


def _time_statements(clock: Clock) -> None:
    rows = Reading.rows

    async def timed(
        self: Reading, name: str, params: Mapping[str, Any] | None = None, *, package: str = PACKAGE
    ) -> list[dict[str, Any]]:
        began = time.perf_counter()
        try:
            return await rows(self, name, params, package=package)
        finally:
            clock.seconds += time.perf_counter() - began

    Reading.rows = timed  # type: ignore[method-assign]


if __name__ == "__main__":
    main(pages=run)
