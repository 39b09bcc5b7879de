"""The page of a job: what it is, what holds it back, what became of each attempt, and what may be done about it."""

import json
from typing import Any

from starlette.responses import Response

from pgqueue import calls
from pgqueue.errors import JobNotFound
from pgqueue.job import State
from pgqueue.ui.database import Reading, Row
from pgqueue.ui.drawing import Picture, draw
from pgqueue.ui.routing import Action, Page
from pgqueue.ui.visit import Visit, back_of
from pgqueue.ui.visitor import Role

ATTEMPTS = 100
STEPS = 200
DRAWN = 300  # nodes of a flow; with more the picture says nothing
SHOWN = 4_000  # characters of a value; the rest on a page of its own
CARRIED = ("args", "meta", "result", "error")
_RETRIED = (State.DEAD, State.CANCELLED, State.SCHEDULED)


async def job(visit: Visit) -> Response:
    """Show all that is known of a job."""
    job_id = visit.id()
    async with visit.reading(own_role=True) as read:
        found = await _job(read, job_id)
        attempts = await read.rows("job_attempts", {"id": job_id, "most": ATTEMPTS})
        logs = await read.rows("job_logs", {"id": job_id, "most": ATTEMPTS})
        steps = await read.rows("job_steps", {"id": job_id, "most": STEPS}) if read.sees_contents else []
        gates = await _gates(read, found)
        flow = await picture(read, found["flow_id"]) if found["flow_id"] else None
        now, sees = read.now, read.sees_contents
    state = State(found["state"])
    return visit.page(
        "job.html",
        live="_job.html",
        job=found,
        state=state,
        attempts=attempts,
        logs={row["attempt"]: row["lines"] for row in logs if row["lines"]},
        steps=[{**step, "result": piece(step["result"])} for step in steps],
        gates=gates,
        flow=flow,
        now=now,
        sees_contents=sees,
        carried={name: piece(found[name]) for name in CARRIED},
        may_retry=state in _RETRIED,
        may_cancel=state.unfinished and found["cancel_requested_at"] is None,
        may_remove=not state.unfinished,
    )


async def contents(visit: Visit) -> Response:
    """Show one of the values that a job carries as a whole, as text."""
    name = visit.path("name")
    if name not in CARRIED:
        raise JobNotFound(f"a job has {', '.join(CARRIED)}; not {name[:40]}")
    async with visit.reading(own_role=True) as read:
        found = await _job(read, visit.id())
        sees = read.sees_contents
    return visit.page("contents.html", job=found, name=name, text=_text(found[name]) if sees else None)


async def retry(visit: Visit) -> Response:
    """Make a job ready now."""
    job_id = visit.id()
    async with visit.change("job.retry", f"job {job_id}") as change:
        await change.call(calls.retry(job_id))
    return visit.done(f"Job {job_id} is ready again.", to=visit.url("/jobs/{id}", id=job_id))


async def cancel(visit: Visit) -> Response:
    """Cancel a job, or tell it to stop."""
    job_id = visit.id()
    async with visit.change("job.cancel", f"job {job_id}") as change:
        found = await change.call(calls.cancel(job_id))
        change.detail["was"] = str(found)
    if found is State.RUNNING:
        said = f"Job {job_id} runs, and was told to stop."
    else:
        said = f"Job {job_id} is cancelled." if found.unfinished else f"Job {job_id} was {found} already."
    return visit.done(said, to=visit.url("/jobs/{id}", id=job_id))


async def ask_remove(visit: Visit) -> Response:
    """Ask before a job is removed."""
    job_id = visit.id()
    async with visit.reading(own_role=True) as read:
        found = await _job(read, job_id)
    here = visit.url("/jobs/{id}", id=job_id)
    text = f"This deletes the {found['state']} job of task {found['task']} with its arguments and attempts, for good."
    action = visit.url("/jobs/{id}/remove", id=job_id)
    return visit.confirm(
        title=f"Remove job {job_id}?", text=text, count=1, action=action, fields={}, back=here, verb="Remove it"
    )


async def remove(visit: Visit) -> Response:
    """Delete a finished or dead job with all that belongs to it."""
    job_id = visit.id()
    async with visit.change("job.remove", f"job {job_id}") as change:
        row = await change.row("remove", {"id": job_id})
        change.detail["was"] = row["state"] if row else None
    here = visit.url("/jobs/{id}", id=job_id)
    back = back_of(visit, visit.url("/jobs"))
    return visit.done(f"Job {job_id} is removed.", to=visit.url("/jobs") if back.startswith(here) else back)


async def _gates(read: Reading, found: Row) -> list[Row]:
    """Return what holds a job back, without the errors that it names where the visitor may not see them."""
    if read.sees_contents:
        return await read.rows("job_why", {"id": found["id"]})
    if found["finished_at"]:
        return []
    rows = await read.rows("job_why", {"id": found["id"]})
    failed = f"it waits for its retry after failure {found['failures']}"
    return [{**row, "detail": failed} if row["gate"] == "due" and found["failures"] else row for row in rows]


async def picture(read: Reading, flow_id: int) -> Picture | None:
    """Draw a flow; None if it is too large for that."""
    nodes = await read.rows("flow_nodes", {"id": flow_id, "place": -1, "most": DRAWN + 1})
    return draw(nodes) if 0 < len(nodes) <= DRAWN else None


def piece(value: Any) -> dict[str, Any]:
    """Return a value as text that a page can take, and whether that is all of it."""
    if value is None:
        return {"text": None, "size": 0, "cut": False}
    text = _text(value)
    return {"text": text[:SHOWN], "size": len(text), "cut": len(text) > SHOWN}


def _text(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("traceback"), str):
        head = {name: item for name, item in value.items() if name != "traceback"}
        return f"{json.dumps(head, ensure_ascii=False, indent=2, default=str)}\n\n{value['traceback']}"
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


async def _job(read: Reading, job_id: int) -> Row:
    found = await read.row("job", {"id": job_id})
    if found is None:
        raise JobNotFound(f"There is no job {job_id}: it never existed, was rolled back, or retention has dropped it.")
    return found


ENTRIES = (
    Page("/jobs/{id}", job),
    Page("/jobs/{id}/contents/{name}", contents),
    Page("/jobs/{id}/remove", ask_remove, role=Role.ADMIN),
    Action("/jobs/{id}/retry", retry),
    Action("/jobs/{id}/cancel", cancel),
    Action("/jobs/{id}/remove", remove, role=Role.ADMIN),
)
