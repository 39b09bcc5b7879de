# ruff: noqa: E501 - SQL and names of tests are told on one line
"""What strangers and members of the small roles try, and what it does not get them."""

import threading
from typing import Any

import psycopg
import pytest

from tests.conftest import Connect
from tests.roles.conftest import As
from tests.roles.matrix import ENQUEUE
from tests.sql.engine import Worker, column, enqueue, rescue, scalar

SHADOWED = ("queued_jobs", "job_args", "job_keys", "settings", "job_ids", "pg_class", "pg_proc", "jsonb_each")
FUNCTIONS = {
    "clock_timestamp": ("()", "timestamptz"),
    "octet_length": ("(text)", "integer"),
    "jsonb_typeof": ("(jsonb)", "text"),
    "pg_notify": ("(text, text)", "void"),
    "format": ("(text, variadic text[])", "text"),
    "pg_column_size": ("(jsonb)", "integer"),
    "to_regclass": ("(text)", "regclass"),
    "set_config": ("(text, text, boolean)", "text"),
    "num_nulls": ('(variadic "any")', "integer"),
}
OPERATORS = (("=", "text"), ("@>", "jsonb"), ("->>", "jsonb"), ("<=", "integer"))
CALLS = (
    "select pgqueue.enqueue('t', '{\"a\": 1}')",
    "select pgqueue.enqueue('t', '{\"a\": 1}', key => 'k', limits => '\"x\"', fair_key => 'f', group_key => 'g')",
    'select pgqueue.enqueue_many(\'[{"task": "t", "key": "k2", "key_policy": "replace"}, {"task": "t"}]\')',
    'select pgqueue.enqueue_flow(\'{"jobs": [{"task": "a"}, {"task": "b", "after": [0]}]}\')',
)


def _shadow(conn: "psycopg.Connection[Any]", schema: str) -> None:
    """Tables, functions and operators named like those that our functions use, which tell with whose rights they ran."""
    for name in SHADOWED:
        conn.execute(f"create table {schema}.{name} (like pg_catalog.pg_class)".encode())
    body, silent = ("begin perform public.caught(); return null; end", "begin perform public.caught(); end")
    for name, (arguments, returned) in FUNCTIONS.items():
        if "any" in arguments:
            continue
        words = arguments.strip("()").replace("variadic ", "").split(", ") if arguments != "()" else []
        variadic = [
            f"variadic a{i} {w}" if "variadic" in arguments and i == len(words) - 1 else f"a{i} {w}"
            for i, w in enumerate(words)
        ]
        conn.execute(
            f"create function {schema}.{name}({', '.join(variadic)}) returns {returned} language plpgsql as $$ {silent if returned == 'void' else body} $$".encode()
        )
    for index, (sign, kind) in enumerate(OPERATORS):
        right = "text" if sign == "->>" else kind
        returned = "text" if sign == "->>" else "boolean"
        conn.execute(
            f"create function {schema}.op{index}(a {kind}, b {right}) returns {returned} language plpgsql as $$ {body} $$; "
            f"create operator {schema}.{sign} (leftarg = {kind}, rightarg = {right}, function = {schema}.op{index})".encode()
        )


@pytest.mark.parametrize("path", ["pg_temp, public, pg_catalog", "public, pg_catalog, pg_temp", "pg_temp"])
@pytest.mark.parametrize("where", ["pg_temp", "public"])
def test_an_attackers_tables_functions_and_operators_are_not_used(
    as_: As, conn: "psycopg.Connection[Any]", where: str, path: str
) -> None:
    conn.execute("grant create on schema public to public")
    conn.execute("create table public.catches (who text); grant insert on public.catches to public")
    conn.execute(
        "create function public.caught() returns void language sql as "
        "$$ insert into public.catches values (current_user) $$; grant execute on function public.caught() to public"
    )
    producer = as_("producer")
    _shadow(producer, where)
    producer.execute(f"set search_path = {path}".encode())
    before = scalar(conn, "select count(*) from pgqueue.queued_jobs")

    for call in CALLS:
        producer.execute(call.encode())

    assert column(conn, "select who from public.catches") == []
    assert scalar(conn, "select count(*) from pgqueue.queued_jobs") == before + 6


def test_that_attack_catches_a_function_that_does_not_set_its_path(as_: As, conn: "psycopg.Connection[Any]") -> None:
    conn.execute("create table public.catches (who text); grant insert on public.catches to public")
    conn.execute(
        "create function public.caught() returns void language sql as $$ insert into public.catches values (current_user) $$"
    )
    conn.execute(
        "create function pgqueue.careless() returns boolean language plpgsql security definer "
        "as $$ begin return octet_length('x') = 1; end $$; grant execute on function pgqueue.careless to pgqueue_producer"
    )
    conn.execute("grant create on schema public to public")
    producer = as_("producer")
    _shadow(producer, "public")
    producer.execute("set search_path = public, pg_catalog, pg_temp")

    producer.execute("select pgqueue.careless()")

    owner = scalar(conn, "select current_user")
    assert column(conn, "select distinct who from public.catches") == [owner]


