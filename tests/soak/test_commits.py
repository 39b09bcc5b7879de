"""An acknowledged commit survives crashes of the server; one whose answer was lost is safe with a key."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgqueue import App
from pgqueue.embedded import Server
from pgqueue.errors import PgQueueError
from pgqueue.migrate import upgrade
from tests.soak.proxy import Proxy
from tests.soak.server import SoakServer, connected

pytestmark = [pytest.mark.system]
CALLS = 200
CRASHES = 20
PRODUCERS = 4

app = App()


@app.task(name="pay")
async def pay(number: int) -> None: ...


@pytest.fixture
def proxy(server: Server | None) -> Iterator[Proxy]:
    if server is None:
        pytest.skip("needs the run's own server")
    with Proxy(lambda: server.address.port) as started:
        yield started


class Client:
    """Enqueues in a transaction of its own, and tries again until the commit is acknowledged."""

    def __init__(self, dsn: str, *, keys: bool) -> None:
        self._dsn = dsn
        self._keys = keys
        self._conn: psycopg.Connection[Any] | None = None
        self.retried = 0

    def pay(self, number: int) -> int:
        """The id of the job."""
        task = pay.using(key=f"pay-{number}") if self._keys else pay
        while True:
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = psycopg.connect(self._dsn, autocommit=True)
                with self._conn.transaction():
                    handle = app.send(task.job(number), conn=self._conn)
            except (psycopg.Error, PgQueueError):
                self.retried += 1
                if self._conn is not None:
                    self._conn.close()
            else:
                return handle.id

    def close(self) -> None:
        if self._conn is not None:
            self._conn.close()


@pytest.mark.parametrize("keys", [True, False], ids=["with a key", "without a key"])
def test_a_commit_whose_answer_was_lost_is_safe_with_a_key(
    keys: bool, dsn: str, proxy: Proxy, conn: "psycopg.Connection[Any]"
) -> None:
    client = Client(psycopg.conninfo.make_conninfo(dsn, host="127.0.0.1", port=proxy.port), keys=keys)
    ids = []

    for number in range(CALLS):
        if number % 5 == 0:
            proxy.lose_commits(1)
        ids.append(client.pay(number))
    client.close()

    jobs = conn.execute("select id, (args ->> 'number')::int from pgqueue.jobs").fetchall()
    duplicates = len(jobs) - len({number for _, number in jobs})
    print(f"{CALLS} calls, {client.retried} retried, {duplicates} duplicates")
    assert client.retried >= CALLS // 5
    assert {number for _, number in jobs} == set(range(CALLS))
    assert set(ids) <= {job for job, _ in jobs}
    assert (duplicates == 0) if keys else (0 < duplicates <= client.retried)


class Producer(threading.Thread):
    """Enqueues one job after the other until it is told to stop; remembers what was acknowledged."""

    def __init__(self, server: SoakServer, stop: threading.Event, place: int) -> None:
        super().__init__(daemon=True)
        self._server, self._stop_it, self._place = server, stop, place
        self.acknowledged: list[int] = []
        self.refused = 0

    def run(self) -> None:
        while not self._stop_it.is_set():
            try:
                with psycopg.connect(self._server.dsn, autocommit=True) as conn:
                    while not self._stop_it.is_set():
                        self.acknowledged.append(app.send(pay.job(self._place), conn=conn).id)
            except (psycopg.Error, PgQueueError):
                self.refused += 1
                self._stop_it.wait(0.02)


@pytest.fixture
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoakServer]:
    folder = Path(tempfile.mkdtemp(prefix="pgq-crash-"))  # on a disk, and not below pytest's closed folder
    folder.chmod(0o755)
    with SoakServer(folder) as started:
        upgrade(started.dsn)
        yield started
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_what_was_acknowledged_survives_twenty_immediate_restarts(crashing: SoakServer) -> None:
    stop = threading.Event()
    producers = [Producer(crashing, stop, place) for place in range(PRODUCERS)]
    for producer in producers:
        producer.start()

    for _ in range(CRASHES):
        before = sum(len(producer.acknowledged) for producer in producers)
        while sum(len(producer.acknowledged) for producer in producers) < before + 100:
            assert not stop.wait(0.02)
        crashing.crash()
    stop.set()
    for producer in producers:
        producer.join(20)

    acknowledged = {job for producer in producers for job in producer.acknowledged}
    with connected(crashing) as conn:
        present = {row[0] for row in conn.execute("select id from pgqueue.jobs").fetchall()}
    print(f"{CRASHES} restarts, {len(acknowledged)} acknowledged, {len(acknowledged - present)} missing")
    assert crashing.crashes == CRASHES
    assert acknowledged - present == set()
    assert all(producer.refused >= CRASHES // 2 for producer in producers)
