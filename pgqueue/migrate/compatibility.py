"""Which versions of pgqueue may work on a schema: what the schema says, and who is alive.

A revision that takes away what older versions use names the oldest version that can go on (`needs`). It is refused
while older workers are alive, and writes that version into the table `compatibility`; from then on `register_worker`
refuses older ones, and those that know of the table (0.2.0 and later) do not even start. The look at the living and the
write belong to one transaction, which holds the table of workers against newcomers: whoever registers before is seen,
whoever comes after sees what was written (I12).
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from pgqueue.errors import NotSupported, VersionTooOld
from pgqueue.migrate.revisions import FIRST_VERSION, Revision
from pgqueue.schema import identifier, literal
from pgqueue.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMED = 5  # so many workers are named in a message
_NUMBERS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})*")

_COLUMN = """
select 1 from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = %s and c.relname = %s and a.attname = %s and not a.attisdropped"""
_LIVING = sql.SQL("""
select host, pid, {version} from {table}
where lost_at is null and heartbeat_at + lease >= pg_catalog.clock_timestamp() order by host, pid""")


@dataclass(frozen=True, slots=True)
class LivingWorker:
    """A worker process with a heartbeat; the version is FIRST_VERSION when it did not say."""

    host: str
    pid: int
    version: str


def parts(version: str) -> tuple[int, ...]:
    """The three numbers to compare by; 0.2.0.dev0 is 0.2.0, what is no version is older than all."""
    found = _NUMBERS.match(version)
    numbers = [int(number) for number in found[0].split(".")] if found else []
    return tuple([*numbers, 0, 0, 0][:3])


def require_served(conn: psycopg.Connection[object], schema: str) -> None:
    """Raise VersionTooOld if a newer schema says that this version cannot work on it."""
    if not _has(conn, schema, "compatibility", "oldest_client"):
        return
    with conn.cursor(row_factory=tuple_row) as cur:
        query = sql.SQL("select oldest_client from {}").format(sql.Identifier(schema, "compatibility"))
        row = cur.execute(query).fetchone()
    if row is not None and parts(VERSION) < parts(row[0]):
        raise VersionTooOld(
            f'schema "{schema}" needs pgqueue {row[0]} or later, this is {VERSION}: install a version that it supports'
        )


def older_workers(conn: psycopg.Connection[object], schema: str, needs: str) -> "Sequence[LivingWorker]":
    """Return the living workers that are older than this version."""
    if not _has(conn, schema, "worker_processes", "heartbeat_at"):
        return []
    said = _has(conn, schema, "worker_processes", "version")
    query = _LIVING.format(
        version=sql.SQL("version" if said else "null"), table=sql.Identifier(schema, "worker_processes")
    )
    with conn.cursor(row_factory=tuple_row) as cur:
        living = [LivingWorker(host, pid, version or FIRST_VERSION) for host, pid, version in cur.execute(query)]
    return [worker for worker in living if parts(worker.version) < parts(needs)]


def require_no_older_workers(conn: psycopg.Connection[object], schema: str, revision: Revision) -> None:
    """Raise NotSupported if workers are alive that could not survive this revision."""
    if revision.needs is None:
        return
    if older := older_workers(conn, schema, revision.needs):
        raise NotSupported(
            f'schema "{schema}": revision {revision.id} needs workers of pgqueue {revision.needs} or later, and '
            f"{told(older)}: replace them first, or say --force if they may fail"
        )


def hold_newcomers(schema: str) -> str:
    """Return the statement that lets no worker register until the transaction ends. Heartbeats wait for it, too."""
    return f"lock table {identifier(schema)}.worker_processes in share row exclusive mode;"


def support(schema: str, version: str) -> str:
    """Return the statement that writes down the oldest version that can work on the schema."""
    table = f"{identifier(schema)}.compatibility"
    return f"update {table} set oldest_client = {literal(version)};"  # noqa: S608 # nosec B608 # both are quoted


def told(workers: "Sequence[LivingWorker]") -> str:
    """Name workers in a message."""
    count = "one that is older is" if len(workers) == 1 else f"{len(workers)} that are older are"
    named = ", ".join(f"pid {worker.pid} on {worker.host} ({worker.version})" for worker in workers[:NAMED])
    more = f" and {len(workers) - NAMED} more" if len(workers) > NAMED else ""
    return f"{count} alive: {named}{more}"


def _has(conn: psycopg.Connection[object], schema: str, table: str, column: str) -> bool:
    """Ask the catalogue: an error would end the caller's transaction."""
    with conn.cursor(row_factory=tuple_row) as cur:
        return cur.execute(_COLUMN, [schema, table, column]).fetchone() is not None
