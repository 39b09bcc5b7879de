"""LISTEN is lost without a word, or the notification queue is full: jobs are found all the same, and nobody's enqueue
fails.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgqueue import App
from pgqueue.embedded import Server
from tests.conftest import Connect
from tests.support.database import Database
from tests.support.faultproxy import FaultProxy
from tests.support.outcomes import Jobs
from tests.support.running import Running
from tests.support.waiting import wait_until

POLL = 2.0
RELISTEN = 15.0
LISTENER = (
    "select pid from pg_stat_activity"
    " where application_name = 'pgq work (listen)' and datname = current_database() and pid <> %s"
)


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(app: App, **options: Any) -> Running:
        running.append(Running(app, shutdown_timeout_seconds=1.0, **options))
        return running[-1].start()

    yield begin
    for worker in running:
        worker.stop()
        worker.stop()
        worker.join()


@pytest.fixture
def app(dsn: str) -> Iterator[App]:
    made = App(dsn)

    @made.task(name="noop")
    async def noop() -> None: ...

    yield made
    made.close()


def asleep(the: Jobs) -> bool:
    """Whether a worker says that it sleeps: it will be notified."""
    held = "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and granted and database ="
    held += " (select oid from pg_database where datname = current_database())"
    return the.conn.execute(held.encode()).fetchall() != [(0,)]


@pytest.mark.slow
def test_a_listener_cut_off_without_a_word_listens_again_and_no_job_waits_longer_than_a_poll(
    app: App, dsn: str, start: Callable[..., Running], the: Jobs
) -> None:
    """The connection hangs in a proxy that answers keepalives, as a pooler or a load balancer does."""
    with FaultProxy("127.0.0.1", int(str(conninfo_to_dict(dsn)["port"]))) as proxy:
        far = make_conninfo(dsn, host="127.0.0.1", port=proxy.port)
        start(app, listen_dsn=far, poll_interval_seconds=POLL, lease_seconds=30)
        wait_until(lambda: asleep(the))
        ((before,),) = the.conn.execute(LISTENER, [0]).fetchall()

        proxy.strand()
        cut = time.monotonic()
        again = wait_until(lambda: the.conn.execute(LISTENER, [before]).fetchall(), RELISTEN)
        relisten = time.monotonic() - cut
        wait_until(lambda: asleep(the))

        proxy.black_hole()
        waited = []
        for _ in range(3):
            put = time.monotonic()
            the.wait(the.put("noop"), "succeeded", POLL + 3)
            waited.append(time.monotonic() - put)
        proxy.restore()
        print(f"listened again after {relisten:.1f} s; without LISTEN jobs waited {[round(w, 2) for w in waited]} s")
        assert len(again) == 1
        assert max(waited) < POLL + 1.5
        assert the.count("succeeded") == 3


QUEUE = {"max_notify_queue_pages": "64"}  # half a megabyte; the default is 8 GB
FILL = "select count(pg_notify('elsewhere', repeat('x', 7000) || n)) from generate_series(1, 4) n"


def full(conn: psycopg.Connection[Any]) -> bool:
    """Notify somebody once more; whether that failed, because the queue is full."""
    try:
        conn.execute(FILL)
    except psycopg.OperationalError as error:
        return "too many notifications" in str(error)
    return False


@pytest.fixture
def full_queue(start_server: Callable[..., Server]) -> Iterator[tuple[str, psycopg.Connection[Any]]]:
    """A server whose notification queue an application has filled: one of its sessions listens and does not read."""
    database = Database.fresh(start_server, **QUEUE)
    with closing(psycopg.connect(database.dsn)) as frozen, psycopg.connect(database.dsn, autocommit=True) as conn:
        frozen.execute("listen elsewhere")
        frozen.commit()
        frozen.execute("select 1")  # within a transaction nobody reads notifications
        wait_until(lambda: full(conn))
        yield database.dsn, conn


def test_enqueueing_goes_on_while_the_notification_queue_is_full(
    full_queue: tuple[str, psycopg.Connection[Any]], start: Callable[..., Running]
) -> None:
    dsn, conn = full_queue
    app = App(dsn)

    @app.task(name="noop")
    async def noop() -> None: ...

    the = Jobs(conn)
    start(app, poll_interval_seconds=0.2, lease_seconds=30)
    for _ in range(20):
        wait_until(lambda: asleep(the))
        the.wait(the.put("noop"), "succeeded")
    the.conn.execute("select pgqueue.enqueue('noop') from generate_series(1, 5000)")
    wait_until(lambda: the.count("succeeded") == 5020, 20)
    waiting = the.put("hold")
    assert the.conn.execute("select pgqueue.cancel(%s)", [waiting]).fetchall() == [("ready",)]
    assert conn.execute("select pg_notification_queue_usage() > 0.9").fetchall() == [(True,)]
    app.close()


def test_sleepers_are_notified_again_once_the_queue_has_room(
    full_queue: tuple[str, psycopg.Connection[Any]], connect: Connect
) -> None:
    dsn, conn = full_queue
    channel = conn.execute("select pgqueue.wake_channel('default')").fetchall()[0][0]
    with psycopg.connect(dsn, autocommit=True) as sleeper:
        sleeper.execute(f'listen "{channel}"'.encode())
        sleeper.execute("select pg_advisory_lock_shared(pgqueue.wake_key('default'))")
        conn.execute("select pgqueue.enqueue('noop')")
        assert list(sleeper.notifies(timeout=0.2)) == []

        conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'")
        wait_until(lambda: conn.execute("select pg_notification_queue_usage() < 0.1").fetchall() == [(True,)])
        conn.execute("select pgqueue.enqueue('noop')")

        assert [notify.channel for notify in sleeper.notifies(timeout=5, stop_after=1)] == [channel]
