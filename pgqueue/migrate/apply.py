"""Runs the revisions: each in a transaction of its own, behind the migrators' lock, retried when a lock is not had.

Alembic keeps the history and the version table; it is imported when there is something to do (0.6 s).
"""

import io
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors

from pgqueue.migrate import compatibility, session
from pgqueue.migrate.revisions import BASE, Revision, describe, directory, following
from pgqueue.schema import DEFAULT, valid_schema

if TYPE_CHECKING:
    import alembic.config
    import sqlalchemy

# For so long a migration that waits may hold up those who queue behind it. Shorter than PostgreSQL's deadlock_timeout
# (1 s): of a migration and a worker that wait for one another the migration gives way.
LOCK_TIMEOUT = timedelta(seconds=0.7)
TRIES = 15
_AGAIN = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)
_ALEMBIC = threading.Lock()  # alembic keeps what it works on in globals: one thread of a process at a time
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a migrator works with: its connection, ours and SQLAlchemy's at once, and what it was told."""

    dsn: str
    schema: str
    conn: session.Connection
    alchemy: "sqlalchemy.Connection"
    lock_timeout: timedelta
    force: bool
    tell: Callable[[str], None]

    def apply(self, step: Revision) -> bool:
        """Apply a revision. False: another migrator has done so. Raises psycopg.Error, NotSupported, ConfigError."""
        return self._concurrently(step) if step.concurrently else self._at_once(step)

    def _at_once(self, step: Revision) -> bool:
        with _in_psycopgs_words(), self.alchemy.begin():
            session.wait_turn(self.conn, self.schema)
            if not self._is_next(self.conn, step):
                return False
            session.require_rights(self.conn, self.schema)
            _run(self.conn, session.make_schema(self.schema, self.lock_timeout))
            if step.needs:
                _run(self.conn, [compatibility.hold_newcomers(self.schema)])
                if not self.force:
                    compatibility.require_no_older_workers(self.conn, self.schema, step)
            self._upgrade(step)
        return True

    def _concurrently(self, step: Revision) -> bool:
        """The lock of the migrators is held by a connection of its own: what is built commits in between."""
        with session.another(self.dsn) as holder:
            session.wait_turn(holder, self.schema)
            if not self._is_next(holder, step):
                return False
            session.require_rights(holder, self.schema)
            session.drop_snapshot(holder)
            with _in_psycopgs_words():
                self._upgrade(step)
        return True

    def _is_next(self, conn: session.Connection, step: Revision) -> bool:
        return following(session.read_revision(conn, self.schema), self.schema)[:1] == (step.id,)

    def _upgrade(self, step: Revision) -> None:
        with _command(self.schema, connection=self.alchemy, tell=self.tell) as (command, config):
            command.upgrade(config, step.id)


def upgrade(
    dsn: str,
    schema: str = DEFAULT,
    *,
    lock_timeout: timedelta = LOCK_TIMEOUT,
    tries: int = TRIES,
    force: bool = False,
    tell: Callable[[str], None] = _log.warning,
) -> list[Revision]:
    """Bring the schema to the newest revision and return those that this call applied, oldest first.

    Each revision commits by itself, so that a call that was interrupted is made good by the next. Safe to run any
    number of times at once: one works, the others wait for it. `tell` hears what it waits for; `force` applies what
    living workers of older versions cannot survive.
    Raises: DatabaseUnavailable (not reached, or a lock not had in `tries`), ConfigError (a privilege is missing; says
    which), NotSupported (the schema or the server is not one that this version knows; workers that are too old live).
    """
    applied: list[Revision] = []
    with session.session(dsn, schema) as conn:
        if not (missing := following(session.read_revision(conn, schema), schema)):
            return applied
        conn.rollback()
        session.require_primary(conn)
        with _alchemy(conn) as alchemy:
            turn = Turn(dsn, schema, conn, alchemy, lock_timeout, force=force, tell=tell)
            while missing:
                step = describe(missing[0])
                if _patiently(partial(turn.apply, step), turn, tries):
                    applied.append(step)
                    _log.info("schema migrated", extra={"schema": schema, "revision": step.id})
                missing = following(session.read_revision(conn, schema), schema)
                conn.rollback()
    return applied


def downgrade(dsn: str, schema: str, revision: str) -> None:
    """Go back to a revision, or to `base`: for tests and for those who know what they lose. One transaction."""
    with session.session(dsn, schema) as conn, _alchemy(conn) as alchemy, _in_psycopgs_words(), alchemy.begin():
        session.wait_turn(conn, schema)
        following(session.read_revision(conn, schema), schema)
        with _command(schema, connection=alchemy) as (command, config):
            command.downgrade(config, revision)
        if revision == BASE:
            _run(conn, session.drop_schema(schema))


def plan(dsn: str, schema: str = DEFAULT) -> list[Revision]:
    """Return the revisions that `upgrade` would apply now, oldest first."""
    return [describe(revision) for revision in following(session.current(dsn, schema), schema)]


def hindrances(dsn: str, schema: str, revisions: Sequence[Revision]) -> list[str]:
    """Return, for each revision, the living workers that could not survive it in words, "" if there are none."""
    if not any(step.needs for step in revisions):
        return [""] * len(revisions)
    with session.session(dsn, schema) as conn:
        older = [compatibility.older_workers(conn, schema, step.needs) if step.needs else [] for step in revisions]
    return [compatibility.told(workers) if workers else "" for workers in older]


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


def _patiently(step: Callable[[], bool], turn: Turn, tries: int) -> bool:
    """Run a step until it has its locks: between tries those who queued behind it go first."""
    for failures in range(1, tries):
        try:
            return step()
        except _AGAIN as error:
            why = "a deadlock" if isinstance(error, errors.DeadlockDetected) else "a lock that another session holds"
            turn.conn.rollback()
            who = session.oldest_transaction(turn.conn)
            turn.tell(f"met {why}; {who}; trying again ({failures + 1} of {tries})")
            time.sleep(min(0.2 * 2**failures, 5) * random.uniform(0.5, 1))  # noqa: S311 - not a secret
    return step()


def _run(conn: session.Connection, statements: list[str]) -> None:
    for statement in statements:
        conn.execute(statement.encode())


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
