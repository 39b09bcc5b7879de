"""The ways in. Each looks at a request and says who it is, or None for somebody who has to sign in or is not let in.

OpenEntrance       on loopback without authentication: everybody who reaches the port has one role
PasswordEntrance   the form and a session cookie (passwords.py, sessions.py)
HeaderEntrance     a proxy in front has authenticated, and names the user in a header; believed from its addresses only
CalledEntrance     mounted in somebody's application: that one's function from request to (name, role)
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from pgqueue.errors import ConfigError
from pgqueue.ui.passwords import PasswordFile
from pgqueue.ui.sessions import COOKIE, Sessions, Tries
from pgqueue.ui.visitor import Role, Visitor

Who = tuple[str, str] | None
Authenticate = Callable[[Request], "Who | Awaitable[Who]"]
ANYBODY = "*"
GROUP = "group:"


class Entrance(Protocol):
    """One way in."""

    has_form: bool

    async def visitor(self, request: Request) -> Visitor | None:
        """Return who this is; None: nobody that we know."""

    def is_https(self, request: Request) -> bool:
        """Whether the browser speaks TLS, perhaps with a proxy in front of us."""


class OpenEntrance:
    """Lets everybody in. Only for loopback."""

    has_form = False

    def __init__(self, role: Role) -> None:
        self._visitor = Visitor("local", role)

    async def visitor(self, request: Request) -> Visitor | None:  # noqa: ARG002 - everybody
        """Return the one visitor there is."""
        return self._visitor

    def is_https(self, request: Request) -> bool:
        """As the request came."""
        return request.url.scheme == "https"


class PasswordEntrance:
    """Lets those in who have signed in by the form."""

    has_form = True

    def __init__(self, file: PasswordFile, sessions: Sessions) -> None:
        self.file = file
        self.sessions = sessions
        self.tries = Tries()
        self.at_once = asyncio.Semaphore(2)  # hashes take 32 MB each

    async def visitor(self, request: Request) -> Visitor | None:
        """Return the account of the session cookie."""
        account = self.sessions.read(request.cookies.get(COOKIE), self.file.accounts())
        return Visitor(account.name, account.role) if account else None

    def is_https(self, request: Request) -> bool:
        """As the request came."""
        return request.url.scheme == "https"


class Proxies:
    """The addresses that are believed."""

    def __init__(self, networks: Sequence[str]) -> None:
        try:
            self._networks: list[IPv4Network | IPv6Network] = [ip_network(network) for network in networks]
        except ValueError as error:
            raise ConfigError(f'--trust-proxy: {error}; write an address or a network as "10.1.2.0/24"') from None

    def sent(self, request: Request) -> bool:
        """Whether the other end of this connection is one of them."""
        if request.client is None:
            return False
        try:
            address = ip_address(request.client.host)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)


class HeaderEntrance:
    """Lets those in whom a trusted proxy names. `roles`: role by user's name, by "group:NAME", or by "*" for
    anybody."""

    has_form = False

    def __init__(
        self, header: str, proxies: Proxies, roles: Mapping[str, Role], *, groups_header: str | None = None
    ) -> None:
        self._header = header
        self._proxies = proxies
        self._roles = dict(roles)
        self._groups_header = groups_header

    async def visitor(self, request: Request) -> Visitor | None:
        """Return who the header names, with the highest of the roles that name and groups have."""
        names = request.headers.getlist(self._header)
        groups = request.headers.getlist(self._groups_header) if self._groups_header else []
        if not self._proxies.sent(request) or len(names) != 1 or len(groups) > 1 or not names[0].strip():
            return None  # of two headers one may be the browser's
        name = names[0].strip()[:256]
        keys = [ANYBODY] if name.startswith(GROUP) else [name, ANYBODY]
        keys += [f"{GROUP}{group.strip()}" for line in groups for group in line.split(",")]
        role = max((self._roles[key] for key in keys if key in self._roles), default=None)
        return None if role is None else Visitor(name, role)

    def is_https(self, request: Request) -> bool:
        """What the proxy says, if it is one that is believed."""
        if self._proxies.sent(request):
            return request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        return request.url.scheme == "https"


class CalledEntrance:
    """Lets those in whom the application that we are mounted in knows."""

    has_form = False

    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate

    async def visitor(self, request: Request) -> Visitor | None:
        """Ask the application's function; a plain one is called in a thread."""
        if inspect.iscoroutinefunction(self._authenticate):
            found = await self._authenticate(request)
        else:
            answer = await run_in_threadpool(self._authenticate, request)
            found = await answer if inspect.isawaitable(answer) else answer
        return None if found is None else Visitor(str(found[0]), Role.named(str(found[1])))

    def is_https(self, request: Request) -> bool:
        """As the application says."""
        return request.url.scheme == "https"
