"""Changes and their lines in the audit log are one thing; who does what in which database role."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql

import pgqueue.ui.database
from pgqueue import calls
from pgqueue.errors import DatabaseUnavailable
from pgqueue.ui.database import Database
from pgqueue.ui.masking import Masks
from pgqueue.ui.shared import Shared
from pgqueue.ui.visitor import Role, Visitor
from tests.sql.engine import column, scalar
from tests.ui.conftest import Browse

ADA = Visitor("ada", Role.ADMIN)
VERA = Visitor("vera", Role.VIEWER)
Connect = Callable[..., "psycopg.Connection[Any]"]

STATEMENTS = {
    "role_in_use": "select current_user::text as role",
    "contents_of_all": "select j.args from pgqueue.jobs j",
}


@pytest.fixture(autouse=True)
def statements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add statements of the tests' own to those of the pages."""
    of_pages = pgqueue.ui.database.statement
    monkeypatch.setattr(
        "pgqueue.ui.database.statement",
        lambda package, name, schema: STATEMENTS.get(name) or of_pages(package, name, schema),
    )


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    made = Database(dsn, "pgqueue", masks=Masks())
    yield made
    await made.close()


async def test_a_change_and_its_line_are_committed_together(
    database: Database, conn: "psycopg.Connection[Any]"
) -> None:
    async with database.changing(ADA, "queue.pause", "queue mail") as change:
        change.detail["changed"] = await change.call(calls.pause("mail"))

    assert column(conn, "select queue from pgqueue.paused_queues") == ["mail"]
    lines = conn.execute("select actor, role, action, target, detail, db_user from pgqueue.audit").fetchall()
    assert lines == [("ada", "admin", "queue.pause", "queue mail", {"changed": True}, conn.info.user)]


async def test_a_change_that_fails_leaves_neither(database: Database, conn: "psycopg.Connection[Any]") -> None:
    async def change_two_things() -> None:
        async with database.changing(ADA, "job.retry", "job 1") as change:
            await change.call(calls.pause("mail"))
            await change.call(calls.retry(1))

    with pytest.raises(psycopg.Error):
        await change_two_things()

    assert column(conn, "select queue from pgqueue.paused_queues") == []
    assert column(conn, "select action from pgqueue.audit") == []


async def test_a_line_that_cannot_be_written_takes_the_change_back(
    database: Database, conn: "psycopg.Connection[Any]"
) -> None:
    async def tell_too_much() -> None:
        async with database.changing(ADA, "queue.pause", "queue mail") as change:
            await change.call(calls.pause("mail"))
            change.detail["payload"] = "x" * 5000

    with pytest.raises(psycopg.Error):
        await tell_too_much()

    assert column(conn, "select queue from pgqueue.paused_queues") == []


async def test_everybody_acts_in_their_role_of_the_database(database: Database) -> None:
    found = {}
    for visitor in (VERA, Visitor("olaf", Role.OPERATOR), ADA):
        async with database.reading(visitor) as read:
            found[visitor.name] = [row["role"] for row in await read.rows("role_in_use")]
    async with database.changing(ADA, "x", "y") as change:
        found["change"] = [row["role"] for row in await change.rows("role_in_use")]

    assert found == {
        "vera": ["pgqueue_viewer"],
        "olaf": ["pgqueue_admin"],
        "ada": ["pgqueue_admin"],
        "change": ["pgqueue_admin"],
    }


async def test_a_page_cannot_change_anything(database: Database) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        async with database.reading(ADA) as read:
            await read.call(calls.pause("mail"))


async def test_contents_are_shown_to_a_viewer_who_was_granted_them(
    database: Database, conn: "psycopg.Connection[Any]", databases: Any
) -> None:
    conn.execute('select pgqueue.enqueue(\'t\', \'{"user": 7, "password": "x"}\')')
    async with database.reading(VERA) as read:
        before = await read.rows("contents_of_all")
    conn.execute("grant select on pgqueue.job_args to pgqueue_viewer")
    database._roles_until = 0
    async with database.reading(VERA) as read:
        after = await read.rows("contents_of_all")
    conn.execute("revoke select on pgqueue.job_args from pgqueue_viewer")

    assert [row["args"] for row in before] == [None]
    assert [row["args"] for row in after] == [{"user": 7, "password": "•••"}]


