"""Flows: the list, and one with its jobs, drawn when there are not too many of them."""

from typing import Any

from starlette.responses import Response

from pgqueue import calls
from pgqueue.errors import InvalidArgument, JobNotFound
from pgqueue.job import FlowState
from pgqueue.listing.paging import Cursor, lay_out
from pgqueue.ui.database import Row
from pgqueue.ui.drawing import draw
from pgqueue.ui.pages.job import DRAWN
from pgqueue.ui.routing import Action, Page
from pgqueue.ui.visit import Visit

ROWS = 50
WINDOW = 500  # flows that are looked at for a page with a filter
LIST_NODES = 1_000  # nodes that are counted for a line of the list
NODES = 40_000  # and on a flow's own page
TABLE = 200


async def flows(visit: Visit) -> Response:
    """List flows, newest first."""
    asked = {"state": _state(visit.query("state")), "name": visit.query("name")}
    cursor = Cursor.read(visit.query("older"), visit.query("newer"), tables=1)
    filtered = any(asked.values())
    params = {**asked, "window": WINDOW if filtered else ROWS + 1, "most": ROWS + 1, "count_to": LIST_NODES}
    async with visit.reading(own_role=True) as read:
        sheet = lay_out([await read.rows("flows", {**params, **_at(cursor)})], cursor, size=ROWS)
        if cursor.up and sheet.is_at_top:
            cursor = Cursor.start(1)
            sheet = lay_out([await read.rows("flows", {**params, **_at(cursor)})], cursor, size=ROWS)
        now = read.now
    return visit.page(
        "flows.html",
        live="_flows.html",
        rows=sheet.rows,
        asked=asked,
        filtered=filtered,
        window=WINDOW if sheet.searched and filtered else None,
        states=list(FlowState),
        now=now,
        older=visit.here(older=str(sheet.older), newer=None) if sheet.older else None,
        newer=visit.here(newer=str(sheet.newer), older=None) if sheet.newer else None,
    )


async def flow(visit: Visit) -> Response:
    """Show one flow: drawn, or a page of its jobs."""
    flow_id, place = visit.id(), visit.number("place")
    async with visit.reading(own_role=True) as read:
        found = await read.row("flow", {"id": flow_id, "count_to": NODES})
        if found is None:
            raise JobNotFound(
                f"There is no flow {flow_id}: it never existed, was rolled back, or retention has dropped it."
            )
        nodes = await read.rows(
            "flow_nodes", {"id": flow_id, "place": -1 if place is None else place, "most": DRAWN + 1}
        )
        now = read.now
    small = place is None and len(nodes) <= DRAWN
    table = nodes if small else nodes[:TABLE]
    further = not small and len(nodes) > TABLE
    return visit.page(
        "flow.html",
        live="_flow.html",
        found={**found, "state": _state_of(found)},
        picture=draw(nodes) if small and nodes else None,
        nodes=table,
        now=now,
        current=None,
        newer=visit.here(place=None) if place is not None else None,
        older=visit.here(place=table[-1]["place"]) if further else None,
    )


async def cancel(visit: Visit) -> Response:
    """Cancel what is unfinished of a flow."""
    flow_id = visit.id()
    async with visit.change("flow.cancel", f"flow {flow_id}") as change:
        change.detail["jobs"] = jobs = await change.call(calls.cancel_flow(flow_id))
    return visit.done(
        f"Flow {flow_id}: {jobs} jobs are cancelled or were told to stop.", to=visit.url("/flows/{id}", id=flow_id)
    )


async def retry(visit: Visit) -> Response:
    """Run again what failed or was cancelled in a flow."""
    flow_id = visit.id()
    async with visit.change("flow.retry", f"flow {flow_id}") as change:
        change.detail["jobs"] = jobs = await change.call(calls.retry_flow(flow_id))
    return visit.done(f"Flow {flow_id}: {jobs} jobs were put back.", to=visit.url("/flows/{id}", id=flow_id))


def _at(cursor: Cursor) -> dict[str, Any]:
    return {"up": cursor.up, "at": cursor.positions[0]}


def _state(written: str | None) -> str | None:
    if written is not None and written not in list(FlowState):
        raise InvalidArgument(f'state "{written[:40]}": the states of flows are {", ".join(FlowState)}')
    return written


def _state_of(row: Row) -> str:
    """Return the state of a flow, as the view of flows does; one too large to be counted runs."""
    if row["unfinished"] or row["more"]:
        stuck = not row["more"] and row["failed"] + row["cancelled"] and row["unfinished"] == row["stuck"]
        return str(FlowState.FAILED if stuck else FlowState.RUNNING)
    if row["cancelled_at"] is not None:
        return str(FlowState.CANCELLED)
    return str(FlowState.FAILED if row["failed"] + row["cancelled"] else FlowState.SUCCEEDED)


ENTRIES = (
    Page("/flows", flows, nav="Flows"),
    Page("/flows/{id}", flow),
    Action("/flows/{id}/cancel", cancel),
    Action("/flows/{id}/retry", retry),
)
