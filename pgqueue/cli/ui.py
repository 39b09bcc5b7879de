"""`pgq ui`: the dashboard as a server of its own; `pgq ui passwd`: who may sign in to it."""

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgqueue.cli import failure
from pgqueue.cli.command import callback, command, group
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import ConfigError
from pgqueue.extra import install

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.ui.serve import Service

_Listen = Annotated[
    str, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
]
_PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="Who may sign in, written by `pgq ui passwd`."),
]
_AllowHost = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="NAME", help="A name that browsers know this server by; may be repeated."),
]
_TrustHeader = Annotated[
    str | None,
    typer.Option("--trust-header", metavar="HEADER", help="The header in which a proxy names the user it has let in."),
]
_TrustProxy = Annotated[
    list[str] | None,
    typer.Option("--trust-proxy", metavar="NETWORK", help="The proxy's address or network; may be repeated."),
]
_TrustGroups = Annotated[
    str | None,
    typer.Option("--trust-groups-header", metavar="HEADER", help="The header with the user's groups, between commas."),
]
_Grant = Annotated[
    list[str] | None,
    typer.Option(
        "--grant",
        metavar="NAME=ROLE",
        help="The role of a proxy's user, of group:NAME, or of * for all; may be repeated.",
    ),
]
_Role = Annotated[str, typer.Option("--role", metavar="ROLE", help="What visitors may do without authentication.")]
_Mask = Annotated[
    list[str] | None,
    typer.Option(
        "--mask", metavar="GLOB", help="Hide values of such names, besides *password*, *token* ...; may be repeated."
    ),
]
_SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--secret-file", metavar="FILE", help="What sessions are signed with, so that they outlive a restart."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    branch = group("Serve the dashboard; add people who may sign in.")
    callback(branch)(serve)
    command(branch, "passwd")(passwd)
    app.add_typer(branch, name="ui")


def serve(
    session: Session,
    listen: _Listen = "127.0.0.1:8490",
    password_file: _PasswordFile = None,
    allow_host: _AllowHost = None,
    trust_header: _TrustHeader = None,
    trust_proxy: _TrustProxy = None,
    trust_groups_header: _TrustGroups = None,
    grant: _Grant = None,
    role: _Role = "admin",
    mask: _Mask = None,
    secret_file: _SecretFile = None,
) -> None:
    """Serve the dashboard. On loopback without authentication; elsewhere with a password file or a trusted proxy."""
    run, service = _service(
        listen=listen,
        password_file=password_file,
        allow_host=allow_host or (),
        trust_header=trust_header,
        trust_proxy=trust_proxy or (),
        trust_groups_header=trust_groups_header,
        grant=grant or (),
        role=role,
        mask=mask or (),
        secret_file=secret_file,
    )
    session.conn  # noqa: B018 - connects, so that a database that is missing or not migrated is told at once
    run(session.dsn, session.schema, service)


def passwd(
    session: Session,
    name: Annotated[str, typer.Argument(envvar="PGQ_UI_PASSWD_NAME", help="The user's name.")],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="viewer, operator or admin.")] = "viewer",
    password_file: Annotated[
        Path,
        typer.Option("--password-file", metavar="FILE", envvar="PGQ_UI_PASSWORD_FILE", help="The file to write to."),
    ] = Path("pgq-users"),
) -> None:
    """Add a user to the password file, or give one another password and role. Asks twice, or reads a line of a pipe."""
    from pgqueue.ui.passwords import Account, PasswordFile, hashed, valid_name, valid_password
    from pgqueue.ui.visitor import Role

    account = Account(valid_name(name), Role.named(role), hashed(valid_password(_ask())))
    replaced = PasswordFile(password_file).put(account)
    if session.as_json:
        print_json({"name": name, "role": str(account.role), "file": str(password_file), "replaced": replaced})
        return
    print_line(f'user "{name}" {"changed" if replaced else "added"}: {account.role}, in {password_file}')


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Again: "):
        raise failure.Failed("the two passwords differ; nothing was changed")
    return first


def _service(**options: Any) -> "tuple[Callable[[str, str, Service], None], Service]":
    try:
        from pgqueue.ui.serve import Service, run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"starlette", "jinja2", "markupsafe", "uvicorn"}:
            raise
        raise ConfigError(f"pgq ui needs {error.name}: {install('ui')}") from error
    return run, Service.of(**options)
