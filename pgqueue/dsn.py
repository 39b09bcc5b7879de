"""Which database is meant: an argument, PGQ_DSN, DATABASE_URL, or libpq's own variables, in that order.

No I/O. A password never gets into a message: texts are shown through `redact`.
"""

import os
import re
from collections.abc import Mapping

from pgqueue.errors import ConfigError

EMBEDDED = "embedded:"

# Any of these names a server or a database; PGPASSWORD, PGSSLMODE and the like do not.
LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE")

_SCHEME = re.compile(r"^(?P<name>[A-Za-z][A-Za-z0-9]*)(?:\+[A-Za-z0-9_]+)?://")
_URL_PASSWORD = re.compile(r"(?P<head>://[^/@?]*?:)(?P<secret>.*)(?P<tail>@)")
_WORD_PASSWORD = re.compile(r"\b(?P<head>(?:ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|[^\s&]+)")
_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_NAMES_AN_OPTION = ("invalid connection option", "invalid URI query parameter")


def resolve(explicit: str | None = None, *, environ: Mapping[str, str] | None = None) -> str:
    """Return the DSN to connect with; "" leaves everything to libpq's variables.

    An SQLAlchemy driver name (`postgresql+psycopg://`) is dropped. `embedded:PATH` is returned as it is, for the
    command line to start the server of that directory. Raises ConfigError if nothing names a database, or if what
    does cannot be parsed.
    """
    environ = os.environ if environ is None else environ
    for source, text in (
        ("dsn", explicit),
        ("PGQ_DSN", environ.get("PGQ_DSN")),
        ("DATABASE_URL", environ.get("DATABASE_URL")),
    ):
        if text is not None and text.strip():
            return _checked(text.strip(), source=source)
    if any(environ.get(name) for name in LIBPQ_VARIABLES):
        return ""
    raise ConfigError(
        "no database is named: pass --dsn (or App(dsn=...)), or set PGQ_DSN, DATABASE_URL or libpq's PGHOST, "
        'PGDATABASE ... A DSN looks like "postgresql://user@host:5432/database"; the pgq commands also take '
        '"embedded:./pgdata", a private server in that folder'
    )


def redact(dsn: str) -> str:
    """Return the DSN with its passwords replaced by ***, fit for messages and logs."""
    shown = _URL_PASSWORD.sub(r"\g<head>***\g<tail>", dsn)
    return _WORD_PASSWORD.sub(r"\g<head>***", shown)


def _checked(text: str, *, source: str) -> str:
    if text.startswith(EMBEDDED):
        return text
    if scheme := _SCHEME.match(text):
        if scheme["name"].lower() not in {"postgres", "postgresql"}:
            raise ConfigError(
                f'{source}: "{scheme["name"]}://" is not PostgreSQL; set PGQ_DSN to a postgresql:// address'
            )
        text = f"postgresql://{text[scheme.end() :]}"
    _parse(text, source=source)
    return text


def _parse(text: str, *, source: str) -> None:
    # Imported here: the driver costs 50 ms, which `pgq --help` and pure producers of flows need not pay.
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(text)
    except ProgrammingError as error:
        raise ConfigError(
            f'{source}: {_unreadable(text, str(error).strip())}; write "postgresql://user@host:5432/database" or '
            '"host=... dbname=..."'
        ) from None


def _unreadable(text: str, said: str) -> str:
    """Say that a text is no DSN. Where it cannot be parsed nobody knows which part of it is a password, so that neither
    it nor libpq's words, which quote it, are shown; but for a single word, and for the name of an unknown option.
    """
    if _WORD.fullmatch(text):
        return f'"{text}" is not a DSN ({said})'
    if "@" not in text and said.startswith(_NAMES_AN_OPTION):
        return f"what it holds is not a DSN ({said})"
    return "what it holds is not a DSN (it is not shown here: it may contain a password)"
