"""`pgq ui`: from options to a server. Refuses to listen where it would let strangers in."""

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import uvicorn

from pgqueue.errors import ConfigError
from pgqueue.ui.app import Dashboard
from pgqueue.ui.doors import LOOPBACK
from pgqueue.ui.entrance import Entrance, HeaderEntrance, OpenEntrance, PasswordEntrance, Proxies
from pgqueue.ui.masking import DEFAULT_RULES
from pgqueue.ui.passwords import PasswordFile
from pgqueue.ui.patience import PatientProtocol
from pgqueue.ui.sessions import Sessions
from pgqueue.ui.visitor import Role

SHORTEST_SECRET = 32
_AT_ONCE = 200  # requests; more are answered 503
_WAITING = 128  # connections that nobody has accepted yet


@dataclass(frozen=True, slots=True)
class Service:
    """Where to listen, who may come in, and what is hidden: options that have been checked."""

    host: str
    port: int
    hosts: tuple[str, ...]
    entrance: Entrance
    masks: tuple[str, ...]

    @classmethod
    def of(
        cls,
        *,
        listen: str,
        password_file: Path | None = None,
        allow_host: Sequence[str] = (),
        trust_header: str | None = None,
        trust_proxy: Sequence[str] = (),
        trust_groups_header: str | None = None,
        grant: Sequence[str] = (),
        role: str = "admin",
        mask: Sequence[str] = (),
        secret_file: Path | None = None,
    ) -> "Service":
        """Check the options of the command line. Raises ConfigError for what cannot work or would be open to
        strangers."""
        host, port = _address(listen)
        if password_file and trust_header:
            raise ConfigError("--password-file and --trust-header: choose one of them")
        if trust_header:
            entrance: Entrance = _header(trust_header, trust_proxy, trust_groups_header, grant)
        elif trust_proxy or trust_groups_header or grant:
            raise ConfigError("--trust-proxy, --trust-groups-header and --grant need --trust-header")
        elif password_file:
            file = PasswordFile(password_file)
            if not file.accounts():
                raise ConfigError(f'password file "{password_file}": has no user; add one with `pgq ui passwd`')
            entrance = PasswordEntrance(file, Sessions(_secret(secret_file)))
        else:
            entrance = OpenEntrance(Role.named(role))
        loopback = _is_loopback(host)
        if not loopback and isinstance(entrance, OpenEntrance):
            raise ConfigError(
                f'--listen "{listen}": an address that others can reach needs authentication: '
                "--password-file FILE (see `pgq ui passwd`), or --trust-header with --trust-proxy"
            )
        return cls(host, port, _hosts(host, allow_host, loopback=loopback), entrance, (*DEFAULT_RULES, *mask))


def run(dsn: str, schema: str, service: Service) -> None:
    """Serve until a signal ends it."""
    _log_to_stderr()
    asyncio.run(_serve(dsn, schema, service))


async def _serve(dsn: str, schema: str, service: Service) -> None:
    dashboard = Dashboard(dsn, entrance=service.entrance, schema=schema, hosts=service.hosts, masks=service.masks)
    listening = _listen(service.host, service.port)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"pgq ui: http://{shown}:{port}/", file=sys.stderr, flush=True)  # noqa: T201 - so that one knows where it is
    config = uvicorn.Config(
        dashboard,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # it would believe anybody on this machine; entrance.py decides whom we believe
        lifespan="off",
        ws="none",
        limit_concurrency=_AT_ONCE,
        http=PatientProtocol,
        timeout_graceful_shutdown=5,
    )
    try:
        await uvicorn.Server(config).serve(sockets=[listening])
    finally:
        await dashboard.aclose()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_WAITING)
    except OSError as error:
        listening.close()
        raise ConfigError(f'--listen "{host}:{port}": {error.strerror or error}') from error
    return listening


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f'--listen "{listen}": must be HOST:PORT, as 127.0.0.1:8490 or [::1]:8490')
    return ("127.0.0.1" if host == "localhost" else host), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _hosts(host: str, allowed: Sequence[str], *, loopback: bool) -> tuple[str, ...]:
    """Return the names that requests may be sent to."""
    for name in allowed:
        if not name or any(sign in name for sign in "/@*, "):
            raise ConfigError(f'--allow-host "{name}": must be a name or an address, without port or scheme')
    if loopback:
        return (*LOOPBACK, *allowed)
    if not allowed:
        raise ConfigError(
            f'--listen "{host}": say by --allow-host NAME which names browsers know this server by, '
            "or other sites could make browsers read it under a name of theirs"
        )
    return tuple(allowed)


def _header(header: str, proxies: Sequence[str], groups: str | None, grants: Sequence[str]) -> HeaderEntrance:
    if not proxies:
        raise ConfigError("--trust-header: needs --trust-proxy, or anybody could write that header")
    if not grants:
        raise ConfigError('--trust-header: needs --grant, as --grant ada=admin --grant "*=viewer"')
    roles: dict[str, Role] = {}
    for grant in grants:
        name, _, role = grant.rpartition("=")
        if not name:
            raise ConfigError(f'--grant "{grant}": must be NAME=ROLE')
        roles[name] = Role.named(role)
    return HeaderEntrance(header, Proxies(proxies), roles, groups_header=groups)


def _secret(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f'--secret-file "{file}": {error.strerror}') from error
    if len(secret) < SHORTEST_SECRET:
        raise ConfigError(f'--secret-file "{file}": must hold at least {SHORTEST_SECRET} characters')
    return secret


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    log = logging.getLogger("pgqueue.ui")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


class _Lines(logging.Formatter):
    """A line a record: time, level, message, and what was said beside it."""

    _OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, its control characters escaped."""
        told = " ".join(f"{name}={value!r}" for name, value in record.__dict__.items() if name not in self._OWN)
        return f"{self.formatTime(record)} {record.levelname:<7} {record.getMessage()} {told}".rstrip()
