"""Migrators that meet: of several at once one works and all succeed; somebody else's locks are waited for in turns."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from pgqueue import migrate
from pgqueue.errors import DatabaseUnavailable
from pgqueue.migrate import session
from pgqueue.migrate.revisions import BASE, known
from tests.migrations.catalogue import snapshot
from tests.support.waiting import wait_until

SOON = timedelta(milliseconds=100)


@pytest.mark.parametrize("made_before", [False, True])
def test_four_migrators_at_once_apply_each_revision_once(empty_dsn: str, made_before: bool) -> None:
    if made_before:
        with psycopg.connect(empty_dsn) as conn:
            conn.execute("create schema pgqueue")
    start = threading.Barrier(4)

    def run(_: int) -> list[str]:
        start.wait()
        return [revision.id for revision in migrate.upgrade(empty_dsn)]

    with ThreadPoolExecutor(4) as pool:
        applied = [revision for done in pool.map(run, range(4)) for revision in done]

    assert sorted(applied) == list(known())
    assert not migrate.pending(empty_dsn)


def test_migrators_of_different_schemas_do_not_wait_for_each_other(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as conn:
        for statement in session.take_turn("one"):
            conn.execute(statement.encode())

        applied = migrate.upgrade(empty_dsn, "two")

    assert [revision.id for revision in applied] == list(known())


def test_threads_of_one_process_migrate_their_own_schemas_at_once(empty_dsn: str) -> None:
    schemas = [f"tenant_{number}" for number in range(8)]
    start = threading.Barrier(4)

    def run(schema: str) -> list[str]:
        start.wait()
        return [revision.id for revision in migrate.upgrade(empty_dsn, schema)]

    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(run, schemas))

    assert applied == [list(known())] * 8
    assert all(snapshot(empty_dsn, schema) == snapshot(empty_dsn, schemas[0]) for schema in schemas)


def test_a_migrator_that_waited_sees_what_the_winner_did(empty_dsn: str) -> None:
    """Also where transactions are serializable by default: its snapshot must be younger than its turn."""
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        database = conn.info.dbname
        conn.execute(f'alter database "{database}" set default_transaction_isolation = serializable')
        conn.execute(f'alter database "{database}" set default_transaction_read_only = on')
        with ThreadPoolExecutor(2) as pool:
            applied = list(pool.map(lambda _: migrate.upgrade(empty_dsn), range(2)))

    assert sorted(revision.id for done in applied for revision in done) == list(known())


def test_a_lock_that_is_held_for_a_while_is_waited_for(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("create schema pgqueue")
        conn.execute("create table pgqueue.alembic_version (version_num varchar(32) primary key)")
        conn.commit()
        conn.execute("lock table pgqueue.alembic_version in share mode")

        with ThreadPoolExecutor(1) as pool:
            migrating = pool.submit(migrate.upgrade, empty_dsn, lock_timeout=SOON)
            _wait_for_a_waiter(empty_dsn)
            conn.rollback()
            applied = migrating.result(timeout=30)

    assert [revision.id for revision in applied] == list(known())


def test_of_a_migration_and_a_worker_that_wait_for_one_another_the_migration_gives_way(empty_dsn: str) -> None:
    """Whatever their order of locks: the worker's statement succeeds."""
    migrate.upgrade(empty_dsn)
    migrate.downgrade(empty_dsn, "pgqueue", "0001_initial")
    with psycopg.connect(empty_dsn) as worker, ThreadPoolExecutor(1) as pool:
        worker.execute("select from pgqueue.worker_processes for update")
        told: list[str] = []
        migrating = pool.submit(migrate.upgrade, empty_dsn, tell=told.append)
        _wait_for_a_waiter(empty_dsn)
        time.sleep(1.2)  # the migration has looked for a deadlock by then: now the worker would see it

        worker.execute("lock table pgqueue.dead_jobs in row exclusive mode")
        worker.commit()

        applied = migrating.result(timeout=30)
    assert [revision.id for revision in applied] == ["0002_hardening"]
    assert "a lock that another session holds" in told[0]


def test_a_lock_that_is_never_given_up_is_an_error_and_changes_nothing(empty_dsn: str) -> None:
    migrate.upgrade(empty_dsn)
    migrate.downgrade(empty_dsn, "pgqueue", BASE)
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("create schema pgqueue")
        conn.execute("create table pgqueue.alembic_version (version_num varchar(32) primary key)")
        conn.commit()
        before = snapshot(empty_dsn)
        conn.execute("lock table pgqueue.alembic_version in share mode")

        with pytest.raises(DatabaseUnavailable, match="another session holds a lock"):
            migrate.upgrade(empty_dsn, lock_timeout=SOON, tries=2)

    assert snapshot(empty_dsn) == before


def test_nothing_stays_locked_afterwards(empty_dsn: str) -> None:
    migrate.upgrade(empty_dsn)

    with psycopg.connect(empty_dsn) as conn:
        held = conn.execute(
            "select count(*) from pg_locks where locktype = 'advisory' and database = "
            "(select oid from pg_database where datname = current_database())"
        ).fetchone()

    assert held == (0,)


def _wait_for_a_waiter(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        wait_until(lambda: conn.execute("select 1 from pg_locks where not granted").fetchone())