async def test_without_roles_the_dashboard_hides_contents_by_itself(
    conn: "psycopg.Connection[Any]", dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the migration might not make roles, or the user is in none of them."""
    conn.execute("select pgqueue.enqueue('t', '{\"user\": 7}')")
    database = Database(dsn, "pgqueue", masks=Masks())

    async def never(*_: object) -> bool:
        return False

    monkeypatch.setattr("pgqueue.ui.database._may_become", never)
    async with database.reading(VERA) as read:
        rows = await read.rows("contents_of_all")
    await database.close()

    assert [row["args"] for row in rows] == [None]


def test_admins_read_the_log_and_cannot_change_it(conn: "psycopg.Connection[Any]") -> None:
    conn.execute("select pgqueue.note_action('ada', 'admin', 'queue.pause', 'queue mail')")
    conn.execute("set role pgqueue_admin")

    for statement in (
        "delete from {}",
        "update {} set actor = 'bob'",
        "truncate {}",
        "insert into {} (actor) values ('bob')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(sql.SQL(statement).format(sql.Identifier("pgqueue", "audit_log")))  # type: ignore[arg-type]
    assert column(conn, "select actor from pgqueue.audit") == ["ada"]


@pytest.mark.parametrize(
    "arguments",
    ["'', 'admin', 'x', 'y'", "'ada', 'admin', '', 'y'", "'ada', 'admin', 'x', 'y', '[1]'", "null, 'admin', 'x', 'y'"],
)
def test_a_line_without_a_name_is_refused(arguments: str, conn: "psycopg.Connection[Any]") -> None:
    with pytest.raises(psycopg.Error) as refused:
        conn.execute(f"select pgqueue.note_action({arguments})")  # type: ignore[arg-type]

    assert refused.value.sqlstate == "PQ004"


def test_the_log_forgets_what_is_older_than_400_days(conn: "psycopg.Connection[Any]") -> None:
    for days in (401, 500, 399):
        conn.execute("select pgqueue.note_action('ada', 'admin', %s::text, 'y')", (f"{days} days",))
        conn.execute("update pgqueue.audit_log set at = now() - action::interval where action = %s", (f"{days} days",))

    conn.execute("select pgqueue.note_action('ada', 'admin', 'now', 'y')")

    assert column(conn, "select action from pgqueue.audit order by id") == ["399 days", "now"]


async def test_a_database_that_is_away_is_told_without_its_address(browse: Browse, dashboards: Any) -> None:
    lost = dashboards(authenticate=lambda _: ("ada", "admin"))
    lost.site.database._dsn = "postgresql://ada:canary@127.0.0.1:9/nowhere"
    lost.site.database.wait_seconds = 0.3

    answer = await browse(dashboard=lost).get("/audit")

    assert answer.status_code == 503
    assert "canary" not in answer.text
    assert "127.0.0.1:9" not in answer.text


async def test_ten_open_pages_cost_one_query() -> None:
    shared = Shared()
    asked = []

    async def ask() -> int:
        asked.append(1)
        await asyncio.sleep(0)
        return len(asked)

    answers = await asyncio.gather(*(shared.get("key", 60, ask) for _ in range(10)))

    assert answers == [1] * 10
    assert await shared.get("other", 60, ask) == 2


async def test_a_failure_is_told_to_those_who_wait_and_not_kept() -> None:
    shared = Shared()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise DatabaseUnavailable("gone")

    async def work() -> int:
        return 7

    told = await asyncio.gather(*(shared.get("key", 60, fail) for _ in range(3)), return_exceptions=True)

    assert [type(error) for error in told] == [DatabaseUnavailable] * 3
    assert await shared.get("key", 60, work) == 7


def test_an_actor_of_any_length_is_cut_and_noted(conn: "psycopg.Connection[Any]") -> None:
    conn.execute("select pgqueue.note_action(repeat('x', 10000), 'admin', 'a', repeat('y', 10000))")

    assert scalar(conn, "select length(actor) from pgqueue.audit") == 256
