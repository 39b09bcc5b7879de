"""Schedules: when they tick and did, what became of the last ticks, pause, resume, run now."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from pgqueue.cron import timing
from pgqueue.errors import InvalidArgument, JobNotFound, PgQueueError
from pgqueue.ui.database import Reading, Row
from pgqueue.ui.routing import Action, Page
from pgqueue.ui.visit import Visit, back_of

ROWS = 50
TICKS = 30  # of the drawing
NEXT = 3


async def schedules(visit: Visit) -> Response:
    """List schedules by name."""
    after = visit.query("after")
    async with visit.reading(own_role=True) as read:
        rows = await read.rows("schedules", {"after": after, "name": None, "ticks": TICKS, "most": ROWS + 1})
        shown = await _with_ticks(read, rows[:ROWS])
        now = read.now
    older = visit.here(after=rows[ROWS - 1]["name"]) if len(rows) > ROWS else None
    newer = visit.here(after=None) if after else None
    return visit.page("schedules.html", live="_schedules.html", rows=shown, now=now, older=older, newer=newer)


async def schedule(visit: Visit) -> Response:
    """Show one schedule."""
    name = visit.path("name")
    async with visit.reading(own_role=True) as read:
        rows = await read.rows("schedules", {"after": None, "name": name, "ticks": 100, "most": 1})
        if not rows:
            raise JobNotFound(f'There is no schedule "{name[:200]}".')
        shown = (await _with_ticks(read, rows))[0]
        now, sees = read.now, read.sees_contents
    return visit.page("schedule.html", live="_schedule.html", row=shown, now=now, sees_contents=sees)


async def pause(visit: Visit) -> Response:
    """Stop the ticks of a schedule."""
    name = _name(visit)
    async with visit.change("schedule.pause", f"schedule {name}") as change:
        change.detail["changed"] = changed = (await change.rows("schedule_pause", {"name": name}))[0]["changed"]
    return visit.done(f"Schedule {name} is paused{'' if changed else ' already'}.", to=_back(visit, name))


async def resume(visit: Visit) -> Response:
    """Let a schedule tick again, from now on."""
    name = _name(visit)
    async with visit.change("schedule.resume", f"schedule {name}") as change:
        change.detail["changed"] = changed = (await change.rows("schedule_resume", {"name": name}))[0]["changed"]
    return visit.done(f"Schedule {name} ticks{' again' if changed else '; it was not paused'}.", to=_back(visit, name))


async def run(visit: Visit) -> Response:
    """Enqueue a job of a schedule at once."""
    name = _name(visit)
    async with visit.change("schedule.run", f"schedule {name}") as change:
        change.detail["job"] = job = (await change.rows("schedule_run", {"name": name}))[0]["id"]
    return visit.done(f"Schedule {name}: job {job} is enqueued.", to=_back(visit, name))


async def _with_ticks(read: Reading, rows: list[Row]) -> list[dict[str, Any]]:
    """Add to schedules what became of their last ticks, and their next times."""
    ids = [job for row in rows for _, job in row["ticks"] if job is not None]
    jobs = {row["id"]: row for row in await read.rows("tick_jobs", {"ids": ids})} if ids else {}
    return [{**row, "ticks": _ticks(row, jobs), "next": _next(row)} for row in rows]


def _ticks(row: Row, jobs: Mapping[int, Row]) -> list[dict[str, Any]]:
    """Return the ticks, oldest first: when, the job, its state, and how many seconds it took."""
    return [_tick(at, job, jobs.get(job)) for at, job in reversed(row["ticks"])]


def _tick(at: Any, job: int | None, found: Row | None) -> dict[str, Any]:
    state = "skipped" if job is None else found["state"] if found else "gone"
    took = None
    if found and found["started_at"] and found["finished_at"]:
        took = max((found["finished_at"] - found["started_at"]).total_seconds(), 0.0)
    return {"at": datetime.fromtimestamp(float(at), UTC), "job": job, "state": state, "took": took}


def _next(row: Row) -> list[datetime]:
    """Return the next times; none while it is paused or cannot tick."""
    if row["paused"] or row["problem"] or row["next_at"] is None:
        return []
    found = [row["next_at"]]
    try:
        times = timing(row["cron"], row["every"], row["timezone"])
        while len(found) < NEXT:
            found.append(times.after(found[-1]))
    except PgQueueError:
        return found  # a worker of another version may know better
    return found


def _name(visit: Visit) -> str:
    name = visit.query("name")
    if name is None:
        raise InvalidArgument("name: say which schedule")
    return name


def _back(visit: Visit, name: str) -> str:
    return back_of(visit, visit.url("/schedules/{name}", name=name))


ENTRIES = (
    Page("/schedules", schedules, nav="Schedules"),
    Page("/schedules/{name:path}", schedule),
    Action("/actions/schedules/pause", pause),
    Action("/actions/schedules/resume", resume),
    Action("/actions/schedules/run", run),
)
