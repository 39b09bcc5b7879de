"""What is refused before any page sees it, and the headers that every answer has.

A request must name a host that we go by (else a foreign name that resolves to us could be used to read our answers), a
change must come from one of our own pages (Sec-Fetch-Site or Origin; browsers send one of them with every POST), and
its body must be a short form. Answers forbid scripts and styles that are not ours, frames, and being stored.
"""

import logging
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
LARGEST_FORM = 64 * 1024
SAFE = frozenset({"GET", "HEAD"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Doors:
    """The outermost layer. `hosts`: names, without ports, that requests may be sent to; None leaves that to others."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str] | None) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or go on with a body that is bounded."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self.refusal(scope["method"], Headers(scope=scope))
        if refusal is not None:
            status, reason = refusal
            _log.warning("request refused", extra={"status": status, "reason": reason, "method": scope["method"]})
            await PlainTextResponse(f"{reason}\n", status)(scope, receive, guarded)
            return
        await self._app(scope, _Bounded(receive), guarded)

    def refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Return the status and the reason when a request is to be refused."""
        if self._hosts is not None and _name(headers) not in self._hosts:
            return 421, "This host name is not one of the dashboard's: see --allow-host."
        if method in SAFE:
            return None
        if method != "POST":
            return 405, "Only GET, HEAD and POST are understood."
        if not _from_our_page(headers):
            return 403, "A change must come from a page of this dashboard."
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            return 415, "A change is sent as a form."
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST_FORM:
            return 413, f"A form has at most {LARGEST_FORM} bytes."
        return None


class _Bounded:
    """A request's body, which ends the connection when it is longer than a form may be, whatever its header said."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        return {"type": "http.disconnect"} if self._read > LARGEST_FORM else message


def _name(headers: Headers) -> str:
    hosts = headers.getlist("host")
    if len(hosts) != 1:
        return ""
    host = hosts[0].lower()
    if host.startswith("["):
        name, _, rest = host.partition("]")
        return f"{name}]" if not rest or rest.startswith(":") else ""
    return host.partition(":")[0].removesuffix(".")


def _from_our_page(headers: Headers) -> bool:
    """Whether the browser says so. Without any such header it is no browser of ours, and whoever writes requests by
    hand can write that one too."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None and origin is None:
        return False
    if site is not None and site != "same-origin":
        return False
    return origin is None or _same_address(origin, headers.get("host", ""))


def _same_address(origin: str, host: str) -> bool:
    """Compare name and port; the scheme may differ, since TLS may end at a proxy."""
    try:
        found = urlsplit(origin)
        port = found.port
        other = urlsplit(f"{found.scheme}://{host}")
        default = {"http": 80, "https": 443}.get(found.scheme)
        return default is not None and found.hostname == other.hostname and (port or default) == (other.port or default)
    except ValueError:
        return False
