"""Workers: who is there, what they run now, who is stuck or lost."""

from collections import defaultdict

from starlette.responses import Response

from pgqueue.errors import JobNotFound
from pgqueue.listing import running
from pgqueue.listing.jobs import PACKAGE
from pgqueue.ui.database import Reading, Row
from pgqueue.ui.routing import Page
from pgqueue.ui.visit import Visit

MOST = 500
RUNNING = 2_000
FIRST = 5  # running jobs shown for each in the list


async def workers(visit: Visit) -> Response:
    """List workers, the living ones first, with what they run."""
    async with visit.reading(own_role=True) as read:
        rows = await read.rows("workers", {"id": None, "most": MOST + 1})
        jobs = await _running(read, None)
        now = read.now
    by_worker: dict[int, list[Row]] = defaultdict(list)
    for job in jobs:
        by_worker[job["worker_id"]].append(job)
    return visit.page(
        "workers.html",
        live="_workers.html",
        rows=rows[:MOST],
        more=len(rows) > MOST,
        jobs=by_worker,
        first=FIRST,
        now=now,
    )


async def worker(visit: Visit) -> Response:
    """Show one worker."""
    worker_id = visit.id()
    async with visit.reading(own_role=True) as read:
        row = await read.row("workers", {"id": worker_id, "most": 1})
        if row is None:
            raise JobNotFound(f"There is no worker {worker_id}: it ended, and is forgotten after a day.")
        jobs = await _running(read, worker_id)
        incidents = await read.rows("incidents", {"id": worker_id})
        now = read.now
    return visit.page("worker.html", live="_worker.html", row=row, jobs=jobs, incidents=incidents, now=now)


async def _running(read: Reading, worker_id: int | None) -> list[Row]:
    return await read.rows("running", running.params(most=RUNNING, worker=worker_id), package=PACKAGE)


ENTRIES = (
    Page("/workers", workers, nav="Workers"),
    Page("/workers/{id}", worker),
)
