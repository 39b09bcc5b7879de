"""One request, as a page sees it: what was asked, who asks, the database, and the ways to answer."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from pgqueue.errors import InvalidArgument
from pgqueue.ui.database import Change, Reading, Row
from pgqueue.ui.visitor import Role, Visitor

if TYPE_CHECKING:
    from pgqueue.ui.site import Site

_log = logging.getLogger(__name__)

TOLD_COOKIE = "pgq_told"  # what was done, shown once on the page after it
_LARGEST_ID = 2**63 - 1
_LONGEST_VALUE = 512  # characters of a filter
_LONGEST_TOLD = 320  # characters; each may take 12 in a cookie, which browsers drop above 4096
BODY_SECONDS = 10.0  # for a form to arrive


class Visit:
    """What a page's function gets."""

    def __init__(self, request: Request, visitor: Visitor, site: "Site", form: Mapping[str, str]) -> None:
        self.request = request
        self.visitor = visitor
        self.site = site
        self.form = form

    # --- what was asked ---

    def path(self, name: str) -> str:
        """Return a part of the path, as in "/queues/{queue}"."""
        return str(self.request.path_params[name])

    def id(self, name: str = "id") -> int:
        """Return a part of the path that is an id. Raises InvalidArgument."""
        return _number(self.path(name), name, 0, _LARGEST_ID)

    def query(self, name: str) -> str | None:
        """Return a parameter of the address, or of the form of an action; None when it is missing or empty."""
        value = self.form.get(name) if self.request.method == "POST" else self.request.query_params.get(name)
        if value is not None and (len(value) > _LONGEST_VALUE or "\x00" in value):
            raise InvalidArgument(f"{name}: must have at most {_LONGEST_VALUE} characters and no NUL")
        return value or None

    def number(self, name: str, *, least: int = 0, most: int = _LARGEST_ID, default: int | None = None) -> int | None:
        """Return a parameter that is a whole number. Raises InvalidArgument."""
        value = self.query(name)
        return default if value is None else _number(value, name, least, most)

    @property
    def is_live(self) -> bool:
        """Whether htmx asks for a part of the page again, rather than a person for the page."""
        return self.request.headers.get("hx-request") == "true"

    # --- the database ---

    @asynccontextmanager
    async def reading(self, *, own_role: bool = False) -> AsyncIterator[Reading]:
        """Open one read-only transaction for several statements: `async with visit.reading() as read`."""
        async with self.site.database.reading(self.visitor, own_role=own_role) as reading:
            yield reading

    async def rows(self, name: str, params: Mapping[str, Any] | None = None, *, own_role: bool = False) -> list[Row]:
        """Run `sql/NAME.sql` in a read-only transaction."""
        async with self.reading(own_role=own_role) as reading:
            return await reading.rows(name, params)

    async def shared_rows(
        self, name: str, params: Mapping[str, Any] | None = None, *, seconds: float = 1.0, own_role: bool = False
    ) -> list[Row]:
        """As `rows`, but everybody with the same role who asks within so many seconds gets the same rows."""
        key = (name, json.dumps(params, default=str, sort_keys=True), self.visitor.role)
        found: list[Row] = await self.site.shared.get(key, seconds, lambda: self.rows(name, params, own_role=own_role))
        return found

    @asynccontextmanager
    async def change(self, action: str, target: str) -> AsyncIterator[Change]:
        """Open the transaction of a change: `async with visit.change("queue.pause", "queue mail") as change`. It and
        its line in the audit log are committed together at the end of the block."""
        async with self.site.database.changing(self.visitor, action, target) as change:
            yield change
        self.site.shared.forget()
        _log.info("changed", extra={"actor": self.visitor.name, "action": action, "target": change.target})

    # --- the answer ---

    def page(
        self, template: str, *, live: str | Mapping[str, str] | None = None, status: int = 200, **context: Any
    ) -> Response:
        """Answer with a page. `live`: the template of the part in it that is asked for again every few seconds; of
        several parts, their templates by the name that the macro `live` got."""
        chosen = self._part(live) or template
        told = self._told()
        html = self.site.render(chosen, self, told=told, **context)
        response = HTMLResponse(html, status)
        if told and not self.is_live:
            response.delete_cookie(TOLD_COOKIE, path=self.url("/"))
        return response

    def json(self, value: Any) -> Response:
        """Answer with JSON."""
        return JSONResponse(value)

    def done(self, message: str, *, to: str) -> Response:
        """Answer a change: go to a page (a path of ours with its query) and say there what was done."""
        response = RedirectResponse(to, 303)
        self._cookie(response, TOLD_COOKIE, quote(message[:_LONGEST_TOLD]), seconds=60)
        return response

    def confirm(
        self,
        *,
        title: str,
        text: str,
        count: int,
        action: str,
        fields: Mapping[str, Any],
        back: str,
        verb: str = "Do it",
    ) -> Response:
        """Answer with a dry run: how many things a change would touch, a button that does it, and the way back. The
        fields go along, and `expected`, the count; `action` is a path from `url`."""
        kept = {name: value for name, value in fields.items() if value is not None}
        context: dict[str, Any] = {
            "title": title,
            "text": text,
            "count": count,
            "action": action,
            "fields": kept,
            "back": back,
        }
        return self.page("confirm.html", verb=verb, **context)

    def url(self, path: str, /, **query: Any) -> str:
        """Return the address of a path of ours ("/queues", "/queues/{queue}" filled by the query's names,
        "/static/app.css"), with the rest as its query; None is left out. Mounted or not."""
        for name in list(query):
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", quote(str(query.pop(name)), safe=""))
        kept = {name: value for name, value in query.items() if value is not None and value != ""}
        root = str(self.request.scope.get("root_path", "")).rstrip("/")
        return f"{root}{path}" + (f"?{urlencode(kept)}" if kept else "")

    def here(self, **changed: Any) -> str:
        """Return this page's address with some parameters changed; None takes one out. For filters and paging."""
        return self.url(self.route, **{**dict(self.request.query_params), **changed})

    @property
    def route(self) -> str:
        """The path within the dashboard."""
        path, root = self.request.scope["path"], str(self.request.scope.get("root_path", "")).rstrip("/")
        return quote(path.removeprefix(root), safe="/:@!$&'()*+,;=~") or "/"

    def may(self, role: str) -> bool:
        """Whether the visitor has this role: in templates, {% if visit.may("operator") %}."""
        return self.visitor.may(Role.named(role))

    def _part(self, live: str | Mapping[str, str] | None) -> str | None:
        if live is None or not self.is_live:
            return None
        return (
            live if isinstance(live, str) else live.get(self.request.headers.get("hx-target", "").removeprefix("live-"))
        )

    def _told(self) -> str | None:
        from urllib.parse import unquote

        told = self.request.cookies.get(TOLD_COOKIE)
        return unquote(told)[:_LONGEST_TOLD] if told else None

    def _cookie(self, response: Response, name: str, value: str, *, seconds: int) -> None:
        self.site.set_cookie(self.request, response, name, value, seconds=seconds)


def back_of(visit: Visit, default: str) -> str:
    """Return where an action was started from, if that is a page of ours; else the default."""
    came = urlsplit(visit.request.headers.get("referer", ""))
    root = str(visit.request.scope.get("root_path", "")).rstrip("/")
    if (
        came.netloc != visit.request.headers.get("host")
        or not came.path.startswith(f"{root}/")
        or came.path.startswith("//")
    ):
        return default
    return came.path + (f"?{came.query}" if came.query else "")


async def form_of(request: Request) -> dict[str, str]:
    """Read the form of a POST; of a name that is there twice the last."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = (await request.body()).decode("utf-8", "replace")
    except (ClientDisconnect, TimeoutError):
        raise InvalidArgument(f"the form is too large, or did not come within {BODY_SECONDS:g} s") from None
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=200))
    except ValueError:
        raise InvalidArgument("the form has too many fields") from None


def _number(text: str, name: str, least: int, most: int) -> int:
    if not (text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= 20 and least <= int(text) <= most):
        raise InvalidArgument(f'{name}: must be a whole number of {least} to {most}, got "{text[:40]}"')
    return int(text)
