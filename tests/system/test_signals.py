"""What signals make of `pgq work` (I16)."""

import signal
import time
from collections.abc import Callable

import pytest

from tests.support.fleet import Fleet, is_alive
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
Work = Callable[..., Fleet]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_told_fleet_lets_running_jobs_end_and_starts_no_more(
    work: Work, the: Jobs, ledger: Ledger, number: int
) -> None:
    running = the.put("hold.async", '{"seconds": 1.0}')
    waiting = [the.put("hold.async", '{"seconds": 1.0}') for _ in range(3)]
    fleet = work("-c", "1", "--shutdown-timeout", "10")
    wait_until(lambda: ledger.read("alive"))

    fleet.send(number)

    assert fleet.wait() == 0
    assert the[running]["state"] == "succeeded"
    for job in waiting:
        assert (the[job]["state"], the[job]["failures"], the[job]["losses"]) == ("ready", 0, 0)
    assert {entry.job for entry in ledger.read("start")} == {running}
    assert the.conn.execute("select count(*) from pgqueue.workers").fetchall() == [(0,)]


def test_after_the_shutdown_timeout_jobs_are_handed_back_and_the_status_is_1(
    work: Work, the: Jobs, ledger: Ledger
) -> None:
    jobs = [the.put(f"hold.{kind}") for kind in ("async", "thread", "cpu")]
    fleet = work("--shutdown-timeout", "0.5")
    wait_until(lambda: {entry.job for entry in ledger.read("alive")} == set(jobs))

    began = time.monotonic()
    fleet.send(signal.SIGTERM)

    assert fleet.wait() == 1
    assert time.monotonic() - began < 0.5 + 2.5
    for job in jobs:
        assert (the[job]["state"], the[job]["failures"], the[job]["losses"]) == ("ready", 0, 0)
        assert the.attempts(job) == [(1, "released")]


def test_a_second_signal_hands_back_at_once(work: Work, the: Jobs, ledger: Ledger) -> None:
    job = the.put("hold.async")
    fleet = work("--shutdown-timeout", "60")
    wait_until(lambda: ledger.read("alive"))

    fleet.send(signal.SIGTERM)
    wait_until(lambda: "draining" in fleet.said())
    began = time.monotonic()
    fleet.send(signal.SIGTERM)

    assert fleet.wait() == 1
    assert time.monotonic() - began < 3
    assert the.attempts(job) == [(1, "released")]


def test_a_fleet_that_is_told_to_stop_while_it_starts_ends_well(work: Work) -> None:
    fleet = work("--processes", "2")
    wait_until(fleet.workers)

    fleet.send(signal.SIGTERM)

    assert fleet.wait() == 0


def test_tstp_claims_no_more_and_lets_running_jobs_go_on(work: Work, the: Jobs, ledger: Ledger) -> None:
    running = the.put("hold.async", '{"seconds": 1.0}')
    fleet = work("--poll-interval", "0.1")
    wait_until(lambda: ledger.read("alive"))

    fleet.send(signal.SIGTSTP)
    wait_until(lambda: "quiet" in fleet.said())
    waiting = the.put("noop")

    the.wait(running, "succeeded")
    assert the[waiting]["attempt"] == 0
    assert fleet.workers()


def test_usr1_tells_where_everything_stands(work: Work, the: Jobs, ledger: Ledger) -> None:
    jobs = [the.put("hold.async"), the.put("hold.thread")]
    fleet = work()
    wait_until(lambda: {entry.job for entry in ledger.read("alive")} == set(jobs))

    fleet.send(signal.SIGUSR1)

    wait_until(lambda: "in hold_thread" in fleet.said() and "in hold\n" in fleet.said())
    assert fleet.workers()


@pytest.mark.slow
def test_hup_replaces_the_processes_one_by_one_and_loses_no_job(work: Work, the: Jobs, ledger: Ledger) -> None:
    fleet = work("--processes", "2", "-c", "4", "--shutdown-timeout", "10")
    before = set(fleet.ready(2))
    jobs = [the.put("hold.async", '{"seconds": 0.2}') for _ in range(40)]

    fleet.send(signal.SIGHUP)

    wait_until(lambda: len(fleet.workers()) == 2 and not before & set(fleet.workers()), 30)
    wait_until(lambda: the.count("succeeded") == len(jobs), 20)
    for job in jobs:
        assert {outcome for _, outcome in the.attempts(job)} <= {"succeeded", "released"}
        assert len(ledger.read("end", job)) == 1
    assert ledger.overlaps() == []


@pytest.mark.slow
def test_two_hups_leave_as_many_processes_as_were_asked_for(work: Work, the: Jobs) -> None:
    fleet = work("--processes", "2")
    before = set(fleet.ready(2))

    fleet.send(signal.SIGHUP)
    wait_until(lambda: len(fleet.workers()) == 3)
    fleet.send(signal.SIGHUP)

    # The second one finds a replacement under way; both processes of before, and that one, are replaced.
    wait_until(lambda: fleet.said().count("worker process ready") >= 4 and len(fleet.workers()) == 2, 30)
    assert not before & set(fleet.workers())
    fleet.send(signal.SIGTERM)
    assert fleet.wait() == 0


@pytest.mark.slow
def test_children_of_a_killed_supervisor_drain_by_themselves(work: Work, the: Jobs, ledger: Ledger) -> None:
    running = the.put("hold.async", '{"seconds": 1.0}')
    fleet = work("--processes", "2", "--shutdown-timeout", "10")
    workers = fleet.ready(2)
    wait_until(lambda: ledger.read("alive"))

    fleet.send(signal.SIGKILL)

    the.wait(running, "succeeded")
    wait_until(lambda: not any(is_alive(pid) for pid in workers))
    assert the.conn.execute("select count(*) from pgqueue.workers").fetchall() == [(0,)]
