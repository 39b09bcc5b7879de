"""Users of the test's database who belong to one role each, and an owner who is no superuser."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.conftest import Connect

As = Callable[[str], "psycopg.Connection[Any]"]


@pytest.fixture
def users(conn: "psycopg.Connection[Any]") -> Iterator[Callable[..., str]]:
    """Make a user, a member of the roles named; gone with the test, like all that it owns."""
    made: list[str] = []

    def make(*roles: str) -> str:
        name = f"pgq_test_{secrets.token_hex(6)}"
        made.append(name)
        conn.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
        for role in roles:
            conn.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(name)))
        return name

    yield make
    for name in made:
        conn.execute(
            sql.SQL("drop owned by {0} cascade; drop role {0}").format(sql.Identifier(name)).as_string(conn).encode()
        )


@pytest.fixture
def dsn_as(dsn: str, users: Callable[..., str]) -> Callable[..., str]:
    """The address of the test's database for a fresh member of a role ("stranger": of none)."""

    def address(kind: str) -> str:
        user = users(*([] if kind == "stranger" else [f"pgqueue_{kind}"]))
        return psycopg.conninfo.make_conninfo(dsn, options=f"-c role={user}")

    return address


@pytest.fixture
def as_(connect: Connect, dsn_as: Callable[..., str]) -> As:
    """Connect as a fresh member of a role."""
    return lambda kind: connect(dsn_as(kind))
