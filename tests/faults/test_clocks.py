"""Workers whose clocks are ten minutes off: the database's clock decides, so nothing runs twice and nothing early (I7).

The clocks are turned by libfaketime (Debian's package faketime), the wall clock only: the monotonic clock of a machine
is never off.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fleet import Fleet
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]

OFF = {"-600": -600.0, "+0": 0.0, "+600": 600.0}
LEASE = 4.0


def find() -> Path | None:
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


@pytest.fixture(scope="module")
def faketime() -> Path:
    """The library; installed from Debian where that is possible."""
    if find() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for words in (["update"], ["install", "-y", "libfaketime"]):
            subprocess.run(["apt-get", *words], check=False, capture_output=True, timeout=40)
    found = find()
    if found is None:
        pytest.skip("libfaketime is missing: apt-get install libfaketime")
    return found


def test_workers_whose_clocks_are_ten_minutes_off_run_each_job_once_and_none_early(
    work: Callable[..., Fleet], the: Jobs, ledger: Ledger, faketime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleets = {}
    for offset in OFF:
        monkeypatch.setenv("LD_PRELOAD", str(faketime))
        monkeypatch.setenv("FAKETIME", f"{offset}s")
        monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        monkeypatch.setenv("DONT_FAKE_MONOTONIC", "1")
        fleets[offset] = work("--lease", str(LEASE), "-c", "6", app="tests.support.rough:app")
    for name in ("LD_PRELOAD", "FAKETIME"):
        monkeypatch.delenv(name)
    owners = {fleet.ready()[0]: offset for offset, fleet in fleets.items()}

    clocks = [the.put("clock") for _ in range(60)]
    jobs = [the.put("pause", '{"seconds": 0.1}') for _ in range(150)]
    began = time.monotonic()
    delayed = [
        int(the.conn.execute("select pgqueue.enqueue('pause', delay => '2 s')").fetchall()[0][0]) for _ in range(9)
    ]
    for job in (*clocks, *jobs, *delayed):
        the.wait(job, "succeeded", 20)

    seen = {round((the[job]["result"] - time.time()) / 600) for job in clocks}
    early = min(entry.at for entry in ledger.read("start") if entry.job in delayed) - began
    late = max(entry.at for entry in ledger.read("start") if entry.job in delayed) - began
    print(f"offsets seen {sorted(seen)}; jobs due in 2 s began after {early:.2f} to {late:.2f} s")
    assert len(seen) >= 2  # the clocks were off
    assert len(ledger.read("start")) == len(jobs) + len(delayed)
    # A busy machine may have some handed back, unrun; nothing was lost, failed or run twice.
    others = "select distinct outcome from pgqueue.attempts where outcome not in ('succeeded', 'released')"
    assert the.conn.execute(others).fetchall() == []
    assert early > 1.9
    assert late < 15

    kill_one_and_see_its_jobs_run_once_more(fleets["+600"], the, ledger, owners)


def kill_one_and_see_its_jobs_run_once_more(fleet: Fleet, the: Jobs, ledger: Ledger, owners: dict[int, str]) -> None:
    """The rescue is no other than with right clocks: the victim's jobs, and only these, run again."""
    held = [the.put("pause", '{"seconds": 1.0}') for _ in range(12)]
    wait_until(lambda: {entry.job for entry in ledger.read("start")} >= {*held})
    victim = next(pid for pid, offset in owners.items() if offset == "+600")
    fleet.send(signal.SIGKILL)
    os.kill(victim, signal.SIGKILL)

    for job in held:
        the.wait(job, "succeeded", 20)

    for job in held:
        starts = [entry.pid for entry in ledger.read("start", job)]
        ended = {entry.pid for entry in ledger.read("end", job)}
        assert len(starts) == (2 if starts[0] == victim and victim not in ended else 1)
    assert ledger.overlaps() == []
