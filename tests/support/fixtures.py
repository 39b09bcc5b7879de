"""Fixtures of tests that run fleets of worker processes: import them in a conftest."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fleet import Fleet
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs

if TYPE_CHECKING:
    import psycopg


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def the(conn: "psycopg.Connection[Any]") -> Jobs:
    """What became of jobs: `the[id]`, `the.wait(id, "dead")`."""
    return Jobs(conn)


@pytest.fixture
def work(dsn: str, ledger: Ledger, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Start `pgq work` with these words; it ends with the test."""
    with ExitStack() as stack:
        started: list[Fleet] = []

        def begin(*words: str, address: str = dsn, **options: Any) -> Fleet:
            log = tmp_path / f"fleet-{len(started)}.log"
            started.append(stack.enter_context(Fleet(address, ledger, log, *words, **options)))
            return started[-1]

        yield begin
