"""kill -9 at six points of a job's path: nothing is lost, at most one rerun, back within a lease and one sweep."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgqueue.embedded import Server
from tests.soak.failpoints import POINTS, QUEUE, Failpoint
from tests.soak.wire import Step, step_in
from tests.support.fleet import Fleet
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.system]
LEASE = 2.0
SWEEP = LEASE / 3 * 1.2  # the longest between two looks for lost workers
BUSY = 2.0  # what a busy machine may add
# How often the handler starts, and how many attempts the job had. A death before the claim commits, or after the settle
# did, costs nothing; one before the handler costs an attempt, not a run.
EXPECTED = {
    "before claim": (1, 1),
    "after claim": (1, 2),
    "before handler": (1, 2),
    "after handler": (2, 2),
    "before settle": (2, 2),
    "after settle": (1, 1),
}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def proxy(server: Server | None) -> Iterator[Failpoint]:
    if server is None:
        pytest.skip("needs the run's own server")
    with Failpoint(lambda: server.address.port) as started:
        yield started


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_loses_nothing(
    point: str, dsn: str, proxy: Failpoint, ledger: Ledger, tmp_path: Path, conn: "psycopg.Connection[Any]"
) -> None:
    jobs = Jobs(conn)
    through = psycopg.conninfo.make_conninfo(dsn, host="127.0.0.1", port=proxy.port)
    with ExitStack() as stack:

        def fleet(name: str, address: str, queue: str) -> Fleet:
            words = ["--processes", "1", "--lease", str(LEASE), "-q", queue, "--shutdown-timeout", "1"]
            made = Fleet(address, ledger, tmp_path / name, *words, app="tests.soak.failpoints:app")
            return stack.enter_context(made)

        fleet("rescuer", dsn, "other").ready()
        victim = fleet("victim", through, QUEUE).ready()[0]
        beaten = jobs.conn.execute("select heartbeat_at from pgqueue.worker_processes where pid = %s", [victim])
        assert beaten.fetchone() is not None

        if "handler" not in point:
            proxy.arm(point, victim)
        job = jobs.put("victim", f'{{"point": "{point}"}}', queue=QUEUE)
        found = jobs.wait(job, "succeeded", timeout=30)

        starts = len(ledger.read("start"))
        assert (starts, found["attempt"]) == EXPECTED[point]
        wait_until(lambda: victim not in conn_pids(conn), timeout=10)
        if found["attempt"] > 1:
            assert jobs.attempts(job)[0] == (1, "lost")
            assert _silence(conn, job) <= LEASE + SWEEP + BUSY


def conn_pids(conn: "psycopg.Connection[Any]") -> list[int]:
    """The pids of workers that are not known to be lost."""
    rows = conn.execute("select pid from pgqueue.worker_processes where lost_at is null")
    return [pid for (pid,) in rows]


def _silence(conn: "psycopg.Connection[Any]", job: int) -> float:
    """Seconds from the last sign of life of the job's first worker to when the job was handed on."""
    rows = conn.execute(
        "select extract(epoch from a.finished_at - w.heartbeat_at)::float from pgqueue.attempts a"
        " join pgqueue.worker_processes w on w.id = a.worker_id where a.job_id = %s and a.attempt = 1",
        [job],
    )
    return float(rows.fetchall()[0][0])


def test_a_step_is_known_by_its_parameters() -> None:
    def bind(max_jobs: bytes, done: bytes, codes: bytes) -> bytes:
        values = [b"1"] * 5 + [max_jobs] + [b"{}"] * 3 + [done] + [b"x"] * 3
        body = b"\0name\0" + codes + (13).to_bytes(2, "big")
        body += b"".join(len(value).to_bytes(4, "big") + value for value in values) + b"\0\0"
        return b"B" + (len(body) + 4).to_bytes(4, "big") + body + b"S\0\0\0\x04"

    text = b"\0\0"
    mixed = (13).to_bytes(2, "big") + b"".join((place == 5).to_bytes(2, "big") for place in range(13))

    assert step_in(bind(b"0", b"{7}", text)) == Step(claims=False, settles=True)
    assert step_in(bind(b"12", b"{}", text)) == Step(claims=True, settles=False)
    assert step_in(bind(b"\0\x05", b"{7}", mixed)) == Step(claims=True, settles=True)
    assert step_in(b"Q\0\0\0\x0bselect 1\0"[:12]) is None