def test_a_caller_keeps_its_own_path_and_role(as_: As) -> None:
    producer = as_("producer")
    producer.execute("set search_path = public")
    me = scalar(producer, "select current_user")

    enqueue(producer)

    assert scalar(producer, "show search_path") == "public"
    assert scalar(producer, "select current_user") == me


def test_a_stranger_gets_nothing(as_: As, conn: "psycopg.Connection[Any]") -> None:
    stranger = as_("stranger")

    for name, arguments in conn.execute(
        "select proname, pronargs - pronargdefaults from pg_proc where pronamespace = 'pgqueue'::regnamespace"
    ).fetchall():
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(f"select pgqueue.{name}({', '.join(['null'] * arguments)})".encode())
    for (name,) in conn.execute(
        "select relname from pg_class where relnamespace = 'pgqueue'::regnamespace and relkind in ('r', 'p', 'v')"
    ).fetchall():
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(f"select * from pgqueue.{name}".encode())


def test_forged_notifications_and_listeners_decide_nothing(as_: As, conn: "psycopg.Connection[Any]") -> None:
    stranger = as_("stranger")
    channels = column(conn, "select pgqueue.wake_channel(q) from unnest(array['default', null, '']) q")
    for channel in channels:
        stranger.execute(f"listen {channel}".encode())
    job = enqueue(conn, "t", args={"secret": "canary"})

    for channel in channels:
        stranger.execute("select pg_notify(%s, %s)", [channel, '{"cancel": 1, "id": 1}'])

    heard = list(stranger.notifies(timeout=0.2))
    assert {notify.payload for notify in heard} <= {"", '{"cancel": 1, "id": 1}'}
    assert scalar(conn, "select state from pgqueue.jobs where id = %s", job) == "ready"
    assert [lease.id for lease in Worker(conn).claim()] == [job]


def test_a_strangers_advisory_locks_hold_nothing_up_but_what_is_made_ahead(
    as_: As, conn: "psycopg.Connection[Any]"
) -> None:
    stranger = as_("stranger")
    keys = column(conn, "select pgqueue.wake_key(q) from unnest(array['default', null, '', 'g']) q")
    lanes = "select hashtextextended('pgqueue' || chr(31) || k || chr(31) || 'default' || chr(31) || 'g', 20261122) from unnest(array['group', 'fair']) k"
    for key in [*keys, *column(conn, lanes)]:
        stranger.execute("select pg_advisory_lock(%s)", [key])
    conn.execute("set statement_timeout = '5s'")
    worker = Worker(conn)

    plain = enqueue(conn)
    grouped = enqueue(conn, group_key="g")

    leases = worker.claim()
    assert plain in {lease.id for lease in leases}
    assert worker.done(*leases) == []
    stranger.execute("select pg_advisory_unlock_all()")
    assert grouped in {lease.id for lease in [*leases, *worker.claim()]}
    assert rescue(conn) == []


def test_a_job_named_like_a_function_of_python_stays_unknown(dsn: str, conn: "psycopg.Connection[Any]") -> None:
    from pgqueue import App
    from tests.support.running import Running

    app = App(dsn)
    ran = threading.Event()

    @app.task(name="known")
    def known() -> None:
        ran.set()

    forged = [
        enqueue(conn, name, args={"command": "true"})
        for name in ("os.system", "os:system", "builtins.eval", "tests.roles.matrix")
    ]
    enqueue(conn, "known")
    worker = Running(app)
    worker.start()
    try:
        assert ran.wait(10)
    finally:
        worker.stop()
        worker.join()
        app.close()

    assert column(conn, "select distinct state from pgqueue.jobs where id = any(%s)", forged) == ["ready"]
    assert column(conn, "select attempt from pgqueue.jobs where id = any(%s)", forged) == [0] * 4


def test_only_functions_that_enqueue_answer_a_producer(as_: As, conn: "psycopg.Connection[Any]") -> None:
    producer = as_("producer")
    open_to_it = column(
        producer,
        "select proname from pg_proc where pronamespace = 'pgqueue'::regnamespace and has_function_privilege(oid, 'execute')",
    )

    assert set(open_to_it) == ENQUEUE


def test_a_worker_cannot_make_years_of_partitions_or_drop_history(as_: As, connect: Connect) -> None:
    worker = as_("worker")

    for statement, sqlstate in (
        ("select pgqueue.make_partitions('2020-01-01', 100000)", "PQ004"),
        ("select pgqueue.make_partitions('1800-01-01', 1)", "PQ004"),
        ("drop table pgqueue.dead_jobs", "42501"),
        ("update pgqueue.settings set max_args_bytes = 1", "42501"),
        ("select pgqueue.pause('default')", "42501"),
        ("select pgqueue.grant_roles()", "42501"),
    ):
        with pytest.raises(psycopg.Error) as refused:
            worker.execute(statement.encode())
        assert refused.value.sqlstate == sqlstate
    for partition in column(
        connect(),
        "select relname from pg_class where relispartition and relnamespace = 'pgqueue'::regnamespace and relkind = 'r'",
    ):
        assert scalar(worker, "select pgqueue.drop_day(%s)", partition) is False
    for name in ("dead_jobs", "job_args", "nothing", "", None, "x; drop table pgqueue.dead_jobs"):
        assert scalar(worker, "select pgqueue.drop_day(%s)", name) is False
