"""Calls of the Python client that fail: no marked content in the log, no password in any exception, and what is refused
is not repeated at length.
"""

import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgqueue import App, chain, group
from pgqueue.embedded import Server
from pgqueue.errors import PgQueueError
from pgqueue.migrate import upgrade
from tests.leaks import tasks
from tests.leaks.canaries import ALL, ARGS, GROUP, KEY, META, PASSWORD, Log, activity, found_in
from tests.leaks.shell import ADDRESSES, Shell
from tests.leaks.tasks import fail, modelled, patient, typed

LONG = ARGS * 100
Calls = dict[str, Callable[[App], Any]]

# Each of them is refused by an error of ours.
REFUSED: Calls = {
    "another type": lambda app: typed.enqueue(number=ARGS),
    "an unknown argument": lambda app: typed.enqueue(number=1, other=ARGS),
    "too many arguments": lambda app: typed.enqueue(1, ARGS, LONG),
    "a long value of another type": lambda app: typed.enqueue(number=LONG),
    "a list of another type": lambda app: typed.enqueue(number=[LONG]),
    "no model": lambda app: modelled.enqueue(order={"number": LONG}),
    "an integer that cannot be shown": lambda app: patient.enqueue(secret=10**5000),
    "a NUL": lambda app: patient.enqueue(secret=f"{ARGS}\x00"),
    "a surrogate": lambda app: patient.enqueue(secret=f"{ARGS}\ud800"),
    "too many bytes": lambda app: patient.enqueue(secret=ARGS * 100_000),
    "meta that is none": lambda app: patient.using(meta=META * 100).enqueue(secret=ARGS),
    "meta with a set": lambda app: patient.using(meta={"m": {META}}).enqueue(secret=ARGS),
    "a long key": lambda app: patient.using(key=KEY * 100).enqueue(secret=ARGS),
    "a key that is none": lambda app: patient.using(key=[KEY * 100]).enqueue(secret=ARGS),
    "a long group": lambda app: patient.using(group_key=GROUP * 100).enqueue(secret=ARGS),
    "a bad option": lambda app: patient.using(delay=timedelta(days=-1)).enqueue(secret=ARGS),
    "an unknown option": lambda app: patient.using(dealy=LONG).enqueue(secret=ARGS),
    "a taken key": lambda app: patient.using(key=KEY, key_policy="raise").enqueue(secret=ARGS),
    "a taken key among many": lambda app: app.enqueue_many(
        [patient.job(secret=ARGS), patient.using(key=KEY, key_policy="raise").job(secret=ARGS)]
    ),
    "a full queue": lambda app: patient.using(queue="full", meta={"m": META}).enqueue(secret=ARGS),
    "a full queue of many": lambda app: app.enqueue_many([patient.using(queue="full").job(secret=ARGS)] * 2),
    "a full queue of a flow": lambda app: chain(patient.using(queue="full").job(secret=ARGS), typed.job(1)).enqueue(),
    "a flow with a taken key": lambda app: group(
        typed.job(1), patient.using(key=KEY, key_policy="raise").job(secret=ARGS)
    ).enqueue(),
    "another connection": lambda app: patient.using(conn=LONG).enqueue(secret=ARGS),
    "an id that is none": lambda app: app.cancel(LONG),  # type: ignore[arg-type]
    "a queue that is none": lambda app: app.pause(LONG + "\x00"),
    "an unknown job": lambda app: app.retry(999_999),
    "a limit that is none": lambda app: patient.using(limits={"l": [LONG]}).enqueue(secret=ARGS),
    "a name that is no task": lambda app: app.named(LONG),
}


def told(error: BaseException) -> str:
    """All that an exception says, with what it came of."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(getattr(error, "__cause__", ""))


@pytest.fixture
def filled(app: App, conn: "psycopg.Connection[Any]") -> App:
    """A queue that is full, and a key that is taken."""
    conn.execute("select pgqueue.enqueue('patient', queue => 'full')")
    conn.execute("select pgqueue.set_queue('full', max_depth => 1)")
    conn.execute("select pgqueue.enqueue('patient', key => %s)", [KEY])
    return app


@pytest.mark.parametrize("way", REFUSED)
def test_a_refused_call_logs_nothing_and_does_not_repeat_what_it_got(
    filled: App, conn: "psycopg.Connection[Any]", log: Log, way: str
) -> None:
    with pytest.raises((PgQueueError, TypeError)) as caught:
        REFUSED[way](filled)

    assert found_in(log.text) == []
    assert found_in(activity(conn)) == []
    assert PASSWORD not in told(caught.value)
    assert max(str(caught.value).count(canary) for canary in ALL) < 10


def test_the_app_and_its_jobs_show_neither_password_nor_contents(app: App) -> None:
    pending_job = fail.using(meta={"m": META}).job(way="Discard", secret=ARGS)
    handle = pending_job.task.using(meta={"m": META}).enqueue(way="Discard", secret=ARGS)

    shown = f"{app!r} {app} {pending_job!r} {handle!r} {fail!r} {app.client!r} {tasks.app.tasks!r}"

    assert found_in(shown) == []


def test_errors_of_the_database_are_not_logged_with_what_was_sent(
    app: App, conn: "psycopg.Connection[Any]", log: Log
) -> None:
    conn.execute("alter table pgqueue.job_args add check (args is null) not valid")

    with pytest.raises((PgQueueError, psycopg.Error)):
        patient.using(meta={"m": META}).enqueue(secret=ARGS)

    assert found_in(log.text) == []
    assert found_in(activity(conn)) == []


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_app_that_cannot_connect_does_not_say_the_password(no_pgq_variables: None, log: Log, address: str) -> None:
    found = []
    for use in (lambda: App(address, pool_timeout=1.0).backlog(), lambda: upgrade(address)):
        with pytest.raises((PgQueueError, psycopg.Error)) as caught:
            use()
        found += found_in(told(caught.value))

    assert found == []
    assert found_in(log.text) == []


def test_a_database_without_the_schema_is_told_without_contents(
    empty_dsn: str, no_pgq_variables: None, log: Log
) -> None:
    app = App(make_conninfo(empty_dsn, password=PASSWORD))
    task = app.task(name="t")(lambda secret: None)

    with pytest.raises(PgQueueError) as caught, app:
        task.enqueue(secret=ARGS)

    assert found_in(told(caught.value)) == []
    assert found_in(log.text) == []


@pytest.mark.slow
def test_a_wrong_password_is_not_repeated(
    start_server: Callable[..., Server], no_pgq_variables: None, shell: Shell, log: Log
) -> None:
    server = start_server(tcp=True)
    rules = next(server.home.rglob("pg_hba.conf"))
    rules.write_text(f"host all stranger all scram-sha-256\n{rules.read_text()}")
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        conn.execute("create role stranger login password 'another'")
        conn.execute("select pg_reload_conf()")
    found = conninfo_to_dict(server.dsn())
    address = make_conninfo(host="127.0.0.1", port=found["port"], dbname="postgres", user="stranger", password=PASSWORD)

    with pytest.raises((PgQueueError, psycopg.Error)) as caught:
        App(address).backlog()
    status, printed = shell("jobs", "ls", "--dsn", address)

    assert (status, printed.count("password authentication failed")) == (4, 1)
    assert found_in(printed) == []
    assert found_in(told(caught.value)) == []
    assert found_in(log.text) == []
