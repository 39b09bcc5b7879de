"""Runs the revisions: each in a transaction of its own, behind the migrators' lock, retried when a lock is not had.

Alembic keeps the history and the version table; it is imported when there is something to do (0.6 s). The frozen SQL
goes to psycopg as it is, in one piece: no bind parameters, so `:name` and `%` mean what they mean in psql.
"""

import io
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg import errors

from pgqueue.migrate import session
from pgqueue.migrate.revisions import BASE, Revision, describe, directory, following
from pgqueue.schema import DEFAULT, identifier, render, valid_schema

if TYPE_CHECKING:
    import alembic.config
    import sqlalchemy

LOCK_TIMEOUT = timedelta(seconds=3)  # for so long a migration that waits may hold up those who queue behind it
TRIES = 10
_AGAIN = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)
_TAG = re.compile(r"\$(?:[A-Za-z_]\w*)?\$")
_OPENS_LITERAL = re.compile(r"(?<=')pgqueue\.(?=[a-z_])")  # as in nextval('pgqueue.job_ids')
_ALEMBIC = threading.Lock()  # alembic keeps what it works on in globals: one thread of a process at a time
_log = logging.getLogger(__name__)


def upgrade(
    dsn: str, schema: str = DEFAULT, *, lock_timeout: timedelta = LOCK_TIMEOUT, tries: int = TRIES
) -> list[Revision]:
    """Bring the schema to the newest revision and return those that this call applied, oldest first.

    Each revision commits by itself. Safe to run any number of times at once: one works, the others wait for it.
    Raises: DatabaseUnavailable (not reached, or a lock not had in `tries`), ConfigError (a privilege is missing; says
    which), NotSupported (the schema or the server is not one that this version knows).
    """
    applied: list[Revision] = []
    with session.session(dsn, schema) as conn:
        if not following(session.read_revision(conn, schema), schema):
            return applied
        conn.rollback()
        session.require_primary(conn)
        with _alchemy(conn) as alchemy:
            while revision := _patiently(lambda: _upgrade_one(alchemy, conn, schema, lock_timeout), tries):
                applied.append(describe(revision))
                _log.info("schema migrated", extra={"schema": schema, "revision": revision})
    return applied


def downgrade(dsn: str, schema: str, revision: str) -> None:
    """Go back to a revision, or to `base`: for tests and for those who know what they lose. One transaction."""
    with session.session(dsn, schema) as conn, _alchemy(conn) as alchemy, _in_psycopgs_words(), alchemy.begin():
        _run(conn, session.take_turn(schema))
        following(session.read_revision(conn, schema), schema)
        with _command(schema, connection=alchemy) as (command, config):
            command.downgrade(config, revision)
        if revision == BASE:
            _run(conn, session.drop_schema(schema))


def plan(dsn: str, schema: str = DEFAULT) -> list[Revision]:
    """Return the revisions that `upgrade` would apply now, oldest first."""
    return [describe(revision) for revision in following(session.current(dsn, schema), schema)]


def offline_sql(schema: str = DEFAULT, *, start: str | None = None) -> str:
    """Return the SQL that `upgrade` would run on a database at revision `start` (None: an empty one), for psql."""
    valid_schema(schema)
    output = io.StringIO()
    opening = [*session.take_turn(schema), *session.make_schema(schema, LOCK_TIMEOUT)]
    previous = start
    for revision in following(start, schema):
        with _command(schema, output, opening=opening) as (command, config):
            command.upgrade(config, f"{previous}:{revision}" if previous else revision, sql=True)
        previous = revision
    return output.getvalue()


def frozen(revision_file: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a revision's upgrade and downgrade: they run the frozen .up.sql and .down.sql beside it."""

    def upgrade() -> None:
        _run_file(Path(revision_file).with_suffix(".up.sql"))

    def downgrade() -> None:
        _run_file(Path(revision_file).with_suffix(".down.sql"))

    return upgrade, downgrade


def _upgrade_one(
    alchemy: "sqlalchemy.Connection", conn: session.Connection, schema: str, lock_timeout: timedelta
) -> str | None:
    with _in_psycopgs_words(), alchemy.begin():
        _run(conn, session.take_turn(schema))
        missing = following(session.read_revision(conn, schema), schema)
        if not missing:
            return None
        session.require_rights(conn, schema)
        _run(conn, session.make_schema(schema, lock_timeout))
        with _command(schema, connection=alchemy) as (command, config):
            command.upgrade(config, missing[0])
    return missing[0]


def _patiently(step: Callable[[], str | None], tries: int) -> str | None:
    """Run a step until it has its locks: between tries those who queued behind it go first."""
    for failures in range(1, tries):
        try:
            return step()
        except _AGAIN as error:
            _log.warning("migration waits for a lock", extra={"tries": failures, "sqlstate": error.sqlstate})
            time.sleep(min(0.2 * 2**failures, 5) * random.uniform(0.5, 1))  # noqa: S311 - not a secret
    return step()


def _run(conn: session.Connection, statements: list[str]) -> None:
    for statement in statements:
        conn.execute(statement.encode())


def _run_file(file: Path) -> None:
    from alembic import op

    context = op.get_context()
    text = _rendered(file.read_text(encoding="utf-8"), context.version_table_schema or DEFAULT)
    if context.as_sql:
        context.impl.static_output(text)
        return
    connection = cast("sqlalchemy.Connection", context.connection)
    driver = cast("session.Connection", connection.connection.dbapi_connection)
    try:
        driver.execute(text.encode())
    except psycopg.Error as error:
        line = text.count("\n", 0, int(error.diag.statement_position or 1) - 1) + 1
        error.add_note(f"in {file.name}, line {line}")
        raise


def _rendered(text: str, schema: str) -> str:
    """Render for a schema whose name may hold what ends a literal ('...') or a function's body ($tag$...$tag$)."""
    if "'" in schema:
        in_literal = identifier(schema).replace("'", "''")
        text = _OPENS_LITERAL.sub(lambda _: f"{in_literal}.", text)
    for tag in set(_TAG.findall(text)):
        if tag in schema:
            text = text.replace(tag, session.unused_tag(text + schema))
    return render(text, schema)


@contextmanager
def _alchemy(conn: session.Connection) -> "Iterator[sqlalchemy.Connection]":
    """Lend our connection to SQLAlchemy, through which alembic speaks."""
    import sqlalchemy
    from sqlalchemy.pool import StaticPool

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: conn, poolclass=StaticPool, use_native_hstore=False
    )
    try:
        with engine.connect() as alchemy:
            alchemy.rollback()
            yield alchemy
    finally:
        engine.dispose()


@contextmanager
def _in_psycopgs_words() -> Iterator[None]:
    """Unwrap the errors of alembic's own statements (the version table), so that each refusal has one spelling."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from error
        raise


@contextmanager
def _command(
    schema: str, output: io.StringIO | None = None, **attributes: object
) -> "Iterator[tuple[Any, alembic.config.Config]]":
    """Give alembic's commands, a configuration without a file, and silence in alembic's log below WARNING."""
    from alembic import command
    from alembic.config import Config

    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(directory()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(schema=schema, **attributes)
    with _ALEMBIC:
        chatter = logging.getLogger("alembic")
        level = chatter.level
        chatter.setLevel(logging.WARNING)
        try:
            yield command, config
        finally:
            chatter.setLevel(level)
