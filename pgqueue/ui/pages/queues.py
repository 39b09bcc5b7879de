"""Queues: how deep, how fast, who serves them, how they deal their jobs out; pause and resume."""

from starlette.responses import Response

from pgqueue import calls
from pgqueue.errors import InvalidArgument, JobNotFound
from pgqueue.ui.routing import Action, Page
from pgqueue.ui.visit import Visit, back_of

LANES = 50
COUNT_TO = 10_001


async def queues(visit: Visit) -> Response:
    """List all queues."""
    rows = await visit.shared_rows("queues", own_role=True)
    async with visit.reading() as read:
        now = read.now
    return visit.page("queues.html", live="_queues.html", rows=rows, now=now)


async def queue(visit: Visit) -> Response:
    """Show one queue."""
    name = visit.path("queue")
    rows = await visit.shared_rows("queues", own_role=True)
    params = {"queue": name}
    async with visit.reading(own_role=True) as read:
        if not any(row["queue"] == name for row in rows) and not (await read.rows("queue_known", params))[0]["known"]:
            raise JobNotFound(f'There is no queue "{name[:200]}": no job, worker or statistics know of it.')
        policy = await read.row("queue_policy", params)
        tasks = await read.rows("queue_tasks", params)
        minutes = await read.rows("queue_minutes", params)
        lanes = await read.rows("queue_lanes", {**params, "most": LANES + 1, "count_to": COUNT_TO})
        workers = await read.rows("queue_workers", params)
        unknown = await read.rows("queue_unknown", params)
        now = read.now
    return visit.page(
        "queue.html",
        live="_queue.html",
        name=name,
        depth=next((row for row in rows if row["queue"] == name), None),
        policy=policy,
        tasks=tasks,
        minutes=minutes,
        lanes=lanes[:LANES],
        more_lanes=len(lanes) > LANES,
        count_to=COUNT_TO,
        workers=workers,
        unknown=unknown,
        now=now,
    )


async def pause(visit: Visit) -> Response:
    """Stop claims from a queue."""
    name = _queue(visit)
    async with visit.change("queue.pause", f"queue {name}") as change:
        change.detail["changed"] = changed = await change.call(calls.pause(name))
    return visit.done(f"Queue {name} is paused{'' if changed else ' already'}.", to=_back(visit, name))


async def resume(visit: Visit) -> Response:
    """Let claims from a queue go on."""
    name = _queue(visit)
    async with visit.change("queue.resume", f"queue {name}") as change:
        change.detail["changed"] = changed = await change.call(calls.resume(name))
    return visit.done(f"Queue {name} goes on{'' if changed else '; it was not paused'}.", to=_back(visit, name))


def _queue(visit: Visit) -> str:
    name = visit.query("queue")
    if name is None:
        raise InvalidArgument("queue: say which")
    return name


def _back(visit: Visit, name: str) -> str:
    return back_of(visit, visit.url("/queues/{queue}", queue=name))


ENTRIES = (
    Page("/queues", queues, nav="Queues"),
    Page("/queues/{queue:path}", queue),
    Action("/actions/queues/pause", pause),
    Action("/actions/queues/resume", resume),
)
