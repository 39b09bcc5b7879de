"""The schema is what the revisions say, by whichever road one comes to it."""

import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from migrations import freeze
from pgqueue import migrate
from pgqueue.embedded.binaries import find
from pgqueue.errors import ConfigError
from pgqueue.migrate.revisions import BASE, directory, known
from tests.migrations.catalogue import snapshot

ODD_NAMES = [
    "tenant_1",
    "Tenant",
    "two words",
    'quo"ted',
    "it's",
    "100%",
    "%s %(x)s",
    ":name",
    "a.b",
    "back\\slash",
    "a$$b",
    "ü",
    "select",
]


def test_the_schema_that_a_migration_makes_can_be_described(empty_dsn: str) -> None:
    applied = migrate.upgrade(empty_dsn)

    assert [revision.id for revision in applied] == list(known())
    assert migrate.current(empty_dsn) == migrate.head()
    assert len(snapshot(empty_dsn)) > 100


def test_going_down_and_up_again_changes_nothing(empty_dsn: str) -> None:
    migrate.upgrade(empty_dsn)
    before = snapshot(empty_dsn)

    migrate.downgrade(empty_dsn, "pgqueue", BASE)
    between = _schemas(empty_dsn)
    migrate.upgrade(empty_dsn)

    assert "pgqueue" not in between
    assert snapshot(empty_dsn) == before


def test_each_revision_can_be_taken_back_alone(empty_dsn: str) -> None:
    revisions = [BASE, *known()]
    states = {BASE: snapshot(empty_dsn)}
    migrate.upgrade(empty_dsn)

    for revision in reversed(revisions[:-1]):
        migrate.downgrade(empty_dsn, "pgqueue", revision)
        states[revision] = snapshot(empty_dsn)

    assert states[BASE] == []


def test_a_schema_that_holds_something_else_survives_the_way_down(empty_dsn: str) -> None:
    migrate.upgrade(empty_dsn)
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("create table pgqueue.of_somebody_else ()")

    migrate.downgrade(empty_dsn, "pgqueue", BASE)

    assert next(line for line in snapshot(empty_dsn) if line.startswith("relations:")).startswith(
        "relations: of_somebody_else"
    )


def test_a_schema_that_somebody_made_for_us_survives_the_way_down(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("create schema pgqueue")

    migrate.upgrade(empty_dsn)
    migrate.downgrade(empty_dsn, "pgqueue", BASE)

    assert "pgqueue" in _schemas(empty_dsn)


@pytest.mark.parametrize("schema", ["pgqueue", "it's 100% :odd"])
def test_the_written_out_sql_makes_the_same_schema(empty_dsn: str, schema: str) -> None:
    migrate.upgrade(empty_dsn, schema)
    online = snapshot(empty_dsn, schema)
    migrate.downgrade(empty_dsn, schema, BASE)

    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute(migrate.offline_sql(schema).encode())

    assert snapshot(empty_dsn, schema) == online
    assert not migrate.pending(empty_dsn, schema)


def test_psql_runs_the_written_out_sql(empty_dsn: str, tmp_path: Path) -> None:
    psql = _program("psql")
    script = tmp_path / "migrate.sql"
    script.write_text(migrate.offline_sql(), encoding="utf-8")

    command = [psql, "-X", "-v", "ON_ERROR_STOP=1", "-d", empty_dsn, "-f", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    assert "WARNING" not in done.stderr
    assert not migrate.pending(empty_dsn)


def test_the_written_out_sql_can_start_later(empty_dsn: str) -> None:
    assert migrate.offline_sql(start=migrate.head()) == ""


@pytest.mark.parametrize("schema", ODD_NAMES)
def test_a_schema_of_any_name_is_the_same_schema(empty_dsn: str, schema: str) -> None:
    migrate.upgrade(empty_dsn)

    migrate.upgrade(empty_dsn, schema)

    assert snapshot(empty_dsn, schema) == snapshot(empty_dsn)


def test_two_schemas_in_one_database_come_and_go_by_themselves(empty_dsn: str) -> None:
    migrate.upgrade(empty_dsn, "one")
    before = snapshot(empty_dsn, "one")

    assert migrate.pending(empty_dsn, "two")
    migrate.upgrade(empty_dsn, "two")
    migrate.downgrade(empty_dsn, "two", BASE)

    assert snapshot(empty_dsn, "one") == before
    assert migrate.pending(empty_dsn, "two")


def test_the_living_functions_are_those_of_the_database(dsn: str) -> None:
    """Proven by the database: the living text, replayed over the head, changes no definition, and leaves none out."""
    before = snapshot(dsn)
    living = freeze.living_functions()

    with psycopg.connect(dsn) as conn:
        for text in living.values():
            conn.execute(_replacing(text).encode())
        names = conn.execute(
            "select 'pgqueue.' || proname from pg_proc where pronamespace = 'pgqueue'::regnamespace union all "
            "select 'pgqueue.' || relname from pg_class where relnamespace = 'pgqueue'::regnamespace and relkind = 'v'"
        ).fetchall()

    assert snapshot(dsn) == before
    written = [name for text in living.values() for name in freeze.created(text)]
    assert sorted(name for (name,) in names) == sorted(written)


def test_the_frozen_text_is_what_freezing_gives(tmp_path: Path) -> None:
    copy = tmp_path / "migrations"
    shutil.copytree(directory(), copy)

    freeze.freeze(migrate.head(), copy)

    for file in (f"versions/{migrate.head()}.up.sql", f"versions/{migrate.head()}.down.sql"):
        assert (copy / file).read_text() == (directory() / file).read_text(), "run `migrations/freeze.py REVISION`"


def test_the_golden_dump_is_the_sum_of_the_revisions(dsn: str) -> None:
    with psycopg.connect(dsn) as conn:
        major = conn.info.server_version // 10000
    if major != 18:
        pytest.skip(f"schema.sql is worded by PostgreSQL 18, the server is {major}")
    _program("pg_dump")

    golden = (directory() / "schema.sql").read_text(encoding="utf-8")

    assert freeze.dump(dsn) == golden, "run `python migrations/freeze.py --dump`"


def test_no_function_looks_anything_up_in_a_search_path(dsn: str) -> None:
    """Applications have their own search_path; nothing of ours may depend on it, nor be shadowed by it."""
    sources = "".join(freeze.living_functions().values())

    assert not re.search(r"search_path\s*(=|to)(?!\s*(''|pg_catalog))", sources)


def _replacing(text: str) -> str:
    return re.sub(r"\bcreate (?=function|view|procedure)", "create or replace ", text)


def _schemas(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as conn:
        return [name for (name,) in conn.execute("select nspname from pg_namespace where nspname !~ '^pg_'")]


def _program(name: str) -> str:
    try:
        program = find().bin / name
    except ConfigError as error:
        pytest.skip(str(error))
    if not program.exists():
        pytest.skip(f"{program} does not exist")
    return str(program)
