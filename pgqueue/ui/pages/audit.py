"""The audit log: who changed what, from here."""

from starlette.responses import Response

from pgqueue.ui.routing import Page
from pgqueue.ui.visit import Visit

ROWS = 100


async def audit(visit: Visit) -> Response:
    """List changes, newest first."""
    asked = {"before": visit.number("before"), "actor": visit.query("actor"), "action": visit.query("action")}
    async with visit.reading() as read:
        rows = await read.rows("audit", {**asked, "limit": ROWS + 1})
        now = read.now
    older = visit.here(before=rows[ROWS - 1]["id"]) if len(rows) > ROWS else None
    newer = visit.here(before=None) if asked["before"] else None
    return visit.page("audit.html", rows=rows[:ROWS], now=now, asked=asked, older=older, newer=newer)


ENTRIES = (Page("/audit", audit, nav="Audit"),)
