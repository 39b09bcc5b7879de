"""The supervisor: crashes, recycling, blocked and frozen children, failures of the start."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from tests.support.fleet import Fleet, children, is_alive
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
Work = Callable[..., Fleet]


def test_a_killed_child_is_replaced_and_its_jobs_run_elsewhere(work: Work, the: Jobs, ledger: Ledger) -> None:
    fleet = work("--processes", "2", "--lease", "4", "-c", "2")
    fleet.ready(2)
    jobs = [the.put("hold.async", '{"seconds": 1.5}') for _ in range(4)]
    wait_until(lambda: len(ledger.read("start")) == 4)
    victim = ledger.read("start")[0].pid

    os.kill(victim, signal.SIGKILL)

    for job in jobs:
        the.wait(job, "succeeded", 20)
        assert the[job]["failures"] == 0
        outcomes = [outcome for _, outcome in the.attempts(job)]
        killed = ledger.read("start", job)[0].pid == victim
        assert outcomes == (["lost", "succeeded"] if killed else ["succeeded"])
    assert ledger.overlaps() == []
    wait_until(lambda: len(fleet.workers()) >= 2 and victim not in fleet.workers())


def test_a_cpu_process_does_not_outlive_its_killed_worker(work: Work, the: Jobs, ledger: Ledger) -> None:
    the.put("hold.cpu")
    fleet = work("--lease", "5")
    wait_until(lambda: ledger.read("alive"))
    (worker,) = fleet.workers()
    (cpu,) = children(worker)
    alive_before = is_alive(cpu)

    os.kill(worker, signal.SIGKILL)

    assert alive_before
    wait_until(lambda: not is_alive(cpu), 3)


def test_max_jobs_replaces_processes_until_all_is_done(work: Work, the: Jobs, ledger: Ledger) -> None:
    the.conn.execute("select pgqueue.enqueue('hold.async', '{\"seconds\": 0.01}') from generate_series(1, 25)")

    fleet = work("--max-jobs", "10", "--burst")

    assert fleet.wait() == 0
    assert the.count("succeeded") == 25
    assert len({entry.pid for entry in ledger.read("start")}) == 3


@pytest.mark.slow
def test_a_child_that_crashes_again_and_again_is_restarted_ever_later(work: Work, the: Jobs) -> None:
    fleet = work("--lease", "5")
    fleet.ready()
    killed: list[int] = []

    def alive() -> list[int]:
        return [pid for pid in fleet.workers() if pid not in killed]

    def restarts() -> bool:
        return fleet.said().count("started again") == len(killed)

    for _ in range(3):
        killed += wait_until(alive)
        os.kill(killed[-1], signal.SIGKILL)
        wait_until(restarts)

    wait_until(alive)
    waits = [line.split("in_seconds=")[1].split()[0] for line in fleet.said().splitlines() if "in_seconds=" in line]
    assert [float(wait) for wait in waits] == sorted(float(wait) for wait in waits)
    assert float(waits[-1]) > float(waits[0])
    the.wait(the.put("noop"), "succeeded", 20)


@pytest.mark.slow
def test_a_child_whose_loop_is_blocked_is_killed_and_its_jobs_run_elsewhere(
    work: Work, the: Jobs, ledger: Ledger
) -> None:
    fleet = work("--processes", "2", "--lease", "2")
    fleet.ready(2)
    job = the.put("block_once", '{"seconds": 30}')
    wait_until(lambda: ledger.read("start"))
    blocked = ledger.read("start")[0]

    wait_until(lambda: not is_alive(blocked.pid), 6)
    assert time.monotonic() - blocked.at < 2 + 2

    the.wait(job, "succeeded", 20)
    assert the.attempts(job) == [(1, "lost"), (2, "succeeded")]
    assert ledger.read("end")[0].pid != blocked.pid


@pytest.mark.slow
def test_a_frozen_child_is_killed_and_its_jobs_run_elsewhere(work: Work, the: Jobs, ledger: Ledger) -> None:
    fleet = work("--processes", "2", "--lease", "2")
    fleet.ready(2)
    job = the.put("hold.async", '{"seconds": 1.0}')
    wait_until(lambda: ledger.read("alive"))
    frozen = ledger.read("start")[0].pid
    began = time.monotonic()

    os.kill(frozen, signal.SIGSTOP)

    wait_until(lambda: not is_alive(frozen), 6)
    assert time.monotonic() - began < 2 + 2
    the.wait(job, "succeeded", 20)
    assert ledger.overlaps() == []


@pytest.mark.slow
def test_a_roll_to_code_that_does_not_start_keeps_the_old_processes(work: Work, the: Jobs, tmp_path: Path) -> None:
    module = tmp_path / "rolling.py"
    good = "from pgqueue import App\napp = App()\n@app.task(name='noop')\nasync def noop() -> None: ...\n"
    module.write_text(good)
    fleet = work("--processes", "2", "--lease", "5", app="rolling:app", cwd=tmp_path)
    before = set(fleet.ready(2))

    module.write_text("raise RuntimeError('broken release')\n")
    fleet.send(signal.SIGHUP)
    wait_until(lambda: "broken release" in fleet.said())
    the.wait(the.put("noop"), "succeeded")
    assert before <= set(fleet.workers())

    module.write_text(good + "# mended\n")
    fleet.send(signal.SIGHUP)
    wait_until(lambda: len(fleet.workers()) == 2 and not before & set(fleet.workers()), 30)
    the.wait(the.put("noop"), "succeeded")


def one_line(fleet: Fleet) -> str:
    said = fleet.said()
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    return said


def test_options_that_make_no_sense_are_usage(work: Work) -> None:
    fleet = work("--processes", "3", "-c", "0")

    assert fleet.wait() == 2
    assert "concurrency: must be at least 1, got 0" in one_line(fleet)


def test_an_app_that_does_not_import_is_status_3(work: Work, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_like_this\n")

    fleet = work("--processes", "3", app="broken:app", cwd=tmp_path)

    assert fleet.wait() == 3
    assert "nothing_like_this" in one_line(fleet)
    assert "broken.py:1" in one_line(fleet)


def test_a_database_that_cannot_be_reached_is_status_4(work: Work) -> None:
    fleet = work("--processes", "3", address="host=127.0.0.1 port=1 dbname=x user=u password=secret")

    assert fleet.wait() == 4
    assert "secret" not in one_line(fleet)


def test_pending_migrations_are_status_5(work: Work, empty_dsn: str) -> None:
    fleet = work("--processes", "3", address=make_conninfo(empty_dsn))

    assert fleet.wait() == 5
    assert "pgq migrate" in one_line(fleet)


@pytest.mark.slow
def test_a_fleet_that_was_frozen_as_a_whole_keeps_its_processes(work: Work, the: Jobs) -> None:
    """A paused container, a machine that slept: the supervisor wakes first, and what it has not heard says nothing."""
    fleet = work("--lease", "2")
    (worker,) = fleet.ready()
    processes = [fleet.pid, *fleet.descendants()]
    for pid in reversed(processes):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)

    for pid in processes:
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.3)

    the.wait(the.put("hold.async", '{"seconds": 0.01}'), "succeeded")
    assert fleet.workers() == [worker]
    assert "is killed" not in fleet.said()
