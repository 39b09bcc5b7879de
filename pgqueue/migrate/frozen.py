"""What a revision does: it runs the frozen SQL beside it, called by alembic.

The text goes to psycopg as it is, in one piece: no bind parameters, so `:name` and `%` mean what they mean in psql.
Only the statements of a revision that builds concurrently go one by one, each outside of a transaction.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import psycopg

from pgqueue.migrate import compatibility, concurrent, session
from pgqueue.migrate.revisions import describe, needed_before
from pgqueue.schema import DEFAULT, identifier, render

if TYPE_CHECKING:
    import sqlalchemy

_TAG = re.compile(r"\$(?:[A-Za-z_]\w*)?\$")
_OPENS_LITERAL = re.compile(r"(?<=')pgqueue\.(?=[a-z_])")  # as in nextval('pgqueue.job_ids')


def frozen(revision_file: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a revision's upgrade and downgrade: they run the frozen .up.sql and .down.sql beside it, and write down
    which versions of pgqueue can work on the schema from then on.
    """
    file = Path(revision_file)
    step = describe(file.stem)

    def upgrade() -> None:
        up = file.with_suffix(".up.sql")
        _run_file_concurrently(up) if step.concurrently else _run_file(up)
        if step.needs:
            _run_text(compatibility.support(_schema(), step.needs), file.name)

    def downgrade() -> None:
        _run_file(file.with_suffix(".down.sql"))
        if step.needs:
            _run_text(compatibility.support(_schema(), needed_before(step.id)), file.name)

    return upgrade, downgrade


def _schema() -> str:
    from alembic import op

    return op.get_context().version_table_schema or DEFAULT


def _run_file(file: Path) -> None:
    _run_text(rendered(file.read_text(encoding="utf-8"), _schema()), file.name)


def _run_text(text: str, name: str) -> None:
    from alembic import op

    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(text)
        return
    try:
        _driver(context.connection).execute(text.encode())
    except psycopg.Error as error:
        line = text.count("\n", 0, int(error.diag.statement_position or 1) - 1) + 1
        error.add_note(f"in {name}, line {line}")
        raise


def _run_file_concurrently(file: Path) -> None:
    from alembic import context, op

    schema, migration = _schema(), op.get_context()
    with migration.autocommit_block():
        for statement in concurrent.statements(rendered(file.read_text(encoding="utf-8"), schema)):
            if migration.as_sql:
                migration.impl.static_output(f"{statement};")
            else:
                concurrent.run(_driver(migration.connection), statement, schema, context.config.attributes["tell"])


def _driver(connection: object) -> session.Connection:
    return cast("session.Connection", cast("sqlalchemy.Connection", connection).connection.dbapi_connection)


def rendered(text: str, schema: str) -> str:
    """Render for a schema whose name may hold what ends a literal ('...') or a function's body ($tag$...$tag$)."""
    if "'" in schema:
        in_literal = identifier(schema).replace("'", "''")
        text = _OPENS_LITERAL.sub(lambda _: f"{in_literal}.", text)
    for tag in set(_TAG.findall(text)):
        if tag in schema:
            text = text.replace(tag, session.unused_tag(text + schema))
    return render(text, schema)
