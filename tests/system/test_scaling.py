"""A fleet that grows and shrinks: nothing is lost, no attempt is burnt, whoever is killed or away meanwhile."""

import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from pgqueue.embedded import Server
from tests.support.database import DURABLE, Again, Database
from tests.support.fleet import Fleet
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(150)]
Work = Callable[..., Fleet]
# Two jobs at a time each: a backlog of 60 seconds of work wants all four to meet the target.
WORDS = ("--min-processes", "1", "--max-processes", "4", "-c", "2", "--target-lag", "5", "--shrink-after", "5")


def outcomes(the: Jobs, jobs: list[int]) -> set[str]:
    rows = the.conn.execute("select distinct outcome from pgqueue.attempts where job_id = any(%s)", [jobs])
    return {outcome for (outcome,) in rows.fetchall()}


def burst_until_grown(fleet: Fleet, the: Jobs) -> list[int]:
    """A backlog of 120 jobs, kept up until the fleet has grown, however slow the machine is."""
    jobs, deadline = [], time.monotonic() + 60

    def grown() -> bool:
        return len(fleet.workers()) == 4

    while not grown():
        assert time.monotonic() < deadline, f"the fleet did not grow:\n{fleet.said()}"
        missing = 120 + the.count("succeeded") - len(jobs)
        jobs += [the.put("hold.async", '{"seconds": 0.5}') for _ in range(missing)]
        time.sleep(0.2)
    return jobs


def trickle_until(holds: Callable[[], bool], the: Jobs, timeout: float) -> list[int]:
    """Short jobs all the time, so that those who are let go have work in their hands."""
    jobs, deadline = [], time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, "the fleet did not shrink"
        jobs.append(the.put("hold.async", '{"seconds": 0.2}'))
        time.sleep(0.4)
    return jobs


def test_a_burst_makes_it_grow_and_an_empty_queue_shrink(work: Work, the: Jobs, ledger: Ledger) -> None:
    fleet = work(*WORDS)
    fleet.ready()

    burst = burst_until_grown(fleet, the)
    trickled = trickle_until(lambda: len(fleet.workers()) == 1, the, 60)

    wait_until(lambda: the.count("succeeded") == len(burst) + len(trickled), 20)
    assert outcomes(the, burst + trickled) <= {"succeeded", "released"}  # what a claim brought that was on its way
    assert len(ledger.read("start")) == len(burst) + len(trickled)  # nothing was begun twice
    assert {the[job]["failures"] for job in burst + trickled} == {0}
    changes = [line.partition("before=")[2] for line in fleet.said().splitlines() if "processes changes" in line]
    steps = [int(line.partition("processes=")[2].split()[0]) - int(line.split()[0]) for line in changes]
    assert sum((a > 0) != (b > 0) for a, b in pairwise(steps)) == 1, changes  # up, and down once
    fleet.send(signal.SIGTERM)
    assert fleet.wait() == 0


def test_processes_that_are_killed_are_replaced_within_the_wanted_number(work: Work, the: Jobs, ledger: Ledger) -> None:
    fleet = work(*WORDS, "--lease", "2")
    fleet.ready()
    most: list[int] = []
    jobs = burst_until_grown(fleet, the)

    for victim in fleet.workers()[:2]:
        os.kill(victim, signal.SIGKILL)

    def done() -> bool:
        most.append(len(fleet.workers()))
        return the.count("succeeded") == len(jobs)

    wait_until(done, 60, poll=0.1)
    assert max(most) <= 4 + 1  # one more that runs alone what was in a killed one
    assert ledger.overlaps() == []
    for job in jobs:
        assert the[job]["failures"] == 0
    wait_until(lambda: len(fleet.workers()) == 1, 40)
    fleet.send(signal.SIGHUP)
    before_roll = fleet.workers()
    wait_until(lambda: len(fleet.workers()) == 1 and fleet.workers() != before_roll, 20)


def test_what_nobody_can_take_does_not_make_it_grow(work: Work, the: Jobs) -> None:
    """Unknown tasks, a paused queue, jobs behind a rate and in one group: thousands due, and one process has time."""
    the.conn.execute("select pgqueue.set_limit('slow', rate => 2)")
    the.conn.execute("select pgqueue.pause('mail')")
    the.conn.execute(
        "select pgqueue.enqueue('unknown'), pgqueue.enqueue('noop', queue => 'mail'), "
        "pgqueue.enqueue('noop', limits => '[\"slow\"]'), "
        "pgqueue.enqueue('hold.async', '{\"seconds\": 0.1}', group_key => 'one') from generate_series(1, 1000)"
    )

    fleet = work(*WORDS, "-q", "default,mail", "--log-level", "debug")
    wait_until(lambda: fleet.said().count("the number of worker processes stays") >= 6, 40)

    assert "the number of worker processes changes" not in fleet.said()
    assert the.count("succeeded") > 20  # what could run did
    the.wait(the.put("noop", priority=-1), "succeeded")


@pytest.fixture
def database(start_server: Callable[..., Server]) -> Database:
    return Database.fresh(start_server, **DURABLE)


def test_without_the_database_the_number_stays_and_afterwards_it_goes_on(work: Work, database: Database) -> None:
    the: Any = Again(database.dsn)
    fleet = work(*WORDS, "--processes", "3", "--lease", "3", address=database.dsn)
    pids = fleet.ready(3)
    job = the.put("hold.async", '{"seconds": 0.1}')
    the.wait(job, "succeeded")

    database.crash()
    wait_until(lambda: "the number of processes stays" in fleet.said(), 15)
    time.sleep(7)  # longer than it takes to shrink: silence is not idleness
    there = fleet.workers()
    database.start()
    the.reconnect()

    assert there == pids
    wait_until(lambda: len(fleet.workers()) == 1, 60)
    the.wait(the.put("noop"), "succeeded")
    the.conn.close()
