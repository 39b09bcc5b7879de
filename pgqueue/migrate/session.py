"""The database as a migration meets it: the connection, the lock of the migrators, the revision it is at, its refusals.

Everything runs on one connection in ordinary transactions, with no session state, so that a pooler in between does no
harm. Each step takes one transaction advisory lock, derived from the schema's name, before it looks at anything.
"""

import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import psycopg
from psycopg import errors, sql
from psycopg.rows import tuple_row

from pgqueue.errors import ConfigError, DatabaseUnavailable, NotSupported
from pgqueue.migrate.compatibility import require_served
from pgqueue.migrate.revisions import following, known
from pgqueue.schema import DEFAULT, identifier, literal, valid_schema

Connection = psycopg.Connection[tuple[object, ...]]
OLDEST_SERVER = 150000
MADE_BY_US = "made by pgqueue"
# One try's wait for the other migrators; all tries together are longer than a migration that is well.
TURN_TIMEOUT = timedelta(minutes=1)

_VERSION_TABLE = """
select 1 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = %s and c.relname = 'alembic_version'"""
_RIGHTS = """
select current_user, pg_catalog.current_database(),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create'),
       (select pg_catalog.has_schema_privilege(oid, 'usage') and pg_catalog.has_schema_privilege(oid, 'create')
        from pg_catalog.pg_namespace where nspname = %s)"""

_OLDEST = """
select pid, application_name, extract(epoch from pg_catalog.clock_timestamp() - xact_start)::int
from pg_catalog.pg_stat_activity
where datname = pg_catalog.current_database() and pid <> pg_catalog.pg_backend_pid() and xact_start is not null
order by xact_start limit 1"""


@contextmanager
def session(dsn: str, schema: str) -> Iterator[Connection]:
    """Connect, and speak of the database's refusals in our own errors."""
    valid_schema(schema)
    with _explained(schema), closing(_connect(dsn)) as conn:
        if conn.info.server_version < OLDEST_SERVER:
            raise NotSupported(f"PostgreSQL 15 or later is needed, the server is {conn.info.server_version // 10000}")
        yield conn


def another(dsn: str) -> "closing[Connection]":
    """Connect once more, inside of a session: closed at the end of its block."""
    return closing(_connect(dsn))


def current(dsn: str, schema: str = DEFAULT) -> str | None:
    """Return the revision that the database is at, None if it has not been migrated."""
    with session(dsn, schema) as conn:
        return read_revision(conn, schema)


def pending(conn_or_dsn: psycopg.Connection[object] | str, schema: str = DEFAULT) -> bool:
    """Tell whether the schema lacks a revision known here: two quick reads, no alembic.

    A schema that is newer than this pgqueue is not pending: workers of the previous release go on working on it.
    Raises VersionTooOld when it says that they no longer can.
    """
    if isinstance(conn_or_dsn, str):
        with session(conn_or_dsn, schema) as conn:
            return pending(conn, schema)
    with _explained(schema):
        revision = read_revision(conn_or_dsn, schema)
    if revision is None or revision in known():
        return bool(following(revision, schema))
    with _explained(schema):
        require_served(conn_or_dsn, schema)
    return False


def read_revision(conn: psycopg.Connection[object], schema: str) -> str | None:
    """Read the schema's revision. It asks the catalogue first: an error would end the caller's transaction."""
    with conn.cursor(row_factory=tuple_row) as cur:
        if cur.execute(_VERSION_TABLE, [schema]).fetchone() is None:
            return None
        row = cur.execute(
            sql.SQL("select version_num from {}.alembic_version").format(sql.Identifier(schema))
        ).fetchone()
    return None if row is None else str(row[0])


def opening() -> list[str]:
    """Return the statements that open a migration's transaction."""
    return [
        "set transaction isolation level read committed, read write;",  # what the winner did must be seen afterwards
        "set local statement_timeout = 0;",
        "set local idle_in_transaction_session_timeout = 0;",
        "set local client_min_messages = warning;",
        "set local search_path = pg_catalog, pg_temp;",
    ]


def take_turn(schema: str) -> list[str]:
    """Return the statements that open a transaction and wait for the other migrators of this schema: for a script."""
    return [
        *opening(),
        f"set local lock_timeout = {_milliseconds(TURN_TIMEOUT)};",
        f"do $$ begin perform pg_catalog.pg_advisory_xact_lock({_lock_key(schema)}); end $$;",
    ]


def wait_turn(conn: Connection, schema: str) -> None:
    """Open a transaction and wait for the other migrators of this schema. Raises LockNotAvailable after TURN_TIMEOUT.

    It looks again and again instead of queueing: who waits inside a statement holds a snapshot, and an index that
    another migrator builds concurrently waits for all snapshots, so the two would wait for each other.
    """
    for statement in opening():
        conn.execute(statement.encode())
    deadline = time.monotonic() + TURN_TIMEOUT.total_seconds()
    attempt = f"select pg_catalog.pg_try_advisory_xact_lock({_lock_key(schema)})"  # with parameters: see drop_snapshot
    while conn.execute(attempt.encode()).fetchone() != (True,):
        if time.monotonic() > deadline:
            raise errors.LockNotAvailable("another migration of this schema goes on")
        time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 - not a secret


