"""The database under examination: runs the statements of `observe/sql`, each a file with a name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from pgqueue import statements
from pgqueue.schema import identifier

if TYPE_CHECKING:
    import psycopg

statement = partial(statements.statement, "pgqueue.observe")  # (name, schema)
SAMPLE_PAGES = 200  # of a large table: 1.6 MB, some 5,000 jobs or 30,000 keys; each check takes 0.1 s at most


class Patient:
    """One connection to one schema."""

    def __init__(self, conn: psycopg.Connection[Any], schema: str) -> None:
        self.conn = conn
        self.schema = schema

    @property
    def quoted(self) -> str:
        """The schema as SQL names it."""
        return identifier(self.schema)

    def rows(self, name: str, **params: Any) -> list[dict[str, Any]]:
        """Run the statement `sql/NAME.sql`. Raises psycopg.Error."""
        return self.conn.cursor(row_factory=dict_row).execute(statement(name, self.schema), params).fetchall()

    def run(self, name: str) -> None:
        """Run a statement that returns no rows."""
        self.conn.execute(statement(name, self.schema), {})

    def row(self, name: str, **params: Any) -> dict[str, Any]:
        """Run a statement of exactly one row."""
        return self.rows(name, **params)[0]

    def catalogue(self) -> list[dict[str, Any]]:
        """Read the objects of the schema, worded as the search path of the transaction says: ours alone."""
        with self.conn.transaction():
            self.conn.execute("select set_config('search_path', %s, true)", [f"{self.quoted}, pg_temp"])
            return self.rows("catalogue")

    def sample(self, name: str, *, table: str) -> tuple[list[dict[str, Any]], float]:
        """Run a statement on a sample of a table's pages: its rows, and how much of the table was looked at, in per
        cent. Small tables are looked at as a whole.
        """
        pages = self.row("table_pages", table=table)["pages"]
        share = min(100.0, 100.0 * SAMPLE_PAGES / max(pages, 1))
        return self.rows(name, share=share), share
