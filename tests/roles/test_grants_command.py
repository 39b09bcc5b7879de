"""`pgq grants`: what it shows, mends, prints and whom it lets in."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.command import pgq

pytestmark = pytest.mark.system
Conn = psycopg.Connection[Any]


@pytest.fixture
def without_a_right(conn: Conn) -> str:
    """A database whose viewers lack a right."""
    conn.execute("revoke select on pgqueue.queues from pgqueue_viewer")
    return 'grant SELECT on pgqueue.queues to "pgqueue_viewer"'


def test_roles_are_shown_with_what_they_lack_and_a_superuser_as_owner_is_said(dsn: str, without_a_right: str) -> None:
    shown = pgq("grants", PGQ_DSN=dsn)
    rows = {row["kind"]: row for row in pgq("grants", "--json", PGQ_DSN=dsn).json}

    assert list(rows) == ["producer", "worker", "viewer", "admin"]
    assert [len(row["missing"]) for row in rows.values()] == [0, 0, 1, 0]
    assert rows["viewer"]["missing"][0].replace('"', "") == without_a_right.replace('"', "")
    assert "lacks 1 rights" in shown.out
    assert "run `pgq grants --apply`" in shown.out
    assert 'the schema belongs to "postgres", a superuser' in shown.out


def test_apply_gives_what_is_missing(dsn: str, without_a_right: str) -> None:
    done = pgq("grants", "--apply", PGQ_DSN=dsn)

    assert "lacks" not in done.out
    assert [row["missing"] for row in pgq("grants", "--json", PGQ_DSN=dsn).json] == [[]] * 4


def test_the_script_gives_what_is_missing_when_somebody_else_runs_it(
    dsn: str, conn: Conn, without_a_right: str
) -> None:
    script = pgq("grants", "--sql", PGQ_DSN=dsn).out

    assert pgq("grants", "--json", PGQ_DSN=dsn).json[2]["missing"] != []
    conn.execute(script.encode())
    assert pgq("grants", "--json", PGQ_DSN=dsn).json[2]["missing"] == []


@pytest.mark.parametrize("contents", [False, True])
def test_a_user_is_let_in_and_sees_contents_only_if_told(
    dsn: str, conn: Conn, users: Callable[..., str], contents: bool
) -> None:
    user = users()
    conn.execute("""select pgqueue.enqueue('t', '{"n": 1}')""")

    done = pgq("grants", "viewer", "--to", user, *(["--contents"] if contents else []), PGQ_DSN=dsn)

    assert done.out == f'"{user}" is now a viewer of schema "pgqueue"\n'
    with conn.transaction(force_rollback=True):
        conn.execute(f"set local role {user}".encode())
        assert conn.execute("select args from pgqueue.jobs").fetchall() == [({"n": 1} if contents else None,)]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["boss", "--to", "postgres"], 2, 'there is no kind of role "boss"; there are: producer, worker'),
        (["viewer"], 2, "give a kind and --to USER"),
        (["--contents"], 2, "--contents needs a kind and --to USER"),
        (["viewer", "--to", "postgres", "--apply"], 2, "one after the other"),
        (["viewer", "--to", "x" * 64], 2, "1 to 63 bytes"),
        (["viewer", "--to", 'no"body'], 1, 'there is no role "no"body" in this server'),
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(dsn: str, words: list[str], status: int, said: str) -> None:
    refused = pgq("grants", *words, PGQ_DSN=dsn)

    assert (refused.status, refused.err.count("\n")) == (status, 1)
    assert said in refused.err
