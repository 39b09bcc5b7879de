"""The exporter of `pgq metrics`: the database's numbers in Prometheus' format, over one connection, read at most once a
second however many scrape.

    metrics_reading.py    the statements, each bounded in time
    metrics_families.py   rows to metrics, with their names and help texts
    metrics_labels.py     how many values a label may have
    metrics_text.py       metrics to text

While the database is away `/metrics` says `pgqueue_up 0` with status 200 (Prometheus throws a 503's body away, and
would blame the exporter), and `/readyz` says 503.
"""

from __future__ import annotations

import gzip
import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue.errors import PgQueueError
from pgqueue.extra import require
from pgqueue.observe import metrics_text
from pgqueue.observe.metrics_reading import DOWN, Reader, Reading
from pgqueue.webserver import Answer, Request, text
from pgqueue.worker.session import conninfo, shut_down_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0  # how old an answer may be
FOLD_SECONDS = 10.0  # between two looks whether somebody has to fold the statistics
HANG_SECONDS = 6.0  # a reading that takes longer is cut off: a frozen server answers nothing. Prometheus waits 10 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many values of a label get series of their own; those beyond are added up as `other`."""

    queues: int = 50
    tasks: int = 100
    schedules: int = 100


@contextmanager
def _bounded(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """Cut a connection off when what is done on it takes too long, whatever it waits for."""
    watchdog = threading.Timer(HANG_SECONDS, shut_down_socket, (conn,))
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


class Source:
    """The database's numbers as they were at most a second ago. For any number of threads."""

    def __init__(self, dsn: str, schema: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._dsn = conninfo(dsn)
        self._reader = Reader(schema)
        self._clock = clock
        self._turn = threading.Lock()
        self._conn: psycopg.Connection[Any] | None = None
        self._last = DOWN
        self._read_at = self._folded_at = float("-inf")

    def reading(self) -> Reading:
        """The latest reading; one thread reads, the others wait for it and take the same."""
        with self._turn:
            if self._clock() - self._read_at >= FRESH_SECONDS:
                self._last = self._read()
                self._read_at = self._clock()
                if self._last.up and self._read_at - self._folded_at >= FOLD_SECONDS:
                    self._folded_at = self._read_at
                    threading.Thread(target=self._fold, name="pgqueue-fold", daemon=True).start()
            return self._last

    def _fold(self) -> None:
        """Keep the statistics up to date while there is no worker, after the scrape was answered."""
        with self._turn:
            if self._conn is None:
                return
            try:
                with _bounded(self._conn):
                    self._reader.fold(self._conn)
            except (psycopg.Error, OSError) as error:
                log.info("the statistics could not be folded", extra={"error": type(error).__name__})
                self._drop()

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._drop()

    def _read(self) -> Reading:
        """Read, on a new connection if the old one turns out to be gone."""
        old, began = self._conn, self._clock()
        try:
            return self._read_on(old or self._connect())
        except (psycopg.Error, PgQueueError, OSError) as error:
            self._drop()
            if old is None or self._clock() - began >= HANG_SECONDS:
                return self._down(error)
        return self._read()

    def _connect(self) -> psycopg.Connection[Any]:
        conn = psycopg.connect(
            self._dsn, autocommit=True, prepare_threshold=None, fallback_application_name="pgq metrics"
        )
        self._conn = conn
        return conn

    def _read_on(self, conn: psycopg.Connection[Any]) -> Reading:
        with _bounded(conn):
            reading = self._reader.read(conn)
        if not self._last.up:
            log.info("the database is read")
        return reading

    def _down(self, error: Exception) -> Reading:
        if self._last.up or self._read_at == float("-inf"):  # once, not with each scrape
            log.warning("the database cannot be read", extra={"error": str(error).strip()})
        return DOWN

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()


class Exporter:
    """Answers scrapes and probes."""

    def __init__(self, source: Source, bounds: Bounds) -> None:
        """Raises ConfigError when the extra `metrics` is not installed."""
        require("prometheus_client", extra="metrics", for_what="pgq metrics")
        from pgqueue.observe.metrics_families import Families

        self._source = source
        self._families = Families(most_queues=bounds.queues, most_tasks=bounds.tasks, most_schedules=bounds.schedules)
        self._turn = threading.Lock()
        self._shown: Reading | None = None
        self._latest: list[Metric] = []  # its families
        self._pages: dict[str, bytes] = {}

    def collect(self) -> list[Metric]:
        """The families of the latest reading: this is a collector of prometheus-client, to register in one's own."""
        reading = self._source.reading()
        with self._turn:
            return list(self._families.of(reading))

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        match request.path:
            case "/metrics":
                return self._metrics(request)
            case "/livez":
                return text(200, "ok")
            case "/readyz" | "/healthz":
                up = self._source.reading().up
                return text(200, "ok") if up else text(503, "the database cannot be read")
            case "/":
                return text(200, "pgq metrics: the numbers are at /metrics")
            case _:
                return text(404, "there is nothing here; the numbers are at /metrics")

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition in the format that is accepted, and its content type."""
        reading = self._source.reading()
        with self._turn:
            if reading is not self._shown:
                self._shown, self._pages = reading, {}
                self._latest = list(self._families.of(reading))
            write, content_type = _writer(accept)
            if content_type not in self._pages:
                self._pages[content_type] = write(self._latest)
            return self._pages[content_type], content_type

    def _metrics(self, request: Request) -> Answer:
        page, content_type = self.page(request.headers.get("accept", ""))
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Answer(200, gzip.compress(page, compresslevel=1), content_type, "gzip")
        return Answer(200, page, content_type)


def _writer(accept: str) -> tuple[Callable[[list[Metric]], bytes], str]:
    """What writes the format that is accepted, and its content type."""
    if metrics_text.accepted(accept):
        return metrics_text.encode, metrics_text.CONTENT_TYPE
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(accept)
    return (lambda families: encode(_Fixed(families))), content_type


@dataclass(frozen=True, slots=True)
class _Fixed:
    """What an encoder takes for a registry."""

    families: list[Metric]

    def collect(self) -> list[Metric]:
        return self.families
