"""Fixtures of the SQL tests: a worker, and a way to try what must fail with one of our SQLSTATEs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.sql.engine import Worker

Refused = Callable[[str], Any]


@pytest.fixture
def worker(conn: "psycopg.Connection[Any]") -> Worker:
    """A worker on the test's own connection."""
    return Worker(conn)


@pytest.fixture
def refused() -> Refused:
    """Expect an error of this SQLSTATE; its message is `.message`."""

    class Refusal:
        message = ""
        hint: str | None = None

    @contextmanager
    def expect(sqlstate: str) -> Iterator[Refusal]:
        refusal = Refusal()
        with pytest.raises(psycopg.Error) as raised:
            yield refusal
        assert raised.value.sqlstate == sqlstate, raised.value
        refusal.message = raised.value.diag.message_primary or ""
        refusal.hint = raised.value.diag.message_hint

    return expect
