"""What cannot be migrated says why, and what to do."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgqueue import migrate
from pgqueue.errors import ConfigError, DatabaseUnavailable, NotSupported
from pgqueue.migrate.revisions import known


@pytest.fixture
def limited_dsn(empty_dsn: str) -> Iterator[str]:
    """The empty database as a role that may connect and nothing else."""
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        role = f"limited_{conn.info.dbname}"[:63]
        conn.execute(f'create role "{role}" login')
        try:
            yield make_conninfo(empty_dsn, user=role)
        finally:
            conn.execute(f'drop owned by "{role}" cascade; drop role "{role}"')


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    for call in (migrate.upgrade, migrate.plan, migrate.current, migrate.pending):
        with pytest.raises(DatabaseUnavailable):
            call(f"host={tmp_path} connect_timeout=2")


def test_a_dsn_that_is_none_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        migrate.upgrade("host=x password=open sesame")

    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_schema_that_cannot_be(empty_dsn: str) -> None:
    for name in ("", "x" * 64, "nul\x00", "pg_mine"):
        with pytest.raises(ConfigError, match="schema"):
            migrate.upgrade(empty_dsn, name)
        with pytest.raises(ConfigError, match="schema"):
            migrate.offline_sql(name)


def test_a_schema_of_a_newer_pgqueue(empty_dsn: str) -> None:
    migrate.upgrade(empty_dsn)
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("update pgqueue.alembic_version set version_num = '9999_later'")

    for call in (migrate.upgrade, migrate.plan):
        with pytest.raises(NotSupported, match=r"9999_later is not known.*newer pgqueue"):
            call(empty_dsn)
    with pytest.raises(NotSupported, match="newer pgqueue"):
        migrate.downgrade(empty_dsn, "pgqueue", "base")
    assert not migrate.pending(empty_dsn), "workers of the previous release go on"


def test_a_role_that_may_not_make_a_schema_is_told_the_grant(limited_dsn: str, empty_dsn: str) -> None:
    with pytest.raises(ConfigError, match=r'lacks the privilege CREATE on database.*grant create on database "'):
        migrate.upgrade(limited_dsn)

    _as_told(limited_dsn, empty_dsn)
    assert [revision.id for revision in migrate.upgrade(limited_dsn)] == list(known())


def test_a_role_that_may_not_create_in_the_schema_is_told_the_grant(limited_dsn: str, empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("create schema pgqueue")

    with pytest.raises(ConfigError, match='lacks the privileges USAGE and CREATE on schema "pgqueue"'):
        migrate.upgrade(limited_dsn)

    _as_told(limited_dsn, empty_dsn)
    assert [revision.id for revision in migrate.upgrade(limited_dsn)] == list(known())


def test_a_role_that_does_not_own_the_tables_is_told_so(limited_dsn: str, empty_dsn: str) -> None:
    migrate.upgrade(empty_dsn)

    for call in (migrate.current, migrate.pending, migrate.upgrade):
        with pytest.raises(ConfigError, match=r"permission denied for .*: use the role that owns"):
            call(limited_dsn)
    with psycopg.connect(limited_dsn) as conn, pytest.raises(ConfigError, match="permission denied"):
        migrate.pending(conn)


def test_a_failed_revision_leaves_nothing_behind(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("create schema pgqueue; create table pgqueue.settings ()")

    with pytest.raises(psycopg.errors.DuplicateTable) as caught:
        migrate.upgrade(empty_dsn)

    assert any("0001_initial.up.sql, line" in note for note in caught.value.__notes__)
    assert migrate.current(empty_dsn) is None
    assert migrate.pending(empty_dsn)


def test_looking_does_not_break_the_callers_transaction(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("create temp table mine as select 1 as x")

        assert migrate.pending(conn)
        assert conn.execute("select x from mine").fetchone() == (1,)


def test_the_plan_names_what_is_missing(empty_dsn: str) -> None:
    planned = migrate.plan(empty_dsn)
    migrate.upgrade(empty_dsn)

    assert [revision.id for revision in planned] == list(known())
    assert planned[0].title == "The tables, functions and views of a durable queue"
    assert planned[0].may_lock is False
    assert migrate.plan(empty_dsn) == []


def test_every_form_of_dsn_is_libpqs(empty_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = conninfo_to_dict(empty_dsn)
    host, port, dbname = parts["host"], parts.get("port", 5432), parts["dbname"]
    user = parts.get("user", "")
    services = tmp_path / "services.conf"
    services.write_text(f"[queue]\nhost={host}\nport={port}\ndbname={dbname}\nuser={user}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    quoted = str(host).replace("/", "%2F")
    forms = [
        "service=queue",
        f"postgresql://{user}@{quoted}:{port}/{dbname}",
        f"host={tmp_path},{host} port=1,{port} dbname={dbname} user={user} target_session_attrs=read-write",
    ]

    for number, form in enumerate(forms):
        migrate.upgrade(form, f"form_{number}")

    assert [migrate.pending(form, f"form_{number}") for number, form in enumerate(forms)] == [False] * 3


def test_nothing_is_printed(
    empty_dsn: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        migrate.upgrade(empty_dsn)
        migrate.offline_sql()

    assert capfd.readouterr() == ("", "")
    assert {record.name.split(".")[0] for record in caplog.records} == {"pgqueue"}


def test_looking_needs_no_alembic(dsn: str) -> None:
    code = f"""
import sys
from pgqueue import migrate
assert not migrate.pending({dsn!r}) and not migrate.plan({dsn!r}) and not migrate.upgrade({dsn!r})
print(sorted({{"alembic", "sqlalchemy"}} & set(sys.modules)))
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())

    assert done.stdout == "[]\n"


def _as_told(limited_dsn: str, empty_dsn: str) -> None:
    """Run the grant that the message of the error names."""
    with pytest.raises(ConfigError) as caught:
        migrate.upgrade(limited_dsn)
    told = str(caught.value).partition(": grant ")[2].partition("; or ")[0]
    with psycopg.connect(empty_dsn) as conn:
        conn.execute(f"grant {told}")
