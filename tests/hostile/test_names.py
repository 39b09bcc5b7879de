"""A name, wherever it may stand, either works through the whole life of a job, unharmed, or is refused by the call, and
the caller's transaction goes on. No name becomes a part of a statement: a marked table stays.
"""

import ast
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqueue import App, group
from pgqueue.errors import ConfigError, UsageError
from pgqueue.migrate import upgrade
from pgqueue.schema import render, valid_schema
from tests.hostile.names import BOUNDED, HOSTILE, MARKER, NAMES, TROUBLE
from tests.leaks.shell import Shell
from tests.sql.engine import Worker

if TYPE_CHECKING:
    from tests.worker.conftest import Jobs, Start

Conn = psycopg.Connection[Any]
PLACES = ("task", "queue", "key", "group_key", "fair_key", "limit", "limit_key", "flow", "meta")
SPEAKS = "select to_regclass('public.marker') is not null"


@pytest.fixture
def marked(conn: Conn) -> Conn:
    conn.execute(MARKER)
    return conn


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def unharmed(conn: Conn) -> None:
    assert conn.execute(SPEAKS).fetchone() == (True,)


class Producer:
    """Sends a job with a name in one place, in the caller's transaction."""

    def __init__(self, conn: Conn, dsn: str) -> None:
        self.conn = conn
        self.dsn = dsn

    def send(self, place: str, name: str) -> int:
        app = App(self.dsn)
        task: Any = app.task(name=name if place == "task" else "t")(nothing)
        match place:
            case "limit":
                bound = task.using(limits=[name])
            case "limit_key":
                bound = task.using(limits={"l": name})
            case "meta":
                bound = task.using(meta={name: [name]})
            case "flow":
                return int(group(task.job(), name=name).enqueue(conn=self.conn).jobs[0].id)
            case "task":
                bound = task.using()
            case _:
                bound = task.using(**{place: name})
        return int(bound.using(conn=self.conn).enqueue().id)

    def stored(self, place: str, job_id: int) -> Any:
        """The name as the database has it."""
        query = {
            "limit": "select (limits -> 0) #>> '{}' from pgqueue.job_args where id = %s",
            "flow": "select f.name from pgqueue.flows f join pgqueue.flow_nodes n on n.flow_id = f.id where n.id = %s",
            "meta": "select k from pgqueue.jobs j, jsonb_each(j.meta) e (k, v) where j.id = %s and v ->> 0 = k",
        }.get(place, f"select {place} from pgqueue.jobs where id = %s")
        row = self.conn.execute(query.encode(), [job_id]).fetchone()
        return row and row[0]


def nothing() -> None: ...


def live(conn: Conn, job_id: int) -> str:
    """Claim and settle a job as a worker does; its state then."""
    queue, task = conn.execute("select queue, task from pgqueue.jobs where id = %s", [job_id]).fetchall()[0]
    worker = Worker(conn, queues=[queue], tasks=[task])
    leases = worker.claim(queue=queue)
    assert job_id in [lease.id for lease in leases]
    worker.settle(*(lease.outcome("succeeded") for lease in leases))
    worker.leave()
    return str(conn.execute("select state from pgqueue.jobs where id = %s", [job_id]).fetchall()[0][0])


@pytest.mark.parametrize("place", PLACES)
def test_a_name_lives_a_whole_life_or_is_refused_before_any_sql(marked: Conn, dsn: str, place: str) -> None:
    producer = Producer(marked, dsn)
    worked = 0

    def check(name: str) -> None:
        nonlocal worked
        with marked.transaction():
            try:
                job_id = producer.send(place, name)
            except UsageError:
                unharmed(marked)  # the caller's transaction goes on
                return
            unharmed(marked)
        if place == "limit":
            marked.execute("select pgqueue.set_limit(%s, concurrency => 1000)", [name])
        if place not in {"limit", "limit_key", "fair_key"}:
            assert producer.stored(place, job_id) == name
        assert live(marked, job_id) == "succeeded"
        worked += 1

    marked.execute("select pgqueue.set_limit('l', concurrency => 1000)")
    for name in HOSTILE:
        check(name)
    assert worked == len(HOSTILE)
    BOUNDED(given(NAMES)(check))()


