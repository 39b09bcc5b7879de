"""What must not end a supervisor, nor a process that works."""

import errno
import gc
import logging
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from pgqueue import App
from pgqueue.worker import overseer
from pgqueue.worker.attempt import ATTEMPT, FAILURES, ID, MAX_ATTEMPTS, Attempt
from pgqueue.worker.child_process import ChildProcess
from pgqueue.worker.crew import Crew
from pgqueue.worker.fleet import Fleet
from pgqueue.worker.fleet_options import FleetOptions
from pgqueue.worker.lease import Keepalive, Request
from pgqueue.worker.options import WorkerOptions
from pgqueue.worker.overseer import Overseer
from pgqueue.worker.settle import Outbox
from pgqueue.worker.sources import Sources
from pgqueue.worker.term import Lease
from tests.sql.engine import Worker
from tests.support.waiting import wait_until

Conn = psycopg.Connection[Any]


def test_reload_passes_by_what_editors_leave_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to nowhere beside a file that is being edited, as Emacs makes it."""
    monkeypatch.chdir(tmp_path)
    sources = Sources()
    (tmp_path / ".#app.py").symlink_to("ada@machine.1")

    quiet = sources.changed(time.monotonic())
    (tmp_path / "app.py").write_text("changed")

    assert not quiet
    assert sources.changed(time.monotonic() + 10)


def open_files() -> int:
    there = Path("/proc/self/fd")
    return len(list(there.iterdir())) if there.exists() else 0


@pytest.mark.parametrize("refused", ["subprocess.Popen", "pgqueue.worker.alarm.open_file"])
def test_a_process_that_the_system_refuses_does_not_end_those_that_work(
    refused: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no(*_: Any, **__: Any) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    fleet = Fleet(FleetOptions(app="a:app", dsn="", schema="pgqueue", worker=WorkerOptions()))
    monkeypatch.setattr(refused, no)
    gc.collect()  # other tests leave descriptors to it
    before = open_files()
    with pytest.raises(OSError, match="temporarily"):  # the very first one: said at once
        fleet._start()
    fleet._proven = True

    with caplog.at_level(logging.ERROR):
        fleet._start()
        fleet._start(only_suspects=True)

    assert "could not be started" in caplog.text
    assert len(fleet._restarts) == 1  # tried again later
    assert fleet._children == []
    assert not fleet._spares.may_start([], time.monotonic())
    assert open_files() <= before


def test_a_supervisor_that_stood_still_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(
        FleetOptions(app="a:app", dsn="", schema="pgqueue", worker=WorkerOptions(lease_seconds=2.0, burst=True))
    )
    child = ChildProcess({})
    killed: list[bool] = []
    child.ready, child._heard_at = True, time.monotonic()
    monkeypatch.setattr(child, "kill", lambda: killed.append(True))
    monkeypatch.setattr(fleet._coroner, "silent", lambda child, seconds: None)
    fleet._children.append(child)
    now = time.monotonic()
    fleet._look_after(now)

    fleet._look_after(now + 100.0)
    after_a_pause = list(killed)
    for turn in range(25):
        fleet._look_after(now + 100.0 + turn / 10)

    assert after_a_pause == []
    assert killed  # it had a lease to say something, and did not


async def test_a_process_that_was_frozen_gives_its_heartbeat_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop may turn before the thread that beats does: that one does not hang, it has not had its turn."""
    monkeypatch.setattr(overseer, "all_stacks", str)
    given_up: list[str] = []
    dead = [True]

    async def report_here(_: object) -> None:
        return None

    link: Any = SimpleNamespace(heartbeat_dead=lambda _: dead[0], notes=SimpleNamespace(report_here=report_here))
    crew: Any = SimpleNamespace(active=list)
    looks = Overseer(
        crew, link, WorkerOptions(), on_alive=lambda: None, recycle=lambda _: None, give_up=given_up.append
    )
    for _ in range(10):
        looks._check_heartbeat(time.monotonic())
    dead[0] = False
    looks._check_heartbeat(time.monotonic())
    dead[0] = True
    for _ in range(15):
        looks._check_heartbeat(time.monotonic())
    soon = list(given_up)
    for _ in range(15):
        looks._check_heartbeat(time.monotonic())

    assert soon == []
    assert given_up == ["heartbeat_dead"]


def test_a_request_that_is_refused_costs_neither_the_connection_nor_the_right_to_judge(dsn: str, conn: Conn) -> None:
    worker, pids = Worker(conn, lease="1 s"), set()
    answers: list[object] = []

    def duty(conn: Conn, schema: str) -> float:
        pids.add(conn.info.backend_pid)
        return 0.1

    keepalive = Keepalive(
        dsn, "pgqueue", Lease(1.0), worker_id=lambda: worker.id, describe=lambda: {"running": 0, "listener_pid": None},
        loop_turned_at=time.monotonic, on_beat=lambda jobs: None, on_lost=lambda worker_id: None,
        on_server=lambda server, witness: None, duties=[duty],
    )  # fmt: skip
    keepalive.start()
    try:
        bad = {"worker_id": worker.id, "host": "h", "pid": 1 << 40, "kind": "frozen", "jobs": [], "detail": "",
               "stack": None, "ago_seconds": 0}  # fmt: skip
        for refusals in range(1, 6):
            keepalive.ask(Request("note_incident", bad, answers.append, 1.0))
            wait_until(lambda wanted=refusals: len(answers) == wanted)
            time.sleep(0.25)
        steady = keepalive.steady()
    finally:
        keepalive.stop()

    assert [type(answer) for answer in answers] == [psycopg.errors.NumericValueOutOfRange] * 5
    assert len(pids) == 1
    assert steady


async def test_the_job_of_a_thread_that_was_given_up_is_held_until_its_outcome_is_recorded() -> None:
    """After a failover a worker hands back what its server says it has and it knows nothing of."""
    app = App()

    @app.task(name="slow")
    def slow() -> None: ...

    asked: list[Request] = []
    link: Any = SimpleNamespace(
        ask=asked.append,
        on_loop=lambda call, *args: call(*args),
        step_params=lambda token, claim, settle: settle,
        notes=SimpleNamespace(report=lambda incident: None),
    )
    crew = Crew(app, WorkerOptions(), Outbox(), link=link, app_spec=None)
    row = [None] * 30
    row[ID], row[FAILURES], row[MAX_ATTEMPTS], row[ATTEMPT] = 7, 0, 3, 1
    attempt = Attempt(row, app.tasks["slow"], "default", 99)
    attempt.stop_reason = "timeout"

    crew._overdue.give_up(attempt, "its stack", seconds=5.0)
    meanwhile = crew.holds()
    asked[0].reply([])

    assert meanwhile == [attempt]
    assert crew.holds() == []
    await crew.close()
