"""`pgq demo`: the tour, on a server of its own when no database is named."""

import os
from importlib.util import find_spec
from typing import Annotated

import typer

from pgqueue.cli.command import command
from pgqueue.cli.session import Session
from pgqueue.dsn import LIBPQ_VARIABLES
from pgqueue.errors import ConfigError
from pgqueue.extra import install

_ONLY = typer.Option(
    metavar="CHAPTERS", help="Play only these, separated by commas: signup, video, accounts, nights, payments, api."
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "demo")(demo)


def demo(session: Session, *, only: Annotated[str | None, _ONLY] = None) -> int:
    """Play a small company on real input: sign-ups mailed over SMTP, an import, a worker killed half way; films,
    deletions, nights, payments that are undone, an API that limits its callers. SQL checks every promise. Under 30 s.
    """
    from rich.console import Console

    if find_spec("aiosmtpd") is None:
        raise ConfigError(f"the demo needs its SMTP server, aiosmtpd, which is not installed: {install('demo')}")
    from pgqueue.demo import run

    chapters = [name.strip() for name in (only or "").split(",") if name.strip()]
    return run(_dsn(session), only=chapters, console=Console(highlight=False))


def _dsn(session: Session) -> str | None:
    """The database to use; None when nothing names one."""
    variables = ("PGQ_DSN", "DATABASE_URL", *LIBPQ_VARIABLES)
    return session.dsn if session.given_dsn or any(os.environ.get(name) for name in variables) else None
