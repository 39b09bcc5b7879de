"""A page of a list of jobs."""

from pgqueue.listing import jobs
from pgqueue.listing.filters import Filters
from pgqueue.ui.database import Reading

ROWS = 50


async def find(read: Reading, asked: Filters, older: str | None, newer: str | None) -> jobs.JobPage:
    """Find the page at a place. Raises InvalidArgument."""
    return await read.follow(jobs.find(asked, size=ROWS, now=read.now, older=older, newer=newer))