VERBS: dict[str, Callable[[App, Conn, str], Any]] = {
    "pause": lambda app, conn, name: app.pause(name, conn=conn),
    "resume": lambda app, conn, name: app.resume(name, conn=conn),
    "backlog": lambda app, conn, name: app.backlog(name, conn=conn),
    "redrive a queue": lambda app, conn, name: app.redrive(queue=name, conn=conn),
    "redrive a task": lambda app, conn, name: app.redrive(task=name, conn=conn),
}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_take_any_name_or_refuse_it_before_any_sql(marked: Conn, dsn: str, verb: str) -> None:
    app = App(dsn)

    def check(name: str) -> None:
        with marked.transaction():
            with contextlib.suppress(UsageError):
                VERBS[verb](app, marked, name)
            unharmed(marked)

    for name in HOSTILE + TROUBLE:
        check(name)
    BOUNDED(given(NAMES)(check))()


class Refused(Exception):  # noqa: N818 - by an SQLSTATE of ours
    """The database said why not."""


@contextlib.contextmanager
def ours() -> Iterator[None]:
    """Let only errors of other SQLSTATEs through as what they are."""
    try:
        yield
    except psycopg.Error as error:
        if (error.sqlstate or "").startswith("PQ"):
            raise Refused from error
        raise


def test_sql_takes_any_name_or_refuses_it_with_our_sqlstate(marked: Conn) -> None:
    put = "select pgqueue.enqueue(%s, queue => %s, key => %s, group_key => %s, fair_key => %s, meta => %s::jsonb)"
    many = "select pgqueue.enqueue_many(%s::jsonb)"

    def check(name: str) -> None:
        named = {"task": name, "queue": name, "key": f"many {name}", "group_key": name, name: name}
        for query, values in (
            (put, [name, name, name, name, name, json.dumps({name: name})]),
            (many, [json.dumps([named])]),
            ("select pgqueue.schedule(%s, %s, every => '1 h', queue => %s)", [name, name, name]),
            ("select pgqueue.set_queue(%s, fair => true)", [name]),
            ("select pgqueue.set_share(%s, %s, 3)", [name, name]),
            ("select pgqueue.set_limit(%s, concurrency => 2)", [name]),
        ):
            with contextlib.suppress(Refused), ours():
                marked.execute(query.encode(), values)
            unharmed(marked)

    for name in HOSTILE:
        check(name)
    BOUNDED(given(NAMES.filter(is_text))(check))()


def is_text(name: str) -> bool:
    """Whether PostgreSQL can have it as a text at all; the driver refuses the rest."""
    return "\x00" not in name and not any("\ud800" <= character <= "\udfff" for character in name)


COMMANDS = (
    ["enqueue", "{}", "--queue", "q"],
    ["enqueue", "t", "--queue", "{}", "--key", "{}"],
    ["jobs", "ls", "--queue", "{}"],
    ["jobs", "ls", "--key", "{}", "--json"],
    ["jobs", "ls", "--task", "{}"],
    ["queues", "pause", "--", "{}"],
    ["queues", "resume", "--", "{}"],
    ["queues", "set", "--fair", "--", "{}"],
    ["queues", "ls"],
    ["dlq", "ls", "--queue", "{}", "--task", "{}"],
    ["dlq", "redrive", "-y", "--queue", "{}"],
    ["limits", "set", "--concurrency", "1", "--", "{}"],
    ["limits", "ls"],
    ["limits", "rm", "--", "{}"],
    ["schedules", "add", "--every", "1h", "--", "{}", "{}"],
    ["schedules", "ls"],
    ["schedules", "pause", "--", "{}"],
    ["schedules", "rm", "--", "{}"],
)


