"""`pgq metrics` on a database: what it reads, how often, with which rights, and what it does without one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg.conninfo import make_conninfo

from pgqueue.embedded import Server
from pgqueue.observe import metrics, metrics_reading
from pgqueue.observe.metrics import Bounds, Exporter, Source
from pgqueue.observe.metrics_reading import PARTS
from pgqueue.webserver import Request
from tests.sql.engine import Worker, enqueue
from tests.support.command import pgq
from tests.support.faultproxy import FaultProxy
from tests.support.waiting import wait_until

Connection = psycopg.Connection[Any]
BACKENDS = "select pid from pg_stat_activity where application_name = 'pgq metrics' and datname = current_database()"


class Clock:
    """A clock that stands still until it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(dsn: str, clock: Clock) -> Iterator[Source]:
    made = Source(dsn, "pgqueue", clock=clock)
    yield made
    made.close()


def sample(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for found in family.samples:
            if found.name == name and labels.items() <= found.labels.items():
                return found.value
    return None


def page(source: Source) -> str:
    return Exporter(source, Bounds()).page()[0].decode()


def test_every_part_is_read(source: Source, conn: Connection) -> None:
    enqueue(conn, queue="mail")

    reading = source.reading()

    assert reading.up
    assert reading.failed == frozenset()
    assert set(reading.rows) == set(PARTS)


def test_what_happens_to_jobs_is_seen(source: Source, conn: Connection) -> None:
    worker = Worker(conn)
    for _ in range(3):
        enqueue(conn)
    (lease, *_) = worker.claim(2)
    worker.done(lease)

    text = page(source)

    assert sample(text, "pgqueue_jobs", queue="default", state="ready") == 1
    assert sample(text, "pgqueue_jobs", queue="default", state="running") == 1
    assert sample(text, "pgqueue_workers", state="alive") == 1
    assert sample(text, "pgqueue_queue_workers", queue="default") == 1
    assert sample(text, "pgqueue_migrations_current") == 1


def test_a_worker_that_fell_silent_is_stuck(source: Source, conn: Connection) -> None:
    well, silent = Worker(conn), Worker(conn)
    silent.fall_silent()

    text = page(source)

    assert well.beat() is not None
    assert sample(text, "pgqueue_workers", state="alive") == 1
    assert sample(text, "pgqueue_workers", state="stuck") == 1


def test_many_scrapers_cost_what_one_does(source: Source, clock: Clock, conn: Connection) -> None:
    with ThreadPoolExecutor(16) as threads:
        readings = list(threads.map(lambda _: source.reading(), range(50)))
    clock.now += 0.99
    soon = source.reading()
    clock.now += 0.02
    late = source.reading()

    assert len({id(reading) for reading in [*readings, soon]}) == 1
    assert late is not soon
    assert len(conn.execute(BACKENDS).fetchall()) == 1  # type: ignore[arg-type]


def test_what_changes_slowly_is_read_every_quarter_minute(
    source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = source.reading()
    clock.now += 2
    second = source.reading()
    monkeypatch.setattr(metrics_reading, "SLOW_SECONDS", 0.0)
    clock.now += 2
    third = source.reading()

    assert second.rows["tables"] is first.rows["tables"]
    assert second.rows["depths"] is not first.rows["depths"]
    assert third.rows["tables"] is not first.rows["tables"]


def test_statistics_are_folded_where_nobody_works(source: Source, clock: Clock, conn: Connection) -> None:
    worker = Worker(conn)
    enqueue(conn)
    worker.done(worker.claim_one())
    worker.leave()
    conn.execute("update pgqueue.finished_jobs set finished_at = finished_at - interval '1 minute'")

    source.reading()

    wait_until(lambda: conn.execute("select sum(succeeded) from pgqueue.statistics_totals").fetchone() == (1,))
    clock.now += 2
    assert sample(page(source), "pgqueue_attempts_total", queue="default", outcome="succeeded") == 1


def test_a_connection_that_was_ended_is_made_anew_unseen(source: Source, clock: Clock, conn: Connection) -> None:
    first = source.reading()
    before = conn.execute(BACKENDS).fetchall()  # type: ignore[arg-type]
    conn.execute("select pg_terminate_backend(%s, 5000)", before[0])

    clock.now += 2
    second = source.reading()

    assert (first.up, second.up) == (True, True)
    assert conn.execute(BACKENDS).fetchall() != before  # type: ignore[arg-type]


def test_a_database_that_is_away_is_told_and_comes_back(dsn: str, clock: Clock) -> None:
    away = Source(make_conninfo(dsn, port=1, host="127.0.0.1"), "pgqueue", clock=clock)
    exporter = Exporter(away, Bounds())

    metrics_told = exporter.answer(Request("/metrics", {}, {}))
    ready = exporter.answer(Request("/readyz", {}, {}))

    assert metrics_told.status == 200
    assert sample(metrics_told.body.decode(), "pgqueue_up") == 0
    assert ready.status == 503
    assert exporter.answer(Request("/livez", {}, {})).status == 200
    away._dsn = dsn
    clock.now += 2
    assert exporter.answer(Request("/readyz", {}, {})).status == 200
    away.close()


def test_a_server_that_does_not_answer_is_given_up(
    dsn: str, server: Server | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if server is None:
        pytest.skip("needs a server of our own, which listens on TCP")
    monkeypatch.setattr(metrics, "HANG_SECONDS", 0.5)
    monkeypatch.setattr(metrics, "FRESH_SECONDS", 0.0)
    with FaultProxy("127.0.0.1", server.address.port) as proxy:
        frozen = Source(make_conninfo(dsn, host="127.0.0.1", port=proxy.port), "pgqueue")
        before = frozen.reading()

        proxy.black_hole()
        during = frozen.reading()
        proxy.restore()
        after = frozen.reading()

        frozen.close()
    assert [reading.up for reading in (before, during, after)] == [True, False, True]


def test_a_part_without_rights_leaves_the_others(clock: Clock, conn: Connection, dsn: str) -> None:
    conn.execute("create role metrics_nobody login in role pgqueue_viewer")
    conn.execute("revoke select on pgqueue.schedules from pgqueue_viewer")
    try:
        poor = Source(make_conninfo(dsn, user="metrics_nobody"), "pgqueue", clock=clock)
        reading = poor.reading()
        poor.close()
    finally:
        conn.execute("drop role metrics_nobody")

    assert reading.up
    assert reading.failed == {"schedules"}


def test_the_command_prints_once(dsn: str, conn: Connection) -> None:
    enqueue(conn)

    text, as_json = pgq("metrics", "--once", PGQ_DSN=dsn), pgq("metrics", "--once", "--json", PGQ_DSN=dsn)

    assert (text.status, as_json.status) == (0, 0)
    assert sample(text.out, "pgqueue_jobs", queue="default", state="ready") == 1
    assert {"name": "pgqueue_up", "labels": {}, "value": 1} in as_json.json


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--once", "--dsn", "postgresql://127.0.0.1:1/nowhere"), 4, "cannot connect to"),
        (("--listen", "9758"), 2, '"9758" is not an address'),
        (("--max-queues", "0"), 2, "max-queues: must be at least 1"),
    ],
)
def test_what_cannot_be_is_one_line(dsn: str, words: tuple[str, ...], status: int, says: str) -> None:
    result = pgq("metrics", *words, PGQ_DSN=dsn)

    assert result.status == status
    assert says in result.err
    assert result.err.count("\n") == 1
