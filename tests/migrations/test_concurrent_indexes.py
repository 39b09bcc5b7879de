"""Indexes that are built while the queue is used: passed over, cleaned up, built again, one migrator at a time."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from migrations import freeze
from pgqueue import migrate
from pgqueue.migrate import concurrent
from tests.migrations.conftest import NewRevision
from tests.support.waiting import wait_until

ONE = "create index concurrently queued_jobs_one on pgqueue.queued_jobs (task);"
TWO = "create unique index concurrently dead_jobs_two on pgqueue.dead_jobs (task);"
BOTH = f"-- It's two; with a comment;\n{ONE}\n\n{TWO}\n"
DOWN = "drop index if exists pgqueue.queued_jobs_one;\ndrop index if exists pgqueue.dead_jobs_two;\n"


def test_a_revision_that_builds_concurrently_goes_up_and_down(dsn: str, new_revision: NewRevision) -> None:
    before = migrate.head()
    name = new_revision(BOTH, DOWN, concurrently=True, may_lock=False)

    assert [step.id for step in migrate.upgrade(dsn)] == [name]
    assert _indexes(dsn) == {"queued_jobs_one": True, "dead_jobs_two": True}
    migrate.downgrade(dsn, "pgqueue", before)
    assert _indexes(dsn) == {}
    assert migrate.current(dsn) == before


def test_a_build_waits_for_nobody_who_only_works(dsn: str, new_revision: NewRevision) -> None:
    """An enqueue that came first is waited for; one that comes while it waits is not held up."""
    new_revision(ONE, concurrently=True)

    with psycopg.connect(dsn) as old, ThreadPoolExecutor(1) as pool:
        old.execute("select pgqueue.enqueue('old')")
        building = pool.submit(migrate.upgrade, dsn)
        _wait_for_a_build(dsn)
        with psycopg.connect(dsn, autocommit=True) as young:
            young.execute("set lock_timeout = '1s'")
            young.execute("select pgqueue.enqueue('young')")
        old.commit()
        building.result(timeout=30)

    assert _indexes(dsn) == {"queued_jobs_one": True}


def test_four_migrators_build_it_once(dsn: str, new_revision: NewRevision) -> None:
    """Those who wait for their turn must not hold a snapshot, for which the build would wait."""
    name = new_revision(BOTH, concurrently=True)
    start = threading.Barrier(4)

    def run(_: int) -> list[str]:
        start.wait()
        return [step.id for step in migrate.upgrade(dsn)]

    with ThreadPoolExecutor(4) as pool:
        applied = [step for done in pool.map(run, range(4)) for step in done]

    assert applied == [name]
    assert _indexes(dsn) == {"queued_jobs_one": True, "dead_jobs_two": True}


def test_a_failed_build_leaves_nothing_and_is_made_good_by_the_next_run(
    dsn: str, conn: "psycopg.Connection[object]", new_revision: NewRevision
) -> None:
    name = new_revision(BOTH, concurrently=True)
    conn.execute(
        "insert into pgqueue.dead_jobs select n, now(), now(), now(), null, null, current_date, 1, 0, 1, 0, null,"
        " false, 'q', 't', null, null, '{}', '[]' from generate_series(1, 2) n"
    )

    with pytest.raises(psycopg.errors.UniqueViolation):
        migrate.upgrade(dsn)
    between = _indexes(dsn)
    conn.execute("delete from pgqueue.dead_jobs where id = 2")
    applied = migrate.upgrade(dsn)

    assert between == {"queued_jobs_one": True}
    assert [step.id for step in applied] == [name]
    assert _indexes(dsn) == {"queued_jobs_one": True, "dead_jobs_two": True}


def test_a_build_that_does_not_get_its_lock_is_tried_again_and_says_so(dsn: str, new_revision: NewRevision) -> None:
    new_revision(ONE, concurrently=True)
    with _lock_timeout(dsn, "150ms"), psycopg.connect(dsn, application_name="a dump") as old:
        old.execute("select pgqueue.enqueue('old')")
        told: list[str] = []

        def hear(line: str) -> None:
            told.append(line)
            if "trying again" in line:
                old.commit()

        migrate.upgrade(dsn, tell=hear)

    assert _indexes(dsn) == {"queued_jobs_one": True}
    again = next(line for line in told if "trying again" in line)
    assert "a dump" in again
    assert "(2 of 15)" in again


def test_a_migrator_that_is_killed_while_it_builds_is_made_good_by_the_next(
    dsn: str, migrations: Path, new_revision: NewRevision
) -> None:
    name = new_revision(ONE, concurrently=True)
    script = (
        "import sys; from pathlib import Path\n"
        "from pgqueue import migrate; from pgqueue.migrate import apply, revisions\n"
        "for m in (apply, revisions): m.directory = lambda: Path(sys.argv[2])\n"
        "migrate.upgrade(sys.argv[1])\n"
    )
    with psycopg.connect(dsn) as old:
        old.execute("select pgqueue.enqueue('old')")
        migrator = subprocess.Popen([sys.executable, "-c", script, dsn, str(migrations)])
        _wait_for_a_build(dsn)
        os.kill(migrator.pid, signal.SIGKILL)
        migrator.wait()
        assert _indexes(dsn) == {"queued_jobs_one": False}
        with ThreadPoolExecutor(1) as pool:
            again = pool.submit(migrate.upgrade, dsn)
            _wait_for_a_second_in_line(dsn)
            old.commit()
            applied = again.result(timeout=30)

    assert [step.id for step in applied] == [name]
    assert _indexes(dsn) == {"queued_jobs_one": True}


def test_the_written_out_sql_builds_outside_of_a_transaction(
    dsn: str, conn: "psycopg.Connection[object]", new_revision: NewRevision
) -> None:
    before = migrate.head()
    name = new_revision(ONE, concurrently=True, needs="0.2.0")

    script = migrate.offline_sql("pgqueue", start=before)
    for statement in concurrent.statements(script):
        conn.execute(statement.encode())

    assert script.index("COMMIT;") < script.index("create index concurrently") < script.rindex("BEGIN;")
    assert _indexes(dsn) == {"queued_jobs_one": True}
    assert migrate.current(dsn) == name
    assert conn.execute("select oldest_client from pgqueue.compatibility").fetchone() == ("0.2.0",)


def test_freezing_keeps_functions_out_of_such_a_revision(migrations: Path, new_revision: NewRevision) -> None:
    name = new_revision("", concurrently=True)
    (migrations / "versions" / f"{name}.tables.sql").write_text(ONE)

    freeze.freeze(name, migrations)
    up = (migrations / "versions" / f"{name}.up.sql").read_text()
    (migrations / "functions" / "99_new.sql").write_text(
        "create function pgqueue.new() returns int language sql return 1;"
    )

    assert concurrent.statements(up) == [ONE.rstrip(";")]
    with pytest.raises(freeze.FreezeError, match="functions change in a revision of their own"):
        freeze.freeze(name, migrations)


@contextmanager
def _lock_timeout(dsn: str, timeout: str) -> Iterator[None]:
    """What a database may say about every session."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(f"alter database \"{conn.info.dbname}\" set lock_timeout = '{timeout}'")
        yield
        conn.execute(f'alter database "{conn.info.dbname}" reset lock_timeout')


def _indexes(dsn: str) -> dict[str, bool]:
    """The indexes of these tests, and whether they are valid."""
    with psycopg.connect(dsn) as conn:
        return dict(
            conn.execute(
                "select relname, indisvalid from pg_index join pg_class on oid = indexrelid "
                "where relname ~ '_(one|two)(_cc.*)?$' and relnamespace = 'pgqueue'::regnamespace"
            ).fetchall()
        )


def _wait_for_a_build(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        query = (
            "select 1 from pg_stat_progress_create_index where datname = current_database() and phase ~ '^waiting' "
            "and current_locker_pid <> 0"
        )
        wait_until(lambda: conn.execute(query).fetchone(), 20)


def _wait_for_a_second_in_line(dsn: str) -> None:
    """The one who was killed left a session that still builds; the next waits for it."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        query = "select 1 from pg_locks where not granted and relation = 'pgqueue.queued_jobs'::regclass"
        wait_until(lambda: conn.execute(query).fetchone(), 20)
