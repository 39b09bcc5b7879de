"""What a heartbeat says of a loop that stands still, what the watch sees, and what a supervisor finds out."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import psycopg
import pytest

from pgqueue.worker import alarm, coroner, outside, stacks
from pgqueue.worker.incident import Incident
from pgqueue.worker.lease import Keepalive
from pgqueue.worker.term import Lease
from pgqueue.worker.watch import Watch
from tests.sql.engine import Worker, scalar
from tests.support.waiting import wait_until

Conn = psycopg.Connection[Any]


def test_the_lease_of_a_blocked_loop_counts_from_when_it_turned_last(dsn: str, conn: Conn) -> None:
    registered = Worker(conn, lease="3 s")
    lease, turned_at = Lease(3.0), time.monotonic()
    keepalive = Keepalive(
        dsn, "pgqueue", lease, worker_id=lambda: registered.id,
        describe=lambda: {"running": 0, "listener_pid": None}, loop_turned_at=lambda: turned_at,
        on_beat=lambda jobs: None, on_lost=lambda worker_id: None, on_server=lambda server, witness: None, duties=[],
    )  # fmt: skip
    stood_at = scalar(conn, "select clock_timestamp()")
    keepalive.start()
    try:
        wait_until(lambda: lease.until is not None and time.monotonic() > turned_at + 2.5)
        late = scalar(conn, "select heartbeat_at - %s from pgqueue.worker_processes", stood_at).total_seconds()
    finally:
        keepalive.stop()

    assert late < 0.8  # the beats at 1 and 2 s have not moved it
    assert lease.until is not None
    assert lease.until < turned_at + 3.8


def test_the_watch_reports_a_blocked_loop_once_and_takes_it_back() -> None:
    turned_at = [time.monotonic()]
    reports: list[Incident] = []
    recovered = threading.Event()
    watch = Watch(
        1.0,
        loop_turned_at=lambda: turned_at[0],
        running=list,
        on_loop=lambda: None,
        report=reports.append,
        recovered=recovered.set,
    )
    watch.start()
    try:
        wait_until(lambda: reports)
        seen_after = time.monotonic() - turned_at[0]
        assert not recovered.wait(0.3)
        turned_at[0] = time.monotonic()
        assert recovered.wait(5)
    finally:
        watch.stop()

    (report,) = reports
    assert report.kind == "loop_blocked"
    assert seen_after >= 0.5
    assert "test_the_watch_reports_a_blocked_loop_once_and_takes_it_back" in (report.stack or "")


def test_stacks_name_places_and_nothing_else() -> None:
    secret, stop = "a secret argument", threading.Event()

    def wait_here(argument: str) -> None:
        stop.wait(20)
        assert argument

    thread = threading.Thread(target=wait_here, args=(secret,), name="waiting", daemon=True)
    thread.start()
    try:
        wait_until(lambda: "wait_here" in stacks.stack_of(thread.ident))
        everything = stacks.all_stacks(thread.ident)
    finally:
        stop.set()

    assert everything.startswith("Thread waiting:\n")
    assert "stop.wait" not in everything  # no source lines either
    assert secret not in everything


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_supervisor_says_where_a_stopped_process_stands_and_tells_a_living_one() -> None:
    said: list[bytes] = []

    class Child:
        def __init__(self, pid: int, worker_id: int) -> None:
            self.pid, self.worker_id, self.stacks_fd = pid, worker_id, alarm.open_file()
            self.ready, self.dismissed, self.killed, self.only_suspects = True, False, True, False
            self.silent = 0.0

        def silent_for(self, now: float) -> float:
            return self.silent

        def read(self) -> bytes:
            return b""

        def flush(self) -> None: ...

        def say(self, message: bytes) -> None:
            said.append(message)

    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        os.kill(process.pid, signal.SIGSTOP)
        wait_until(lambda: outside.state(process.pid) == "T")
        stopped, well = Child(process.pid, 7), Child(os.getpid(), 8)
        stopped.silent = 5.0
        children: list[Any] = [stopped, well]
        examiner = coroner.Coroner(lambda: children, 3.0)

        assert examiner.doubts(children[0], 0.0)
        assert not examiner.doubts(children[1], 0.0)
        examiner.silent(children[0], 5.0)
        process.kill()
    examiner.ended(children[0], -signal.SIGKILL)
    examiner.deliver(0.0)
    examiner.deliver(0.0)  # each is told once

    findings = [json.loads(line) for line in said]
    assert [(found["worker_id"], found["kind"]) for found in findings] == [(7, "frozen"), (7, "ended")]
    assert "State:" in findings[0]["stack"]
    assert "SIGKILL, which its supervisor sent" in findings[1]["detail"]
    assert Incident(**findings[0]).params(8)["worker_id"] == 7
    for child in children:
        os.close(child.stacks_fd)
