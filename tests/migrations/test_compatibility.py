"""Who may work on a schema: a revision that older workers could not survive is refused, and they are, afterwards."""

import threading
from datetime import timedelta

import psycopg
import pytest

from pgqueue import migrate
from pgqueue.errors import DatabaseUnavailable, NotSupported, VersionTooOld
from pgqueue.migrate import compatibility
from pgqueue.version import VERSION
from tests.migrations.conftest import NewRevision
from tests.support.command import pgq
from tests.support.waiting import wait_until

Conn = psycopg.Connection[tuple[object, ...]]
REGISTER = "select pgqueue.register_worker({id}, 'web1', {id}, '{{default}}', '{{}}', 1, interval '{lease}'{version})"


def _register(conn: Conn, number: int, version: str | None, lease: str = "1 minute") -> None:
    said = "" if version is None else f", '{version}'"
    conn.execute(REGISTER.format(id=number, lease=lease, version=said).encode())


def _oldest(conn: Conn) -> object:
    return (conn.execute("select oldest_client from pgqueue.compatibility").fetchone() or (None,))[0]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.1.0", (0, 1, 0)),
        ("0.2.0.dev0", (0, 2, 0)),
        ("0.2", (0, 2, 0)),
        ("1.10.3rc1", (1, 10, 3)),
        ("12.0.0.1", (12, 0, 0)),
        ("unknown", (0, 0, 0)),
        ("", (0, 0, 0)),
    ],
)
def test_versions_compare_alike_in_python_and_sql(conn: Conn, version: str, expected: tuple[int, ...]) -> None:
    assert compatibility.parts(version) == expected
    assert conn.execute("select pgqueue.version_parts(%s)", [version]).fetchone() == (list(expected),)


def test_a_version_that_was_not_said_is_the_first(conn: Conn) -> None:
    assert conn.execute("select pgqueue.version_parts(null)").fetchone() == ([0, 1, 0],)


def test_workers_say_their_version(conn: Conn) -> None:
    _register(conn, 1, None)
    _register(conn, 2, VERSION)

    assert conn.execute("select id, version from pgqueue.workers order by id").fetchall() == [(1, None), (2, VERSION)]


def test_a_contract_is_refused_while_older_workers_live(dsn: str, conn: Conn, new_revision: NewRevision) -> None:
    before = migrate.current(dsn)
    name = new_revision("drop view pgqueue.flows;", "select;", needs="0.2.0")
    _register(conn, 7, None)
    _register(conn, 8, "0.2.0.dev0")

    with pytest.raises(
        NotSupported, match=r"needs workers of pgqueue 0\.2\.0 or later.*pid 7 on web1 \(0\.1\.0\).*--force"
    ):
        migrate.upgrade(dsn)

    assert migrate.hindrances(dsn, "pgqueue", migrate.plan(dsn)) == [
        "one that is older is alive: pid 7 on web1 (0.1.0)"
    ]
    assert (migrate.current(dsn), _oldest(conn)) == (before, "0.1.0")
    assert [step.id for step in migrate.plan(dsn)] == [name]


def test_a_contract_is_applied_when_they_are_gone_and_refuses_them_afterwards(
    dsn: str, conn: Conn, new_revision: NewRevision
) -> None:
    before = migrate.head()
    new_revision("drop view pgqueue.flows;", "create view pgqueue.flows as select 1 as x;", needs="0.2.0")
    _register(conn, 1, None, lease="1 millisecond")
    _register(conn, 2, "0.2.0")
    wait_until(lambda: conn.execute("select from pgqueue.workers where id = 1 and not alive").fetchone() is not None)

    migrate.upgrade(dsn)

    assert _oldest(conn) == "0.2.0"
    for version in (None, "0.1.9"):
        with pytest.raises(psycopg.Error, match=r"cannot work on this schema, which needs 0\.2\.0 or later") as caught:
            _register(conn, 3, version)
        assert caught.value.sqlstate == "PQ006"
    _register(conn, 3, "0.2.0")
    migrate.downgrade(dsn, "pgqueue", before)
    assert _oldest(conn) == "0.1.0"
    _register(conn, 4, None)


def test_force_applies_it_nevertheless(dsn: str, conn: Conn, new_revision: NewRevision) -> None:
    name = new_revision("", needs="0.2.0")
    _register(conn, 1, None)

    assert [step.id for step in migrate.upgrade(dsn, force=True)] == [name]


def test_who_registers_at_the_same_moment_is_seen_or_refused(dsn: str, conn: Conn, new_revision: NewRevision) -> None:
    """The look at the living and the write exclude newcomers; each order of the two has its end."""
    new_revision("", needs="0.2.0")
    with psycopg.connect(dsn) as before:
        _register(before, 1, None)
        with pytest.raises(DatabaseUnavailable, match="another session holds a lock"):
            migrate.upgrade(dsn, lock_timeout=timedelta(milliseconds=50), tries=1)
        before.commit()
    with pytest.raises(NotSupported, match="pid 1 on web1"):
        migrate.upgrade(dsn)

    refused: list[str | None] = []

    def come_late() -> None:
        with psycopg.connect(dsn) as late:
            try:
                _register(late, 2, None)
            except psycopg.Error as error:
                refused.append(error.sqlstate)

    with psycopg.connect(dsn) as migrator:
        migrator.execute(compatibility.hold_newcomers("pgqueue").encode())
        thread = threading.Thread(target=come_late)
        thread.start()
        wait_until(lambda: conn.execute("select 1 from pg_locks where not granted").fetchone())
        migrator.execute(compatibility.support("pgqueue", "0.2.0").encode())
        migrator.commit()
        thread.join(10)

    assert refused == ["PQ006"]
    assert conn.execute("select from pgqueue.workers where id = 2").fetchone() is None


def test_a_newer_schema_is_worked_on_as_long_as_it_says_so(dsn: str, conn: Conn) -> None:
    conn.execute("update pgqueue.alembic_version set version_num = '9999_later'")

    assert not migrate.pending(dsn)
    conn.execute("update pgqueue.compatibility set oldest_client = '99.0.0'")
    with pytest.raises(VersionTooOld, match=rf"needs pgqueue 99\.0\.0 or later, this is {VERSION}"):
        migrate.pending(dsn)


@pytest.mark.system
def test_commands_and_workers_say_that_they_are_too_old(dsn: str, conn: Conn) -> None:
    conn.execute("update pgqueue.alembic_version set version_num = '9999_later'")
    conn.execute("update pgqueue.compatibility set oldest_client = '99.0.0'")

    answers = {words: pgq(*words, PGQ_DSN=dsn) for words in (("stats",), ("work", "tests.support.jobs:app", "--burst"))}
    health = pgq("health", "--json", PGQ_DSN=dsn)

    for words, answer in answers.items():
        assert answer.status == 5, words
        assert "needs pgqueue 99.0.0 or later" in answer.err, words
        assert "Traceback" not in answer.err
    assert health.status == 1
    assert [(check["check"], check["ok"]) for check in health.json] == [("database", True), ("migrations", False)]


@pytest.mark.system
def test_the_list_of_workers_shows_versions(dsn: str, conn: Conn) -> None:
    _register(conn, 1, None)
    _register(conn, 2, "0.2.0")

    shown = pgq("workers", PGQ_DSN=dsn)
    rows = pgq("workers", "--json", PGQ_DSN=dsn).json

    assert [line.split()[-1] for line in shown.out.splitlines()] == ["version", "0.1.0", "0.2.0"]
    assert [row["version"] for row in rows] == [None, "0.2.0"]
