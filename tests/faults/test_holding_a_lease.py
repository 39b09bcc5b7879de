"""A handler that takes long keeps its lease; a process that stands still loses it, and is ended (I3)."""

import time
from collections.abc import Callable

import pytest

from tests.support.fleet import Fleet, is_alive
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.rounds import rounds
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]


def test_jobs_of_ten_leases_run_once(work: Callable[..., Fleet], the: Jobs, ledger: Ledger) -> None:
    lease = float(rounds("LEASE", 1))
    jobs = [the.put(f"hold.{kind}", f'{{"seconds": {10 * lease}}}') for kind in ("async", "thread", "cpu")]
    fleet = work("--processes", "2", "--lease", str(lease))
    pids = fleet.ready(2)

    for job in jobs:
        the.wait(job, "succeeded", 20 * lease + 20)

    assert [the.attempts(job) for job in jobs] == [[(1, "succeeded")]] * 3
    assert len(ledger.read("start")) == 3
    assert fleet.workers() == pids


def test_a_process_whose_handler_holds_the_gil_is_ended_within_a_lease_and_its_jobs_run_elsewhere(
    work: Callable[..., Fleet], the: Jobs, ledger: Ledger
) -> None:
    lease = 1.5
    fleet = work("--processes", "2", "--lease", str(lease), "-c", "4", app="tests.support.rough:app")
    fleet.ready(2)
    neighbours = [the.put("pause", '{"seconds": 1.0}') for _ in range(6)]
    wait_until(lambda: len(ledger.read("start")) == 6)
    job = the.put("grip", f'{{"seconds": {10 * lease}}}')
    wait_until(lambda: ledger.read("start", job))
    stuck = ledger.read("start", job)[0]

    wait_until(lambda: not is_alive(stuck.pid), 4 * lease)
    ended = time.monotonic() - stuck.at

    the.wait(job, "succeeded", 20)
    for neighbour in neighbours:
        the.wait(neighbour, "succeeded", 20)
        assert (the[neighbour]["failures"], the[neighbour]["losses"]) == (0, 0)
    print(f"ended after {ended:.2f} s, run elsewhere after {ledger.read('end', job)[0].at - stuck.at:.2f} s")
    assert ended < lease + 2  # 0.15 s for the supervisor's look; the rest is for a machine that others use
    assert ledger.overlaps() == []
    assert the.attempts(job) == [(1, "lost"), (2, "succeeded")]
