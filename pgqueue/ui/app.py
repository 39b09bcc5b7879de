"""The dashboard as an ASGI application: doors, then who it is, then the page; and what an error looks like.

Doors (doors.py)  ->  sign in (login.py) or the entrance (entrance.py)  ->  a page's function with its Visit
"""

import logging
import secrets
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pgqueue.client import translate
from pgqueue.dsn import EMBEDDED, resolve
from pgqueue.errors import (
    ConfigError,
    DatabaseUnavailable,
    JobNotFound,
    KeyTaken,
    MigrationsPending,
    PgQueueError,
    StateConflict,
    UsageError,
)
from pgqueue.schema import DEFAULT, valid_schema
from pgqueue.ui import login
from pgqueue.ui.database import Database
from pgqueue.ui.doors import SAFE, Doors
from pgqueue.ui.entrance import Authenticate, CalledEntrance, Entrance
from pgqueue.ui.masking import DEFAULT_RULES, Masks
from pgqueue.ui.pages import ENTRIES
from pgqueue.ui.routing import Entry, Page
from pgqueue.ui.site import FOREVER, Site
from pgqueue.ui.visit import Visit, form_of
from pgqueue.ui.visitor import Role, Visitor

_log = logging.getLogger(__name__)
_NOBODY = Visitor("", Role.VIEWER)
RETRY_SECONDS = "5"

_STATUS: tuple[tuple[type[PgQueueError], int], ...] = (
    (JobNotFound, 404),
    (StateConflict, 409),
    (KeyTaken, 409),
    (UsageError, 400),
    (DatabaseUnavailable, 503),
    (MigrationsPending, 503),
)


