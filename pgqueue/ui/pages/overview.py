"""The first page: every queue with its depth, lag, rates and failures."""

from starlette.responses import Response

from pgqueue.ui.routing import Page
from pgqueue.ui.visit import Visit


async def overview(visit: Visit) -> Response:
    """Show all queues at once."""
    rows = await visit.shared_rows("overview")
    return visit.page("overview.html", live="_overview.html", rows=rows)


ENTRIES = (Page("/", overview, nav="Overview"),)
