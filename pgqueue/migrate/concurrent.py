"""Runs what cannot be in a transaction: indexes that are built while the queue is used.

Each statement commits by itself, so a death may come between any two of them, or in the middle of one, which leaves an
index that is invalid. Therefore each build looks first: a valid index is passed over, an invalid one is dropped and
built again. Nobody is held up: a build waits for the transactions that are older than itself, and asks for no lock that
a claim, a settle or an enqueue would wait for.
"""

import logging
import re
from collections.abc import Callable

import psycopg

from pgqueue.schema import identifier

_BUILD = re.compile(r"create\s+(?:unique\s+)?index\s+concurrently\s+(?P<name>\w+)\s+on\s", re.IGNORECASE)
_COMMENT = re.compile(r"^\s*--[^\n]*\n?", re.MULTILINE)
_STATE = """
select i.indisvalid and i.indisready from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and c.relname = %s"""
_log = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[object, ...]]


def statements(text: str) -> list[str]:
    """Cut a file into its statements: each ends with the line that ends with its semicolon."""
    return [part.strip() for part in re.split(r";[ \t]*(?:\n|$)", _COMMENT.sub("", text)) if part.strip()]


def run(conn: Connection, statement: str, schema: str, tell: Callable[[str], None]) -> None:
    """Run one statement on a connection in autocommit. Raises psycopg.Error; an index that failed is dropped."""
    build = _BUILD.match(statement)
    if build is None:
        conn.execute(statement.encode())
        return
    name = build["name"]
    valid = _is_valid(conn, schema, name)
    if valid:
        return
    if valid is False:
        tell(f"index {name} was left unfinished: dropping it and building it again")
        _drop(conn, schema, name)
    tell(f"building index {name}: holds nobody up, waits for transactions that are older than it")
    try:
        conn.execute(statement.encode())
    except psycopg.Error:
        _clean(conn, schema, name)
        raise


def _is_valid(conn: Connection, schema: str, name: str) -> bool | None:
    row = conn.execute(_STATE, [schema, name]).fetchone()
    return None if row is None else bool(row[0])


def _drop(conn: Connection, schema: str, name: str) -> None:
    conn.execute(f"drop index concurrently {identifier(schema)}.{identifier(name)}".encode())


def _clean(conn: Connection, schema: str, name: str) -> None:
    """Drop what a failed build left. When that fails too, the next build does it."""
    try:
        if _is_valid(conn, schema, name) is False:
            _drop(conn, schema, name)
    except psycopg.Error as error:
        _log.warning("an unfinished index stays until the next try", extra={"index": name, "sqlstate": error.sqlstate})
