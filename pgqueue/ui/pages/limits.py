"""Limits: their rules, who holds permits, who stands in line."""

from starlette.responses import Response

from pgqueue.errors import JobNotFound
from pgqueue.ui.routing import Page
from pgqueue.ui.visit import Visit

ROWS = 100
COUNT_TO = 10_001
HOLDERS = 200
WINDOW = 20_000


async def limits(visit: Visit) -> Response:
    """List limits, a row for each key that one was used with."""
    after, key = visit.query("name"), visit.query("key")
    async with visit.reading(own_role=True) as read:
        params = {"name": after or "", "key": key or "", "only": None, "most": ROWS + 1, "count_to": COUNT_TO}
        rows = await read.rows("limits", params)
        now = read.now
    last = rows[ROWS - 1] if len(rows) > ROWS else None
    return visit.page(
        "limits.html",
        live="_limits.html",
        rows=rows[:ROWS],
        now=now,
        count_to=COUNT_TO,
        older=visit.here(name=last["name"], key=last["key"]) if last else None,
        newer=visit.here(name=None, key=None) if after else None,
    )


async def limit(visit: Visit) -> Response:
    """Show one limit: its keys, its holders, its line."""
    name, key = visit.path("name"), visit.query("key")
    async with visit.reading(own_role=True) as read:
        params = {"name": "", "key": "", "only": name, "most": ROWS + 1, "count_to": COUNT_TO}
        rows = await read.rows("limits", params)
        if not rows:
            raise JobNotFound(f'There is no limit "{name[:200]}".')
        asked = {"name": name, "key": key, "most": HOLDERS + 1}
        holders = await read.rows("limit_holders", {**asked, "window": WINDOW})
        line = await read.rows("limit_line", asked)
        now = read.now
    return visit.page(
        "limit.html",
        live="_limit.html",
        name=name,
        key=key,
        rows=[row for row in rows if key is None or row["key"] == key][:ROWS],
        more_keys=len(rows) > ROWS,
        holders=holders[:HOLDERS],
        more_holders=len(holders) > HOLDERS,
        line=line[:HOLDERS],
        more_line=len(line) > HOLDERS,
        count_to=COUNT_TO,
        now=now,
    )


ENTRIES = (
    Page("/limits", limits, nav="Limits"),
    Page("/limits/{name:path}", limit),
)
