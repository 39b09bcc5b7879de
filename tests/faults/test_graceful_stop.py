"""SIGTERM at any moment: a worker ends within its timeout, leaves nothing running, and burns no attempt (I16).

The moments are drawn between the start of a process and well into its work, so that some signals come before the first
claim, some between a claim and its handlers, some while all of them run.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest

from tests.support.command import environment
from tests.support.fleet import Fleet, is_alive
from tests.support.ledger import VARIABLE, Ledger
from tests.support.outcomes import Jobs
from tests.support.rounds import rounds
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]

FLEETS = rounds("FLEETS", 6)
WORKERS = rounds("SIGTERMS", 40)
AT_ONCE = 8
TIMEOUT = 0.5
SHARED_MACHINE_SECONDS = (
    2.0  # other tests run beside this one; the bar itself is 1 s, and docs/faults.md has the figures
)
JOBS = {"hold.async": 60, "hold.thread": 30, "add.async": 200}
End = tuple[int, float]  # an exit status, and the seconds from the signal to the end


@pytest.fixture(autouse=True)
def seed() -> None:
    number = rounds("SEED", random.SystemRandom().randrange(10**6))
    print(f"PGQ_FAULTS_SEED={number}")
    random.seed(number)


def fill(the: Jobs) -> None:
    """Keep a mixture ready: short and long ones of each kind."""
    there = dict(the.conn.execute("select task, count(*) from pgqueue.queued_jobs group by task").fetchall())
    for task, wanted in JOBS.items():
        for _ in range(wanted - there.get(task, 0)):
            arguments = '{"a": 1, "b": 2}' if task == "add.async" else f'{{"seconds": {random.choice((0.01, 0.2, 9))}}}'
            the.put(task, arguments)


def verdict(the: Jobs, ends: list[End]) -> None:
    """In time, nothing held by anybody, no attempt burnt."""
    took = sorted(seconds for _, seconds in ends)
    statuses = {status: sum(one == status for one, _ in ends) for status, _ in ends}
    outcomes = dict(the.conn.execute("select outcome, count(*) from pgqueue.attempts group by outcome").fetchall())
    burnt = the.conn.execute("select count(*) from pgqueue.jobs where failures > 0 or losses > 0").fetchall()
    print(
        f"{len(took)} stops, seconds: median {median(took):.2f}, most {took[-1]:.2f}; {statuses=} attempts={outcomes}"
    )
    assert burnt == [(0,)]
    assert set(outcomes) <= {"succeeded", "released"}
    assert outcomes["succeeded"] > 0
    assert set(statuses) <= {0, 1, -signal.SIGTERM}  # the last: Python had not begun to listen
    assert took[-1] <= TIMEOUT + 1 + SHARED_MACHINE_SECONDS
    assert the.conn.execute("select count(*) from pgqueue.workers").fetchall() == [(0,)]


def nothing_held(the: Jobs) -> bool:
    return the.conn.execute("select count(*) from pgqueue.queued_jobs where worker_id is not null").fetchall() == [(0,)]


def stop_fleet(fleet: Fleet, *, after: float) -> End:
    """Tell a fleet to stop at its moment, and wait for its end. Nothing of it is left."""
    fleet.ready()
    time.sleep(after)  # the moment is what is tried
    processes = [fleet.pid, *fleet.descendants()]
    told = time.monotonic()
    fleet.send(signal.SIGTERM)
    status = fleet.wait(TIMEOUT + 20)
    took = time.monotonic() - told
    wait_until(lambda: not any(is_alive(pid) for pid in processes), 2)
    return status, took


@pytest.mark.timeout(60 + 4 * FLEETS)
def test_a_fleet_told_to_stop_at_any_moment_ends_in_time_and_burns_no_attempt(
    work: Callable[..., Fleet], the: Jobs
) -> None:
    ends: list[End] = []

    with ThreadPoolExecutor(2) as pool:
        for _ in range(FLEETS // 2):
            fill(the)
            the.put("hold.cpu")
            fleets = [work("-c", "20", "--shutdown-timeout", str(TIMEOUT), "--lease", "30") for _ in range(2)]
            stops = [pool.submit(stop_fleet, fleet, after=random.uniform(0, 0.5)) for fleet in fleets]
            ends += [each.result() for each in stops]
            assert nothing_held(the)

    verdict(the, ends)


class Nursery:
    """Workers without a supervisor, quick to start: tests/support/nursery.py."""

    def __init__(self, dsn: str, ledger: Ledger) -> None:
        self.started: list[int] = []
        self.ended: dict[int, tuple[int, float]] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.nursery"],
            env=environment(PGQ_DSN=dsn, **{VARIABLE: str(ledger.path)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, count: int) -> list[int]:
        """Start so many workers; their pids."""
        before = len(self.started)
        assert self._process.stdin is not None
        self._process.stdin.write(f"run {count} {TIMEOUT}\n")
        self._process.stdin.flush()
        wait_until(lambda: len(self.started) == before + count, 20)
        return self.started[before:]

    def close(self) -> None:
        self._process.communicate(timeout=10)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, pid, *status = line.split()
            if word == "started":
                self.started.append(int(pid))
            else:
                self.ended[int(pid)] = int(status[0]), time.monotonic()


@pytest.fixture
def nursery(dsn: str, ledger: Ledger) -> Iterator[Nursery]:
    made = Nursery(dsn, ledger)
    yield made
    made.close()


@pytest.mark.timeout(60 + WORKERS)
def test_a_worker_told_to_stop_at_any_moment_ends_in_time_and_burns_no_attempt(nursery: Nursery, the: Jobs) -> None:
    ends: list[End] = []

    def stop(pid: int, after: float) -> End:
        time.sleep(after)  # the moment is what is tried
        told = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        status, at = wait_until(lambda: nursery.ended.get(pid), TIMEOUT + 20)
        return status, at - told

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(WORKERS // AT_ONCE):
            fill(the)
            pids = nursery.start(AT_ONCE)
            ends += [each.result() for each in [pool.submit(stop, pid, random.uniform(0.1, 0.9)) for pid in pids]]
            assert nothing_held(the)

    verdict(the, ends)
