"""What the demo promised, asked of the database: each check is a query that tells whether it holds, and what it found.

Each chapter has its own, and a table or two where the outside world says what it saw: the log of a server, what a
reader found in a file. Nothing here trusts what the story believes to have done.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from pgqueue.schema import render

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg import Connection


@dataclass(frozen=True, slots=True)
class Check:
    """A promise and the SQL that puts it to the test; its row says whether it holds, and in words what is so."""

    promise: str
    sql: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a promise."""

    promise: str
    sql: str
    holds: bool
    said: str


OUTCOMES = """
        select j.queue, a.outcome, count(*) as attempts, count(distinct a.job_id) as jobs
        from pgqueue.attempts a join pgqueue.jobs j on j.id = a.job_id
        group by j.queue, a.outcome order by j.queue, attempts desc"""


def run(conn: Connection[Any], schema: str, checks: Iterable[Check]) -> list[Verdict]:
    """Put these promises to the test."""
    return [_ask(conn, check, schema) for check in checks]


def outcomes(conn: Connection[Any], schema: str) -> tuple[str, list[str], list[tuple[Any, ...]]]:
    """Count what attempts came to, by queue: the SQL, its columns, its rows."""
    text = _text(OUTCOMES, schema)
    cursor = conn.execute(text)
    return text, [column.name for column in cursor.description or ()], cursor.fetchall()


def _ask(conn: Connection[Any], check: Check, schema: str) -> Verdict:
    text = _text(check.sql, schema)
    row = conn.execute(text).fetchone()
    holds, said = row if row is not None else (False, "the query returned nothing")
    return Verdict(check.promise, text, holds is True, said)


def _text(sql: str, schema: str) -> str:
    """The statement for a schema; constant but for its name."""
    return render(dedent(sql).strip("\n"), schema)
