"""A worker logs everything that happens to jobs with marked contents, and the contents stay out of the log."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pgqueue import App
from tests.leaks.canaries import ARGS, GROUP, KEY, META, RESULT, STEP, Log, activity, found_in
from tests.leaks.tasks import KINDS, WAYS
from tests.support.fleet import Fleet
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.running import Running
from tests.support.waiting import wait_until

SPEC = "tests.leaks.tasks:app"
SECRET = f'{{"secret": "{ARGS}"}}'

# Task and arguments, beside the ways of tasks.WAYS in three kinds of handlers.
ENDS = (
    ("typed", f'{{"number": "{ARGS}"}}'),
    ("typed", f'{{"{ARGS}": 1}}'),
    ("modelled", f'{{"order": {{"number": "{ARGS}"}}}}'),
    ("snoozing", SECRET),
    ("slow.async", SECRET),
    ("slow.cpu", SECRET),
    ("slow.thread", SECRET),
    ("broken backoff", SECRET),
    ("stepping", SECRET),
    ("completing", SECRET),
    ("not completing", SECRET),
    ("forgotten task", SECRET),
    ("producing", SECRET),
    ("dying.cpu", SECRET),
)
TERMINATE = """
select pg_terminate_backend(pid) from pg_stat_activity
where application_name like 'pgq%' and datname = current_database()"""
TOLD: dict[str, Any] = {"meta": f'{{"m": "{META}"}}'}

Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start workers in this process; they are stopped at once at the end."""
    running: list[Running] = []

    def begin(app: App, **options: Any) -> Running:
        running.append(Running(app, spec=SPEC, **{"shutdown_timeout_seconds": 5.0, "lease_seconds": 3.0, **options}))
        return running[-1].start()

    yield begin
    for worker in running:
        worker.stop()
        worker.stop()
        worker.join()


UNFINISHED = """
select id, task, state, args ->> 'way' as way from pgqueue.jobs where state not in ('succeeded', 'dead', 'cancelled')"""


def put_all(the: Jobs) -> None:
    """Enqueue a job of each way to end, with marked keys and groups."""
    for kind in KINDS:
        for way in WAYS:
            the.put(f"fail.{kind}", f'{{"way": "{way}", "secret": "{ARGS}"}}', **TOLD)
    for number, (task, arguments) in enumerate(ENDS):
        the.put(task, arguments, **TOLD, key=f"{KEY}-{number}", group_key=f"{GROUP}-{number}")


def all_ended(the: Jobs) -> None:
    """Wait for their ends."""
    try:
        wait_until(lambda: not the.conn.execute(UNFINISHED).fetchall(), 40)
    except AssertionError:
        raise AssertionError(the.conn.execute(UNFINISHED).fetchall()) from None


def test_no_way_to_end_a_job_writes_its_contents_to_the_log(app: App, start: Start, the: Jobs, log: Log) -> None:
    put_all(the)

    def fails(_: object) -> None:
        raise RuntimeError("an observer of the test")

    app.observers.add(fails)
    try:
        start(app, concurrency=20)
        all_ended(the)
    finally:
        app.observers.remove(fails)

    assert found_in(activity(the.conn)) == []
    assert found_in(log.text) == []
    assert log.text.count("job is dead") > 2 * 40
    assert "an observer failed" in log.text
    assert "the backoff of a task failed" in log.text


def test_neither_losing_the_lease_nor_the_connection_tells_of_contents(
    app: App, start: Start, the: Jobs, log: Log
) -> None:
    job = the.put("patient", SECRET, **TOLD, key=KEY, group_key=GROUP)
    worker = start(app)
    the.wait(job, "running")

    the.lose_workers()
    wait_until(lambda: "this worker was declared lost" in log.text)
    the.wait(job, "running", timeout=30)
    the.conn.execute(TERMINATE)
    wait_until(lambda: "connection failed" in log.text)
    assert found_in(activity(the.conn)) == []
    worker.stop()
    worker.stop()
    worker.join()

    assert found_in(log.text) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        # The messages, details and contexts that the server adds to these errors hold what was sent.
        ("alter table pgqueue.finished_jobs add check (result is null) not valid", "a statement was refused"),
        ("alter table pgqueue.dead_jobs add check (task = 'none') not valid", "a statement was refused"),
    ],
    ids=["results", "dead letters"],
)
def test_outcomes_that_the_database_refuses_are_not_shown(
    app: App, start: Start, the: Jobs, log: Log, broken: str, said: str
) -> None:
    the.conn.execute(broken)
    the.put("snoozing", SECRET, **TOLD)
    the.put("fail.async", f'{{"way": "Discard", "secret": "{ARGS}"}}', **TOLD, key=KEY)

    start(app)

    wait_until(lambda: said in log.text)
    assert found_in(activity(the.conn)) == []
    assert found_in(log.text) == []


def test_duties_that_the_database_refuses_tell_no_contents(app: App, start: Start, the: Jobs, log: Log) -> None:
    the.conn.execute("select pgqueue.schedule('s', 'typed', every => '1 s', args => %s::jsonb)", [SECRET])
    the.conn.execute("alter table pgqueue.job_args add check (args is null) not valid")

    start(app)

    wait_until(lambda: "a schedule cannot tick" in log.text)
    assert found_in(log.text) == []


@pytest.mark.slow
@pytest.mark.system
def test_a_fleet_prints_no_contents(dsn: str, secret_dsn: str, the: Jobs, ledger: Ledger, tmp_path: Path) -> None:
    put_all(the)
    words = (
        "--log-level",
        "debug",
        "--log-format",
        "console",
        "--processes",
        "1",
        "--shutdown-timeout",
        "1",
        "--lease",
        "3",
    )

    with Fleet(secret_dsn, ledger, tmp_path / "log", *words, "--shutdown-timeout", "1", app=SPEC) as fleet:
        fleet.ready()
        all_ended(the)
        stuck = [the.put(task, SECRET, **TOLD) for task in ("deaf", "stubborn", "patient")]
        wait_until(lambda: "stuck" in fleet.said(), 20)
        the.wait(stuck[1], "running")
        seen = activity(the.conn)
        fleet.send(signal.SIGUSR1)
        fleet.send(signal.SIGTERM)
        fleet.wait()

    assert found_in(seen) == []
    assert found_in(fleet.said()) == []


def test_what_was_looked_for_is_there(app: App, start: Start, the: Jobs) -> None:
    done = the.put("snoozing", SECRET, **TOLD)
    dead = the.put("stepping", SECRET, **TOLD)

    start(app)

    assert the.wait(done, "succeeded")["result"] == RESULT
    assert STEP in str(the.conn.execute("select * from pgqueue.job_steps").fetchall())
    assert ARGS in str(the.wait(dead, "dead")["args"])
