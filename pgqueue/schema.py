"""Rewrites SQL text for a schema other than `pgqueue`. No I/O.

All SQL in this project is written for the default schema and runs as it is in psql. Three spellings are the schema's
name and nothing else: the qualifier `pgqueue.`, the whole literal `'pgqueue'`, and `schema pgqueue`.
"""

import re
from functools import lru_cache

from pgqueue.errors import ConfigError

DEFAULT = "pgqueue"
_SPELLINGS = re.compile(r"\bpgqueue\.(?=[a-z_])|'pgqueue'|(?<=\bschema )pgqueue\b|(?<=\bexists )pgqueue(?=;)")


def valid_schema(name: str) -> str:
    """Return the name unchanged. Raises ConfigError unless PostgreSQL can have a schema of this name."""
    if not isinstance(name, str) or not name or "\x00" in name:
        raise ConfigError(
            f"schema {name!r}: must be a text that is not empty and has no NUL; set --schema or PGQ_SCHEMA"
        )
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ConfigError(f"schema {name!r}: has a lone surrogate, which UTF-8 cannot hold") from None
    if size > 63:
        raise ConfigError(f"schema {name!r}: PostgreSQL takes at most 63 bytes, got {size}")
    if name.startswith("pg_"):
        raise ConfigError(f"schema {name!r}: names that begin with pg_ belong to PostgreSQL")
    return name


def identifier(name: str) -> str:
    """Quote a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text as an SQL literal (standard_conforming_strings on, as always since PostgreSQL 9.1)."""
    quoted = "'" + text.replace("'", "''") + "'"
    return f" E{quoted}".replace("\\", "\\\\") if "\\" in text else quoted


@lru_cache(maxsize=4096)
def render(text: str, schema: str, *, for_psycopg: bool = False) -> str:
    """Rewrite SQL text for `schema`; with `for_psycopg` a % in the name is doubled, as placeholders demand."""
    if schema == DEFAULT:
        return text
    valid_schema(schema)
    escaped = schema.replace("%", "%%") if for_psycopg else schema

    def spell(match: re.Match[str]) -> str:
        found = match.group()
        if found.startswith("'"):
            return literal(escaped)
        return identifier(escaped) + ("." if found.endswith(".") else "")

    return _SPELLINGS.sub(spell, text)