def make_schema(schema: str, lock_timeout: timedelta) -> list[str]:
    """Return the statements that bound each further wait for a lock and make the schema, if nobody has."""
    make = f"create schema {identifier(schema)}; comment on schema {identifier(schema)} is '{MADE_BY_US}';"
    exists = f"exists (select from pg_catalog.pg_namespace where nspname = {literal(schema)})"  # nosec B608 # quoted
    return [
        f"set local lock_timeout = {_milliseconds(lock_timeout)};",
        _block(f"if not {exists} then {make} end if;"),
    ]


def drop_schema(schema: str) -> list[str]:
    """Return the statements that end a schema after its first revision: dropped only if it is empty and made by us."""
    ours = (
        f"exists (select from pg_catalog.pg_namespace where nspname = {literal(schema)} "  # nosec B608 # quoted
        f"and pg_catalog.obj_description(oid, 'pg_namespace') = '{MADE_BY_US}')"
    )
    drop = f"begin drop schema {identifier(schema)}; exception when dependent_objects_still_exist then null; end;"
    return [f"drop table {identifier(schema)}.alembic_version;", _block(f"if {ours} then {drop} end if;")]


def drop_snapshot(conn: Connection) -> None:
    """Let an open transaction hold no snapshot: that of a query with parameters stays until the next query."""
    conn.execute(b"select")


def oldest_transaction(conn: Connection) -> str:
    """Name the transaction of this database that has been open for the longest time: who one probably waits for."""
    row = conn.execute(_OLDEST).fetchone()
    conn.rollback()
    if row is None:
        return "no other transaction is open now"
    pid, name, seconds = row
    return f"the oldest open transaction is that of pid {pid} ({name or 'no application_name'}), since {seconds} s"


def require_primary(conn: Connection) -> None:
    """Raise DatabaseUnavailable on a standby, as far as the server (or the pooler before it) tells."""
    if conn.info.parameter_status("in_hot_standby") == "on":
        raise DatabaseUnavailable("the server is a standby: migrate the primary (target_session_attrs=read-write)")


def unused_tag(text: str) -> str:
    """Return a dollar quote that does not occur in the text."""
    tag = "$pgq$"
    while tag in text:
        tag = f"${tag[1:-1]}_$"
    return tag


def require_rights(conn: Connection, schema: str) -> None:
    """Raise ConfigError, with the grant that helps, if the role may not create in the schema (or the schema itself)."""
    row = conn.execute(_RIGHTS, [schema]).fetchone()
    if row is None:
        raise DatabaseUnavailable("the server did not answer a query of its catalogue")
    role, database, may_create_schema, may_use_schema = row
    if may_use_schema is None and not may_create_schema:
        raise ConfigError(
            f'role "{role}" lacks the privilege CREATE on database "{database}", so it cannot make schema "{schema}": '
            f"grant create on database {identifier(str(database))} to {identifier(str(role))}; or have its owner run: "
            f"create schema {identifier(schema)} authorization {identifier(str(role))}"
        )
    if may_use_schema is False:
        raise ConfigError(
            f'role "{role}" lacks the privileges USAGE and CREATE on schema "{schema}": '
            f"grant usage, create on schema {identifier(schema)} to {identifier(str(role))}"
        )


def _connect(dsn: str) -> Connection:
    try:
        return psycopg.connect(dsn, prepare_threshold=None, fallback_application_name="pgq migrate")
    except psycopg.ProgrammingError:  # its message repeats parts of the DSN, and a password may be among them
        raise ConfigError("the DSN is neither a libpq connection string nor a postgresql:// URL") from None


@contextmanager
def _explained(schema: str) -> Iterator[None]:
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise ConfigError(
            f'schema "{schema}": {error.diag.message_primary}: use the role that owns the schema and its tables, '
            f"or have it grant what is missing"
        ) from error
    except errors.ReadOnlySqlTransaction as error:
        raise DatabaseUnavailable(
            f"the server takes no writes ({error.diag.message_primary}): use the primary"
        ) from error
    except errors.LockNotAvailable as error:
        raise DatabaseUnavailable(
            f'schema "{schema}": another session holds a lock that the migration needs (a long transaction, a dump, '
            f"another migration): nothing of this step was done; run `pgq migrate` again when it has ended"
        ) from error
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(str(error).strip()) from error


def _block(body: str) -> str:
    tag = unused_tag(body)
    return f"do {tag} begin {body} end {tag};"


def _lock_key(schema: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"pgqueue migrate {schema}".encode(), digest_size=8).digest(), signed=True)


def _milliseconds(time: timedelta) -> int:
    return max(1, round(time / timedelta(milliseconds=1)))
