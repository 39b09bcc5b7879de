"""`pytest` just works: as root or not, with or without xdist, one PostgreSQL a run, one fresh database a test.

The server starts when a test first asks for a database, so tests/unit alone never starts one. All xdist workers name
the same folder and so share it (pgqueue.embedded); it ends with the last of them, killed or not. `--postgresql-host`
and its like use a server that is there already. Each worker migrates one template database; a test gets a clone, which
takes 20 ms.
"""

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pytest_postgresql import factories
from pytest_postgresql.config import get_config
from pytest_postgresql.factories.noprocess import xdistify_dbname

from pgqueue.embedded import Server
from pgqueue.embedded.server import scratch
from pgqueue.migrate import upgrade

Connect = Callable[..., "psycopg.Connection[Any]"]


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a shell's background job; what we start would ignore it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pgq_run = getattr(config, "workerinput", {}).get("pgq_run") or secrets.token_hex(6)  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["pgq_run"] = node.config.pgq_run


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server | None]:
    """The run's server, which listens on TCP too (for FaultProxy). Change no setting. None if it is not ours."""
    options = request.config.option
    if options.postgresql_host:
        yield None
        return
    with Server(scratch() / f"pgq-test-{request.config.pgq_run}", tcp=True) as started:  # type: ignore[attr-defined]
        options.postgresql_host, options.postgresql_port = str(started.address.host), started.address.port
        yield started


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """Start further servers, for tests that need settings or a crash of their own; they end with the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Server(**options))


def _migrate(**connection: Any) -> None:
    """Fill a worker's template. One worker at a time: the migration's roles belong to the whole server."""
    address = {name: connection[name] for name in ("host", "port", "user", "password") if connection[name]}
    with psycopg.connect(**address, dbname="postgres", autocommit=True) as turn:
        turn.execute("select pg_advisory_lock(hashtext('pgqueue tests: template'))")
        upgrade(psycopg.conninfo.make_conninfo(**address, dbname=connection["dbname"]), schema="pgqueue")


_template = factories.postgresql_noproc(load=[_migrate])


class Databases:
    """Makes and drops databases through one connection that is kept."""

    def __init__(self, address: dict[str, Any], prefix: str) -> None:
        self._address = address
        self._prefix = prefix
        self._made = 0
        self._admin = psycopg.connect(self.dsn("postgres"), autocommit=True)

    def dsn(self, dbname: str) -> str:
        return psycopg.conninfo.make_conninfo(**self._address, dbname=dbname)

    def create(self, template: str) -> str:
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        # 4 times faster than copying through the log; PostgreSQL 15 and later know it.
        statement = sql.SQL("create database {} template {} strategy file_copy")
        self._admin.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop(self, name: str) -> None:
        if not os.environ.get("PGQ_KEEP_DATABASES"):
            self._admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    def close(self) -> None:
        self._admin.close()


@pytest.fixture(scope="session")
def databases(server: Server | None, request: pytest.FixtureRequest) -> Iterator[Databases]:
    found = get_config(request)
    address = {"host": found.host, "port": found.port or 5432, "user": found.user, "password": found.password}
    made = Databases({name: value for name, value in address.items() if value}, xdistify_dbname("pgq_test"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def template(server: Server | None, request: pytest.FixtureRequest) -> str:
    """The name of the migrated template, made only now: it reads from the options where the server is."""
    name: str = request.getfixturevalue("_template").template_dbname
    return name


@pytest.fixture
def dsn(databases: Databases, template: str) -> Iterator[str]:
    """A fresh database with pgqueue migrated into it."""
    name = databases.create(template)
    yield databases.dsn(name)
    databases.drop(name)


@pytest.fixture
def empty_dsn(databases: Databases) -> Iterator[str]:
    """A fresh database without pgqueue."""
    name = databases.create("template0")
    yield databases.dsn(name)
    databases.drop(name)


@pytest.fixture
def connect(dsn: str) -> Iterator[Connect]:
    """Open further connections to the test's database, autocommit unless told otherwise; closed at the end."""
    with ExitStack() as stack:

        def open_one(conninfo: str = dsn, **options: Any) -> "psycopg.Connection[Any]":
            connection = psycopg.connect(conninfo, **{"autocommit": True, **options})
            stack.callback(connection.close)
            return connection

        yield open_one


@pytest.fixture
def conn(connect: Connect) -> "psycopg.Connection[Any]":
    """An autocommit connection to the test's database."""
    return connect()


@pytest.fixture
def no_pgq_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what the developer's shell says about databases out of the test's way."""
    for name in list(os.environ):
        if name.startswith(("PGQ_", "PG")) or name == "DATABASE_URL":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parent.parent
