"""The list of jobs, with its filters."""

from starlette.responses import RedirectResponse, Response

from pgqueue.job import State
from pgqueue.ui import filters
from pgqueue.ui.pages import joblist
from pgqueue.ui.routing import Page
from pgqueue.ui.visit import Visit


async def jobs(visit: Visit) -> Response:
    """List jobs: newest first, or those of an unfinished state as they are due."""
    job_id = visit.number("id")
    if job_id is not None:
        return RedirectResponse(visit.url("/jobs/{id}", id=job_id), 303)
    async with visit.reading(own_role=True) as read:
        asked = filters.read(visit, sees_contents=read.sees_contents, masks=visit.site.database.masks)
        page = await joblist.find(read, asked, visit.query("older"), visit.query("newer"))
        now, sees = read.now, read.sees_contents
    return visit.page(
        "jobs.html",
        live="_jobs.html",
        page=page,
        now=now,
        asked=filters.fields(asked),
        filtered=not asked.are_none,
        states=list(State),
        sees_contents=sees,
        older=visit.here(older=page.older, newer=None) if page.older else None,
        newer=visit.here(newer=page.newer, older=None) if page.newer else None,
    )


ENTRIES = (Page("/jobs", jobs, nav="Jobs"),)
