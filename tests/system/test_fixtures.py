"""The test arrangement itself: databases are fresh, the proxy spoils what it says it spoils."""

import time
from collections.abc import Callable

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgqueue.embedded import Server
from tests.support import FaultProxy, wait_until


@pytest.mark.parametrize("round_", [1, 2])
def test_every_test_has_a_database_of_its_own(conn: psycopg.Connection, round_: int) -> None:
    conn.execute("create table only_here (i int)")

    assert conn.execute("select count(*) from only_here").fetchone() == (0,)


def test_the_database_is_migrated(conn: psycopg.Connection) -> None:
    assert conn.execute("select to_regnamespace('pgqueue') is not null").fetchone() == (True,)


def test_an_empty_database_has_no_pgqueue(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("select to_regnamespace('pgqueue')").fetchone() == (None,)


@pytest.fixture
def proxied(server: Server | None, dsn: str):
    if server is None:
        pytest.skip("needs the TCP port of a server of our own")
    with FaultProxy("127.0.0.1", server.address.port) as proxy:
        yield proxy, make_conninfo(dsn, host="127.0.0.1", port=proxy.port)


def test_a_reset_breaks_open_connections(proxied: tuple[FaultProxy, str]) -> None:
    proxy, dsn = proxied
    with psycopg.connect(dsn, autocommit=True) as connection:
        proxy.reset()

        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")


def test_a_black_hole_holds_answers_back_until_restored(
    proxied: tuple[FaultProxy, str], connect: Callable[..., psycopg.Connection]
) -> None:
    proxy, dsn = proxied
    with psycopg.connect(dsn, autocommit=True) as connection:
        proxy.black_hole()
        connection.pgconn.send_query(b"select 1")
        connection.pgconn.flush()
        time.sleep(0.1)  # nothing can arrive: there is no event to wait for
        connection.pgconn.consume_input()
        assert connection.pgconn.is_busy()

        proxy.restore()

        wait_until(lambda: connection.pgconn.consume_input() or not connection.pgconn.is_busy())
        assert connection.pgconn.get_result() is not None
        assert connection.pgconn.get_result() is None


def test_latency_delays_each_answer(proxied: tuple[FaultProxy, str]) -> None:
    proxy, dsn = proxied
    with psycopg.connect(dsn, autocommit=True) as connection:
        proxy.latency = 0.05
        begun = time.monotonic()
        connection.execute("select 1")

        assert time.monotonic() - begun >= 0.1


def test_refused_and_cut_connections_fail(proxied: tuple[FaultProxy, str]) -> None:
    proxy, dsn = proxied
    proxy.cut_after = 10
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)

    proxy.refuse = True
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)
