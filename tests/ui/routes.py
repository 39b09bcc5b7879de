"""The addresses of all pages and actions, for the tests that look at each of them.

A path without parameters needs no line. One with parameters is filled from the world (tests/ui/world.py): `{dead}` is
the id of its dead job, and so on. A page whose default view shows little may name a query here that shows more. An
action is tried with the form given here; the tests of the doors only see that it is refused.
"""

from collections.abc import Mapping
from urllib.parse import quote

from pgqueue.ui.pages import ENTRIES
from pgqueue.ui.routing import Action, Page

ADDRESSES: Mapping[str, str] = {
    "/queues/{queue:path}": "/queues/{queue}",
    "/jobs/{id}": "/jobs/{dead}",
    "/jobs/{id}/contents/{name}": "/jobs/{dead}/contents/args",
    "/jobs/{id}/remove": "/jobs/{dead}/remove",
    "/jobs/{id}/retry": "/jobs/{dead}/retry",
    "/jobs/{id}/cancel": "/jobs/{ready}/cancel",
    "/flows/{id}": "/flows/{flow}",
    "/flows/{id}/cancel": "/flows/{flow}/cancel",
    "/flows/{id}/retry": "/flows/{flow}/retry",
    "/schedules/{name:path}": "/schedules/{schedule}",
    "/workers/{id}": "/workers/{worker}",
    "/limits/{name:path}": "/limits/{limit}",
}

FORMS: Mapping[str, Mapping[str, str]] = {
    "/jobs/{id}/retry": {"go": "1"},  # a form without fields would be of no type
    "/jobs/{id}/cancel": {"go": "1"},
    "/jobs/{id}/remove": {"go": "1"},
    "/flows/{id}/cancel": {"go": "1"},
    "/flows/{id}/retry": {"go": "1"},
    "/actions/queues/pause": {"queue": "mail"},
    "/actions/queues/resume": {"queue": "mail"},
    "/dead/redrive": {"upto": "1000000"},
    "/dead/delete": {"upto": "1000000"},
    "/actions/schedules/pause": {"name": "nightly"},
    "/actions/schedules/resume": {"name": "nightly"},
    "/actions/schedules/run": {"name": "nightly"},
}

PAGES = [entry.path for entry in ENTRIES if isinstance(entry, Page)]
ACTIONS = [entry.path for entry in ENTRIES if isinstance(entry, Action)]


def address(path: str, world: Mapping[str, object]) -> str:
    """Return the address of a path of the table: its parameters filled with what is in the world."""
    pattern = ADDRESSES.get(path, path)
    return pattern.format(**{name: quote(str(value), safe="") for name, value in world.items()})
