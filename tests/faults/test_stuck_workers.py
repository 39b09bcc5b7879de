"""Processes that stand still: noticed within a lease, shown with their stacks, their jobs run elsewhere, replaced."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pgqueue.ui import Dashboard
from tests.support.fleet import Fleet, is_alive
from tests.support.ledger import Entry, Ledger
from tests.support.outcomes import Jobs
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]

LEASE = 2.0
BUSY = 2.0  # seconds that a machine which runs other things may add to a bound; what was measured is in docs/faults.md
APP = "tests.support.rough:app"
Work = Callable[..., Fleet]


class Seen:
    """What the database says about stuck workers."""

    def __init__(self, the: Jobs) -> None:
        self._the = the

    def incident(self, kind: str, timeout: float = 10.0) -> dict[str, Any]:
        """The first incident of this kind, once it is there."""
        query = (
            "select extract(epoch from at) as at, pid, jobs, detail, stack from pgqueue.worker_incidents"
            " where kind = %s order by id"
        )

        def found() -> Any:
            return self._the.conn.execute(query, [kind]).fetchone()

        at, pid, jobs, detail, stack = wait_until(found, timeout)
        return {"at": float(at), "pid": pid, "jobs": jobs, "detail": detail, "stack": stack}

    def stuck(self, pid: int) -> str | None:
        """What the page says of a process now."""
        rows = self._the.conn.execute("select stuck from pgqueue.workers where pid = %s order by started_at", [pid])
        return next((stuck for (stuck,) in rows.fetchall() if stuck is not None), None)


@pytest.fixture
def seen(the: Jobs) -> Seen:
    return Seen(the)


async def workers_page(dsn: str) -> str:
    """The dashboard's page of workers."""
    dashboard = Dashboard(dsn, hosts=["queue.test"], authenticate=lambda _: ("ada", "viewer"))
    transport = httpx.ASGITransport(dashboard, client=("127.0.0.1", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://queue.test") as client:
        page = await client.get("/workers")
    await dashboard.aclose()
    assert page.status_code == 200
    return page.text


def first_start(ledger: Ledger, job: int) -> Entry:
    wait_until(lambda: ledger.read("start", job))
    return ledger.read("start", job)[0]


def second_start(ledger: Ledger, job: int, timeout: float = 15.0) -> Entry:
    wait_until(lambda: len(ledger.read("start", job)) > 1, timeout)
    return ledger.read("start", job)[1]


def test_the_jobs_of_a_frozen_process_run_elsewhere_within_its_lease_and_its_fleet_replaces_it(
    work: Work, the: Jobs, ledger: Ledger, seen: Seen
) -> None:
    fleet = work("--processes", "2", "--lease", str(LEASE), app=APP)
    fleet.ready(2)
    job = the.put("pause", '{"seconds": 0.5}')
    frozen = first_start(ledger, job).pid

    os.kill(frozen, signal.SIGSTOP)
    froze = time.monotonic()

    again = second_start(ledger, job)
    the.wait(job, "succeeded")
    print(f"\nSTUCK frozen process: run elsewhere after {again.at - froze:.2f} s of lease {LEASE}")
    assert again.pid != frozen
    assert again.at - froze < LEASE + 1 + BUSY
    found = seen.incident("frozen")
    assert found["pid"] == frozen
    assert "SIGSTOP" in found["detail"]
    assert "State:" in (found["stack"] or "State:")  # by the supervisor; or by who rescued, who does not say it
    wait_until(lambda: not is_alive(frozen))
    assert seen.incident("ended")["pid"] == frozen
    assert seen.stuck(frozen) is None
    assert the.attempts(job) == [(1, "lost"), (2, "succeeded")]
    assert ledger.overlaps() == []
    wait_until(lambda: len([pid for pid in fleet.workers() if pid != frozen]) >= 2)


def test_a_whole_fleet_that_is_frozen_shows_as_stuck_until_it_goes_on_and_says_so(
    work: Work, the: Jobs, ledger: Ledger, seen: Seen
) -> None:
    frozen = work("--lease", str(LEASE), app=APP)
    (worker,) = frozen.ready()
    job = the.put("pause", '{"seconds": 4}')
    first_start(ledger, job)
    processes = [*frozen.descendants(), frozen.pid]
    other = work("--lease", str(LEASE), app=APP)
    other.ready()  # before: who only starts now judges nobody until it has beaten for a lease itself
    for pid in reversed(processes):
        os.kill(pid, signal.SIGSTOP)
    froze = time.monotonic()

    again = second_start(ledger, job, 20)
    the.wait(job, "succeeded")
    shown = wait_until(lambda: seen.stuck(worker))
    print(f"\nSTUCK frozen fleet: run elsewhere after {again.at - froze:.2f} s of lease {LEASE}; shown as {shown}")
    assert again.at - froze < LEASE + 1 + BUSY
    assert shown == "frozen"
    page = asyncio.run(workers_page(the.conn.info.dsn))
    assert 'data-state="stuck"' in page
    assert "frozen" in page

    for pid in processes:
        os.kill(pid, signal.SIGCONT)  # the worker first: its supervisor would kill what has been silent
        if pid == worker:
            wait_until(lambda: "it goes on now" in frozen.said())

    wait_until(lambda: seen.stuck(worker) is None)
    assert ledger.overlaps() == []
    assert the.attempts(job) == [(1, "lost"), (2, "succeeded")]


@pytest.mark.parametrize("supervised", [True, False], ids=["in a fleet", "with its supervisor frozen"])
def test_a_blocked_loop_names_the_function_loses_its_jobs_within_its_lease_and_cannot_settle(
    work: Work, the: Jobs, ledger: Ledger, seen: Seen, supervised: bool
) -> None:
    blocked, other = (work("--lease", str(LEASE), "-c", "4", app=APP) for _ in range(2))
    blocked.ready(), other.ready()
    other.send(signal.SIGSTOP)
    for pid in (others := other.workers()):
        os.kill(pid, signal.SIGSTOP)
    job = the.put("block", '{"seconds": 7}')
    began = first_start(ledger, job)
    wall = time.time() - (time.monotonic() - began.at)
    for pid in others:
        os.kill(pid, signal.SIGCONT)
    other.send(signal.SIGCONT)
    if not supervised:
        blocked.send(signal.SIGSTOP)

    found = seen.incident("loop_blocked")
    shown = seen.stuck(began.pid)
    again = second_start(ledger, job)
    the.wait(job, "succeeded")
    after = found["at"] - wall, again.at - began.at
    print(f"\nSTUCK blocked loop: noticed after {after[0]:.2f} s, run elsewhere after {after[1]:.2f} s")
    assert found["at"] - wall < LEASE + BUSY
    assert found["jobs"] == [job]
    assert "_hold_up_the_loop" in found["stack"]
    assert f"job {job} (block)" in found["detail"]
    assert shown == "loop_blocked"
    assert again.pid != began.pid
    assert again.at - began.at < LEASE + 1 + BUSY
    if supervised:
        wait_until(lambda: not is_alive(began.pid))
        wait_until(lambda: began.pid not in blocked.workers() and blocked.workers())
    else:
        wait_until(lambda: ledger.read("refused", job), 15)
        wait_until(lambda: seen.stuck(began.pid) is None)
    assert the.attempts(job) == [(1, "lost"), (2, "succeeded")]


def test_a_held_interpreter_is_dumped_from_c_and_the_process_replaced(
    work: Work, the: Jobs, ledger: Ledger, seen: Seen
) -> None:
    fleet = work("--processes", "2", "--lease", str(LEASE), app=APP)
    fleet.ready(2)
    job = the.put("grip", '{"seconds": 20}')
    began = first_start(ledger, job)

    again = second_start(ledger, job)
    print(f"\nSTUCK held interpreter: run elsewhere after {again.at - began.at:.2f} s of lease {LEASE}")
    assert again.at - began.at < LEASE + 1 + BUSY
    found = seen.incident("gil_held")
    assert found["pid"] == began.pid
    assert "in grip" in found["stack"]
    assert "seconds" not in found["stack"].split("in grip")[0].rsplit("File", 1)[1]
    the.wait(job, "succeeded")
    assert the.attempts(job) == [(1, "lost"), (2, "succeeded")]
    wait_until(lambda: len(fleet.workers()) >= 2 and began.pid not in fleet.workers())


def test_a_thread_over_its_time_is_replaced_with_its_process_and_what_is_healthy_ends_there(
    work: Work, the: Jobs, ledger: Ledger, seen: Seen
) -> None:
    fleet = work("--lease", str(LEASE), app=APP)
    (worker,) = fleet.ready()
    healthy = the.put("pause", '{"seconds": 4}')
    first_start(ledger, healthy)
    job = the.put("deaf", '{"seconds": 3}')
    began = first_start(ledger, job)
    wall = time.time() - (time.monotonic() - began.at)

    found = seen.incident("thread_overdue")
    again = second_start(ledger, job)
    the.wait(job, "succeeded")
    after = found["at"] - wall - 0.3, again.at - began.at
    print(f"\nSTUCK thread: noticed {after[0]:.2f} s after its timeout, run again after {after[1]:.2f} s")
    assert found["at"] - wall < 0.3 + LEASE + BUSY
    assert "_not_listening" in found["stack"]
    assert again.pid != began.pid
    assert again.at - began.at < 0.3 + LEASE + 1 + BUSY
    the.wait(healthy, "succeeded")
    assert ledger.read("refused", job)
    assert the.attempts(job) == [(1, "failed"), (2, "succeeded")]
    assert the.attempts(healthy) == [(1, "succeeded")]
    assert ledger.read("end", healthy)[0].pid == worker
    wait_until(lambda: not is_alive(worker))
    wait_until(fleet.workers)


def test_a_process_whose_heartbeat_thread_died_hands_its_jobs_back_and_is_replaced(
    work: Work, the: Jobs, ledger: Ledger, seen: Seen
) -> None:
    fleet = work("--lease", str(LEASE), app=APP)
    (worker,) = fleet.ready()
    job = the.put("still_heart")
    began = first_start(ledger, job)

    the.wait(job, "succeeded", 20)
    again = second_start(ledger, job)
    print(f"\nSTUCK heartbeat thread: run elsewhere after {again.at - began.at:.2f} s of lease {LEASE}")
    found = seen.incident("heartbeat_dead")
    assert found["pid"] == worker
    assert "pgqueue-lease" not in found["stack"]
    assert "still_heart" in found["stack"]
    wait_until(lambda: not is_alive(worker))
    assert again.pid != worker
    assert again.at - began.at < LEASE + 1 + BUSY
    assert the.attempts(job) == [(1, "released"), (2, "succeeded")]
    assert ledger.overlaps() == []


def test_the_jobs_of_a_killed_process_do_not_wait_for_its_lease(
    work: Work, the: Jobs, ledger: Ledger, seen: Seen
) -> None:
    fleet = work("--lease", "30", app=APP)
    (worker,) = fleet.ready()
    job = the.put("pause", '{"seconds": 0.5}')
    killed = first_start(ledger, job)

    os.kill(worker, signal.SIGKILL)

    again = second_start(ledger, job)
    print(f"\nSTUCK killed process: run elsewhere after {again.at - killed.at:.2f} s of lease 30")
    the.wait(job, "succeeded")
    assert "SIGKILL" in seen.incident("ended")["detail"]
    assert the.attempts(job) == [(1, "lost"), (2, "succeeded")]
    assert seen.stuck(worker) is None


def test_a_cpu_process_that_holds_its_interpreter_does_not_outlive_its_killed_worker(
    work: Work, the: Jobs, ledger: Ledger
) -> None:
    fleet = work("--lease", "30", app=APP)
    (worker,) = fleet.ready()
    job = the.put("grip.cpu", '{"seconds": 20}')
    cpu = first_start(ledger, job).pid

    os.kill(worker, signal.SIGKILL)

    wait_until(lambda: not is_alive(cpu), 2)
    second_start(ledger, job)
    the.wait(job, "succeeded")
    assert the.attempts(job) == [(1, "lost"), (2, "succeeded")]
    assert cpu != worker
