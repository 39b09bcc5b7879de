"""One database for all orders of an xdist worker, another for the mutants: each order begins with it empty."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Databases
from tests.interleavings.stage import Stage


@contextmanager
def _stage(databases: Databases, template: str) -> Iterator[Stage]:
    name = databases.create(template)
    found = Stage(databases.dsn(name))
    try:
        yield found
    finally:
        found.close()
        databases.drop(name)


@pytest.fixture(scope="session")
def stage(databases: Databases, template: str) -> Iterator[Stage]:
    with _stage(databases, template) as found:
        yield found


ONE_ORDER = re.compile(r"test_one_order\[([^\]]+)\]")
KNOWN_ORDERS = ("plain:settle,rescue,reclaim:BBCCACAC", "running:complete,rescue:ABAAB", "schedules:tick,tick:ABAB")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The orders that are named on the command line, as a failure tells them."""
    if "order" in metafunc.fixturenames:
        asked = [found[1] for found in map(ONE_ORDER.search, metafunc.config.args) if found]
        metafunc.parametrize("order", asked or KNOWN_ORDERS)
