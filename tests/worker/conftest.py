"""Fixtures of the worker tests: an App on the test's database, workers that end with the test, what became of jobs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import App
from tests.support import jobs
from tests.support.ledger import VARIABLE, Ledger
from tests.support.outcomes import Jobs
from tests.support.running import SPEC, Running

if TYPE_CHECKING:
    import psycopg

__all__ = ["Connect", "Jobs", "Start"]

Start = Callable[..., Running]
Connect = Callable[..., "psycopg.Connection[Any]"]


@pytest.fixture
def app(dsn: str) -> Iterator[App]:
    """An App without tasks."""
    made = App(dsn)
    yield made
    made.close()


@pytest.fixture
def jobs_app(dsn: str) -> Iterator[App]:
    """The App of tests.support.jobs, whose cpu tasks child processes can import."""
    jobs.app.configure(dsn=dsn, schema="pgqueue")
    yield jobs.app
    jobs.app.close()


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    path = tmp_path / "ledger"
    monkeypatch.setenv(VARIABLE, str(path))
    return Ledger(path)


@pytest.fixture
def start(dsn: str) -> Iterator[Start]:
    """Start workers; they are stopped at once at the end."""
    running: list[Running] = []

    def begin(app: App, **options: Any) -> Running:
        spec = SPEC if app is jobs.app else None
        worker = Running(app, spec=spec, **{"shutdown_timeout_seconds": 5.0, **options})
        running.append(worker)
        return worker.start()

    yield begin
    for worker in running:
        worker.stop()
        worker.stop()
    for worker in running:
        if worker.error is None:
            worker.join()


@pytest.fixture
def the(conn: "psycopg.Connection[Any]") -> Jobs:
    """What became of jobs: `the[handle]`, `the.wait(handle, "dead")`."""
    return Jobs(conn)
