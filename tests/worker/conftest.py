"""Fixtures of the worker tests: an App on the test's database, workers that end with the test, what became of jobs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.rows import dict_row

from pgqueue import App
from tests.support import jobs
from tests.support.ledger import VARIABLE, Ledger
from tests.support.running import SPEC, Running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import psycopg

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


class Jobs:
    """The jobs as the views show them."""

    def __init__(self, conn: "psycopg.Connection[Any]") -> None:
        self.conn = conn

    def __getitem__(self, job: Any) -> dict[str, Any]:
        row = self.conn.cursor(row_factory=dict_row).execute(
            "select * from pgqueue.jobs where id = %s", [getattr(job, "id", job)]
        )
        found = row.fetchone()
        assert found is not None
        return found

    def attempts(self, job: Any) -> list[tuple[int, str]]:
        """(attempt, outcome), in order."""
        return self.conn.execute(
            "select attempt, outcome from pgqueue.attempts where job_id = %s order by attempt",
            [getattr(job, "id", job)],
        ).fetchall()

    def errors(self, job: Any) -> list[dict[str, Any] | None]:
        rows = self.conn.execute(
            "select error from pgqueue.attempts where job_id = %s order by attempt", [getattr(job, "id", job)]
        )
        return [error for (error,) in rows]

    def wait(self, job: Any, state: str, timeout: float = 15.0) -> dict[str, Any]:
        """The job once it is in this state."""
        last: dict[str, Any] = {}

        def arrived() -> bool:
            last.update(self[job])
            return bool(last["state"] == state)

        try:
            wait_until(arrived, timeout)
        except AssertionError:
            raise AssertionError(f"job is {last} with attempts {self.attempts(job)}, not {state}") from None
        return last

    def count(self, state: str) -> int:
        return int(self.conn.execute("select count(*) from pgqueue.jobs where state = %s", [state]).fetchall()[0][0])


@pytest.fixture
def the(conn: "psycopg.Connection[Any]") -> Jobs:
    """What became of jobs: `the[handle]`, `the.wait(handle, "dead")`."""
    return Jobs(conn)
