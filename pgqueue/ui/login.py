"""Signing in and out: the form, the session cookie, and waiting after wrong passwords."""

import logging
import math
from typing import cast

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from pgqueue.ui.entrance import PasswordEntrance
from pgqueue.ui.sessions import COOKIE, LIFE_SECONDS
from pgqueue.ui.visit import Visit

_log = logging.getLogger(__name__)


async def form(visit: Visit) -> Response:
    """Show the form."""
    return visit.page("login.html", wanted=_ours(visit, visit.query("to")), said=None, name="")


def to_form(visit: Visit, wanted: str | None) -> Response:
    """Send somebody to the form, and from there to the page that was wanted."""
    return RedirectResponse(visit.url("/login", to=wanted), 303)


async def sign_in(visit: Visit) -> Response:
    """Check name and password, and give out the cookie."""
    entrance = _entrance(visit)
    name, password = (visit.query("name") or "").strip(), visit.form.get("password", "")
    wanted = _ours(visit, visit.query("to"))
    keys = (f"name {name}", f"address {visit.request.client.host if visit.request.client else ''}")
    wait = entrance.tries.wait_seconds(*keys)
    if wait > 0:
        said = f"Too many wrong passwords. Wait {math.ceil(wait)} s."
        response = visit.page("login.html", status=429, wanted=wanted, said=said, name=name)
        response.headers["retry-after"] = str(math.ceil(wait))
        return response
    entrance.tries.failed(*keys)  # taken back below: tries at the same time count too
    async with entrance.at_once:
        account = await run_in_threadpool(entrance.file.check, name, password)
    if account is None:
        _log.warning("sign-in refused", extra={"address": keys[1]})
        return visit.page("login.html", status=401, wanted=wanted, said="Name or password is wrong.", name=name)
    entrance.tries.succeeded(*keys)
    response = RedirectResponse(wanted or visit.url("/"), 303)
    visit.site.set_cookie(visit.request, response, COOKIE, entrance.sessions.issue(account), seconds=LIFE_SECONDS)
    _log.info("signed in", extra={"actor": account.name})
    return response


async def sign_out(visit: Visit) -> Response:
    """End the session, and take the cookie away."""
    entrance = _entrance(visit)
    if await entrance.visitor(visit.request) is not None:
        entrance.sessions.end(visit.request.cookies[COOKIE])
    response = RedirectResponse(visit.url("/login"), 303)
    response.delete_cookie(COOKIE, path=visit.url("/"))
    return response


def _entrance(visit: Visit) -> PasswordEntrance:
    return cast("PasswordEntrance", visit.site.entrance)  # the routes exist only with it


def _ours(visit: Visit, wanted: str | None) -> str | None:
    """Return where to go after signing in, if that is one of our own pages."""
    root = visit.url("/")
    plain = wanted is not None and wanted.isprintable() and "\\" not in wanted and not wanted.startswith("//")
    return wanted if plain and wanted is not None and wanted.startswith(root) else None