@pytest.mark.slow
def test_commands_take_any_name_or_refuse_it_with_one_line(
    marked: Conn, dsn: str, no_pgq_variables: None, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    monkeypatch.setenv("PGQ_DSN", dsn)

    for name in (*HOSTILE[:9:2], "-q", "", "\udcff", "x" * 300):
        for words in COMMANDS:
            status, printed = shell(*(word.replace("{}", name) for word in words))
            assert status in {0, 1, 2}, (words, name, printed)
            assert "Traceback" not in printed, (words, name)
            assert "an error in pgqueue itself" not in printed, (words, name, printed)
            assert "\x1b" not in printed, (words, name)
        unharmed(marked)


def test_workers_serve_tasks_and_queues_of_any_name(app: App, start: "Start", the: "Jobs") -> None:
    handles = [app.task(name=name, queue=name)(nothing).using(key=name).enqueue() for name in HOSTILE]

    start(app)

    for handle, name in zip(handles, HOSTILE, strict=True):
        done = the.wait(handle, "succeeded")
        assert (done["task"], done["queue"], done["key"]) == (name, name, name)


def test_channels_are_names_of_any_queue(marked: Conn) -> None:
    channels = set()
    for name in HOSTILE:
        channel = marked.execute("select pgqueue.wake_channel(%s)", [name]).fetchall()[0][0]
        marked.execute(psycopg.sql.SQL("listen {}").format(psycopg.sql.Identifier(channel)))
        channels.add(channel)

    assert len(channels) == len(HOSTILE)
    assert max(len(channel.encode()) for channel in channels) < 64


def test_a_schema_is_a_name_of_postgresqls_or_refused(conn: Conn) -> None:
    conn.execute(MARKER)

    def check(name: str) -> None:
        try:
            valid_schema(name)
        except ConfigError:
            return
        for text in ("create schema pgqueue;", "create table pgqueue.t ();", "drop table pgqueue.t;"):
            conn.execute(render(text, name).encode())
        assert conn.execute(render("select 'pgqueue'", name).encode()).fetchone() == (name,)
        with_values = render("select 'pgqueue', %s", name, for_psycopg=True)
        assert conn.execute(with_values.encode(), [1]).fetchone() == (name, 1)
        unharmed(conn)
        conn.execute(psycopg.sql.SQL("drop schema {}").format(psycopg.sql.Identifier(name)))

    names = [name for name in HOSTILE if len(name.encode()) < 64 and not name.startswith("pg_")]
    for name in names:
        check(name)
    BOUNDED(given(st.text(max_size=64))(check))()


@pytest.mark.slow
@pytest.mark.parametrize("schema", ["a'b\"c\\d%s", "x" * 63, "é 🐘\n;--", "Select"])
def test_a_schema_of_any_name_works(
    empty_dsn: str, schema: str, no_pgq_variables: None, shell: Shell, start: "Start"
) -> None:
    upgrade(empty_dsn, schema)
    app = App(empty_dsn, schema=schema)
    handle = app.task(name="t")(nothing).using(key="k").enqueue()

    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute(MARKER)
        start(app)
        handle.result(timeout=20)
        status, printed = shell("jobs", "ls", "--dsn", empty_dsn, "--schema", schema)
        unharmed(conn)
    app.close()

    assert (status, "succeeded" in printed) == (0, True)


def test_statements_that_know_placeholders_are_sent_with_parameters(repository: Path) -> None:
    """A % in the name of a schema is doubled in them, and made one again only where there are parameters."""
    found = [
        f"{file}:{call.lineno}"
        for file in (repository / "pgqueue").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and len(call.args) == 1 and not call.keywords
        if isinstance(call.func, ast.Attribute) and call.func.attr == "execute"
        if isinstance(call.args[0], ast.Call) and ast.unparse(call.args[0].func).endswith(("statement", "text"))
    ]

    assert found == []
