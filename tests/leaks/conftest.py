"""Fixtures of the leak tests: a log that keeps everything, the App of tests.leaks.tasks, a DSN with a password."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgqueue import App
from tests.leaks import tasks
from tests.leaks.canaries import PASSWORD, Log
from tests.leaks.shell import Shell
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs


@pytest.fixture
def log() -> Iterator[Log]:
    with Log() as kept:
        yield kept


@pytest.fixture
def secret_dsn(dsn: str, monkeypatch: pytest.MonkeyPatch, no_pgq_variables: None) -> str:
    """The test's database, with a password that the server does not ask for; in PGQ_DSN too."""
    made = psycopg.conninfo.make_conninfo(dsn, password=PASSWORD)
    monkeypatch.setenv("PGQ_DSN", made)
    return made


@pytest.fixture
def app(secret_dsn: str) -> Iterator[App]:
    """The App of tests.leaks.tasks, whose cpu tasks child processes can import."""
    tasks.app.configure(dsn=secret_dsn, schema="pgqueue")
    yield tasks.app
    tasks.app.close()


@pytest.fixture
def the(conn: "psycopg.Connection[Any]") -> Jobs:
    return Jobs(conn)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """Commands set the log up, which outlives them: it is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Shell(monkeypatch, capsys)
    root.handlers[:] = handlers
    root.setLevel(level)
