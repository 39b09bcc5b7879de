"""Thirty-two claimers, some of whom fall silent and come back late: no two valid leases of a job overlap (I3)."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from tests.conftest import Connect
from tests.sql.engine import Conn, Lease, Worker, rescue, scalar
from tests.support.rounds import rounds

pytestmark = pytest.mark.slow

JOBS = rounds("JOBS", 12_000)
CLAIMERS = 32
AT_ONCE = 10
SILENT = 0.02  # of the steps end with a worker that is not heard of for a while


@dataclass
class Held:
    """From when until when somebody was sure to hold a job, by the machine's monotonic clock."""

    since: float
    until: float
    settled: bool


@dataclass
class Claimer:
    """Claims, settles, and now and then falls silent until the rescue has passed, to settle all the same."""

    conn: Conn
    stop: threading.Event
    seed: int
    held: list[tuple[int, Held]] = field(default_factory=list)
    late: int = 0

    def run(self) -> None:
        chance = random.Random(self.seed)
        worker = Worker(self.conn, lease="60 s")
        turn = 0
        while not self.stop.is_set():
            turn += 1
            step = worker.step(AT_ONCE)
            leases = step.leases
            if step.lost or (not leases and not (leases := worker.claim_alone())):
                worker = Worker(self.conn, lease="60 s") if step.lost else worker
                self.stop.wait(0.005)
                continue
            if chance.random() < SILENT:
                self.come_late(worker, leases)
                worker = Worker(self.conn, lease="60 s")
                continue
            since = time.monotonic()
            self.stop.wait(chance.uniform(0, 0.004))
            self.settle(worker, leases, since, time.monotonic())
            if turn % 50 == 0:
                worker.beat()

    def settle(self, worker: Worker, leases: list[Lease], since: float, until: float) -> None:
        stale = set(worker.done(*leases))
        self.held += [(lease.id, Held(since, until, lease.id not in stale)) for lease in leases]
        self.late += len(stale)

    def come_late(self, worker: Worker, leases: list[Lease]) -> None:
        since = time.monotonic()
        self.stop.wait(random.uniform(0.0, 0.02))
        until = time.monotonic()
        worker.fall_silent()
        seen = "select lost_at is not null from pgqueue.worker_processes where id = %s"
        patience = until + random.choice((0.0, 0.05, 10.0))  # some come back before the rescue: then they may settle
        while time.monotonic() < patience and not scalar(self.conn, seen, worker.id):
            time.sleep(0.01)
        self.settle(worker, leases, since, until)


@pytest.mark.timeout(60 + JOBS // 500)
def test_no_two_valid_leases_of_a_job_overlap_and_each_settles_once(connect: Connect, conn: Conn) -> None:
    conn.execute("select pgqueue.enqueue('t') from generate_series(1, %s)", [JOBS])
    conn.execute("update pgqueue.settings set max_losses = 30000")
    stop = threading.Event()
    claimers = [Claimer(connect(), stop, seed) for seed in range(CLAIMERS)]
    began = time.monotonic()

    with ThreadPoolExecutor(CLAIMERS) as pool:
        running = [pool.submit(claimer.run) for claimer in claimers]
        try:
            while scalar(conn, "select exists (select from pgqueue.queued_jobs)"):
                assert not any(each.done() for each in running), [each.exception() for each in running if each.done()]
                rescue(conn)
                stop.wait(0.05)
        finally:
            stop.set()
        for each in running:
            each.result()

    by_job: dict[int, list[Held]] = {}
    for claimer in claimers:
        for job, held in claimer.held:
            by_job.setdefault(job, []).append(held)
    late = sum(claimer.late for claimer in claimers)
    print(f"{JOBS} jobs, {CLAIMERS} claimers, {time.monotonic() - began:.0f} s, {late} late settles refused")
    assert late > 0
    assert len(by_job) == JOBS
    assert [job for job, runs in by_job.items() if sum(held.settled for held in runs) != 1] == []
    assert overlaps(by_job) == []


def overlaps(by_job: dict[int, list[Held]]) -> list[int]:
    """Jobs that somebody was sure to hold while somebody else was."""
    runs = {job: sorted(held, key=lambda one: one.since) for job, held in by_job.items()}
    return [job for job, held in runs.items() if any(two.since < one.until for one, two in pairwise(held))]