class Dashboard:
    """An ASGI application to mount in one's own: `app.mount("/queue", Dashboard(authenticate=who))`.

    `authenticate` gets the request (Starlette's) and returns (name, role), or None for somebody who is not let in;
    role is "viewer", "operator" or "admin". A plain function runs in a thread. `dsn`: as for App. `hosts`: the names
    that requests may be sent to; None leaves that to the application around it. `masks`: names whose values are
    hidden (masking.py). Connections, at most `pool_size`, are opened by the first request and closed by `aclose` or
    the end of its lifespan.
    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        authenticate: Authenticate | None = None,
        entrance: Entrance | None = None,
        schema: str = DEFAULT,
        hosts: Sequence[str] | None = None,
        masks: Sequence[str] = DEFAULT_RULES,
        pool_size: int = 4,
        refresh_seconds: int = 5,
    ) -> None:
        if (authenticate is None) == (entrance is None):
            raise ConfigError("Dashboard: give authenticate=, a function from request to (name, role)")
        address = resolve(dsn)
        if address.startswith(EMBEDDED):
            raise ConfigError(f'"{address}" is understood by `pgq ui`; in a program use pgqueue.embedded.shared(PATH)')
        chosen = entrance or CalledEntrance(cast("Authenticate", authenticate))
        self.site = Site(
            database=Database(address, valid_schema(schema), masks=Masks(masks), size=pool_size),
            entrance=chosen,
            navigation=[(e.path, e.nav) for e in ENTRIES if isinstance(e, Page) and e.nav],
            refresh_seconds=refresh_seconds,
        )
        self._app = Doors(self._starlette(), hosts=hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        await self._app(scope, receive, send)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.site.database.close()

    def _starlette(self) -> Starlette:
        routes = [Route("/static/{name}", self._asset, methods=["GET"])]
        if self.site.entrance.has_form:
            routes += [
                Route("/login", self._serve(login.form), methods=["GET"]),
                Route("/login", self._serve(login.sign_in), methods=["POST"]),
                Route("/logout", self._serve(login.sign_out), methods=["POST"]),
            ]
        routes += [self._route(entry) for entry in ENTRIES]
        errors: dict[Any, Callable[..., Awaitable[Response]]] = {HTTPException: self._http_error}
        app = Starlette(routes=routes, exception_handlers=errors, lifespan=self._lifespan)
        app.router.redirect_slashes = False
        return app

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await self.aclose()

    def _route(self, entry: Entry) -> Route:
        methods = ["GET"] if isinstance(entry, Page) else ["POST"]
        return Route(entry.path, self._serve(entry.handler, role=entry.role), methods=methods)

    def _serve(
        self, handler: Callable[[Visit], Awaitable[Response]], *, role: Role | None = None
    ) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a page's function: who it is, whether they may, and its errors. Without a role it is for everybody."""

        async def endpoint(request: Request) -> Response:
            visitor = _NOBODY
            try:
                if role is not None:
                    found = await self.site.entrance.visitor(request)
                    if found is None:
                        return self._stranger(request)
                    visitor = found
                    if not visitor.may(role):
                        _log.warning("role too low", extra={"actor": visitor.name, "path": request.scope["path"]})
                        return self._error(
                            request, visitor, 403, f"This takes the role {role}; you are {visitor.role}."
                        )
                form = await form_of(request) if request.method == "POST" else {}
                return await handler(Visit(request, visitor, self.site, form))
            except HTTPException as error:
                return self._refused(request, error)
            except Exception as error:  # noqa: BLE001 - the last one who can make a page of it
                return self._failed(request, visitor, error)

        return endpoint

    def _stranger(self, request: Request) -> Response:
        visit = Visit(request, _NOBODY, self.site, {})
        if self.site.entrance.has_form and request.method == "GET" and not visit.is_live:
            wanted = visit.here() if visit.route != "/" else None
            return login.to_form(visit, wanted)
        return self._error(
            request, _NOBODY, 401, "Sign in first." if self.site.entrance.has_form else "You are not let in."
        )

    def _refused(self, request: Request, error: HTTPException) -> Response:
        """Answer as the application's `authenticate` wants: a page with its status, or the way to its own form."""
        if error.status_code < 400 and request.headers.get("hx-request") == "true":  # a part of a page leads nowhere
            return self._error(request, _NOBODY, 401, "Sign in first.")
        response = self._error(request, _NOBODY, error.status_code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    def _failed(self, request: Request, visitor: Visitor, error: Exception) -> Response:
        status, said = _described(error, changing=request.method not in SAFE)
        if status < 500 or isinstance(error, psycopg.errors.LockNotAvailable):
            return self._error(request, visitor, status, said)
        incident = secrets.token_hex(4)
        where = "".join(
            traceback.format_tb(error.__traceback__)[-6:]
        )  # not its message: that may hold what a job carries
        extra = {"incident": incident, "error": type(error).__name__, "path": request.scope["path"], "where": where}
        if isinstance(error, ConfigError):
            extra["said"] = str(error)  # of settings, and for who runs this, not for who looks
        _log.error("page failed", extra=extra)
        return self._error(request, visitor, status, f"{said} (incident {incident}, see the log of the dashboard)")

    async def _http_error(self, request: Request, error: HTTPException) -> Response:
        said = {404: "There is no such page.", 405: "This address is for forms only."}.get(
            error.status_code, error.detail
        )
        try:
            visitor = await self.site.entrance.visitor(request)
        except HTTPException as refusal:
            return self._refused(request, refusal)
        except Exception as failure:  # noqa: BLE001 - as in endpoint
            return self._failed(request, _NOBODY, failure)
        return self._error(request, visitor or _NOBODY, error.status_code, said)

    def _error(self, request: Request, visitor: Visitor, status: int, said: str) -> Response:
        response = Visit(request, visitor, self.site, {}).page("error.html", status=status, code=status, said=said)
        if status == 503:
            response.headers["retry-after"] = RETRY_SECONDS
        return response

    async def _asset(self, request: Request) -> Response:
        asset = self.site.assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        return Response(asset.body, media_type=asset.type, headers={"cache-control": FOREVER})


def _described(error: Exception, *, changing: bool) -> tuple[int, str]:
    """Return the status and the words of an error, which never hold what the driver says of values."""
    if isinstance(error, psycopg.errors.QueryCanceled):
        return (
            504,
            "The database took too long for this and was stopped. Ask for less: a queue, a state, a shorter time.",
        )
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return _locked(changing=changing)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return (
            403,
            "The database refuses this to the dashboard's user: see docs/dashboard.md on what to grant it.",
        )
    if isinstance(error, ConfigError):
        return 500, "The dashboard, or the application around it, is not set up rightly."
    known = translate(error) if isinstance(error, psycopg.Error) else error
    if isinstance(known, PgQueueError):
        status = next((status for kind, status in _STATUS if isinstance(known, kind)), 500)
        return status, str(
            known
        ) if status < 503 else "The database cannot be reached, or lacks the tables of this version."
    return 500, "Something went wrong here."


def _locked(*, changing: bool) -> tuple[int, str]:
    if changing:
        return 409, "Nothing was changed: somebody else is changing this right now, and did not let go. Try again."
    return 503, (
        "The tables are locked: a migration, a TRUNCATE, a VACUUM FULL or the like holds them, and jobs may stand "
        "still meanwhile. `pgq doctor` names who it is. Try again in a moment."
    )
