"""What the functions must not depend on: the caller's search_path, the schema's name, the caller's isolation."""

import psycopg
import pytest
from psycopg import IsolationLevel

from pgqueue.migrate import upgrade
from pgqueue.schema import render
from tests.conftest import Connect
from tests.sql.engine import (
    Conn,
    Worker,
    cancel,
    complete,
    enqueue,
    enqueue_many,
    guard,
    job,
    redrive,
    rescue,
    retry,
    scalar,
    state,
    sweep,
)  # fmt: skip

# A schema before pg_catalog with functions, an operator and tables that would lead every name astray.
SHADOWS = """
create schema evil;
create function evil.clock_timestamp() returns timestamptz language sql as 'select timestamptz ''1999-01-01''';
create function evil.now() returns timestamptz language sql as 'select timestamptz ''1999-01-01''';
create function evil.jsonb_typeof(jsonb) returns text language sql as 'select ''evil''';
create function evil.octet_length(text) returns integer language sql as 'select 0';
create function evil.nextval(regclass) returns bigint language sql as 'select 666::bigint';
create function evil.least(timestamptz, timestamptz) returns timestamptz language sql as 'select null::timestamptz';
create function evil.pg_try_advisory_lock(bigint) returns boolean language plpgsql as $$ begin raise 'evil'; end $$;
create function evil.format(text, variadic text[]) returns text language sql as 'select ''evil''';
create function evil.never(bigint, bigint) returns boolean language sql as 'select false';
create operator evil.= (leftarg = bigint, rightarg = bigint, function = evil.never);
create table evil.queued_jobs (id bigint);
create table evil.job_keys (id bigint);
"""


def test_i4_a_callers_search_path_leads_no_function_astray(connect: Connect, conn: Conn) -> None:
    conn.execute(SHADOWS)
    caller = connect()
    caller.execute("set search_path = evil, pg_catalog")
    caller.execute("create temp table queued_jobs (id bigint)")

    worker = Worker(caller)
    plain, keyed = enqueue(caller, args={"v": 1}), enqueue(caller, key="k")
    again = enqueue(caller, key="k", key_policy="replace")
    many = enqueue_many(caller, [{"task": "t", "key": "m"}, {"task": "t", "delay": "1 hour"}])
    leases = worker.claim()
    guard(caller, leases[0])
    complete(caller, leases[0])
    worker.settle(leases[1].outcome("dead"))
    cancelled = cancel(caller, many[1])
    asked = cancel(caller, many[0])
    beat = worker.beat()
    worker.conn = conn
    worker.fall_silent()

    assert (again, [lease.id for lease in leases]) == (keyed, [plain, keyed, many[0]])
    assert (cancelled, asked, beat) == ("scheduled", "running", [many[0]])
    assert [row["jobs"] for row in rescue(caller)] == [1]
    assert redrive(caller) == 1
    assert retry(caller, many[1]) == many[1]
    assert sweep(caller) == 0
    assert [state(conn, job_id) for job_id in (plain, keyed, *many)] == ["succeeded", "ready", "cancelled", "ready"]
    assert job(conn, keyed)["created_at"].year > 2000


@pytest.mark.parametrize("name", ['Q "x"', "pgqueue.pgqueue", "größe; drop schema public", "%s{}\\'", "x" * 63])
def test_the_functions_work_in_a_schema_of_any_name(connect: Connect, empty_dsn: str, name: str) -> None:
    upgrade(empty_dsn, schema=name)
    with psycopg.connect(empty_dsn, autocommit=True) as conn:

        def call(statement: str, *params: object) -> object:
            return scalar(conn, render(statement, name, for_psycopg=True), *params)

        first = call("select pgqueue.enqueue('t', '{\"v\": 1}', key => 'k')")
        assert call("select pgqueue.enqueue('t', key => 'k')") == first
        second = call('select min(x) from pgqueue.enqueue_many(\'[{"task": "t"}]\') x')
        assert call("select pgqueue.register_worker(1, 'h', 1, '{default}', '{t}', 1, interval '15 s')") is True
        statement = "select id from pgqueue.step(1, 0, 7, 'default', '{t}', 10) where kind = 'job'"
        rows = conn.execute(render(statement, name, for_psycopg=True), ())
        assert [row[0] for row in rows] == [first, second]
        call("select pgqueue.complete(%s, 7, '1')", first)
        assert call("select pgqueue.cancel(%s)", second) == "running"
        assert call("select pgqueue.leave(1)") == 1
        assert call("select pgqueue.retry(%s)", second) == second
        assert call("select string_agg(state, ',' order by id) from pgqueue.jobs") == "succeeded,ready"
        assert call("select count(*) from pgqueue.queues") == 1
        assert call("select pgqueue.make_partitions('2031-01-01', 1)") == 4
        assert call("select pgqueue.schema_name()") == name
        assert call("select count(*) from pg_namespace where nspname = 'pgq' || 'ueue'") == 0


def test_two_installations_in_one_database_keep_apart(conn: Conn, dsn: str, worker: Worker) -> None:
    upgrade(dsn, schema="other")
    enqueue(conn, key="k")
    elsewhere = scalar(conn, "select other.enqueue('t', key => 'k')")

    assert elsewhere == 1
    assert len(worker.claim()) == 1
    assert scalar(conn, "select count(*) from other.jobs where state = 'ready'") == 1
    assert scalar(conn, "select pgqueue.wake_channel('q') <> other.wake_channel('q')") is True


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_i4_a_handler_under_stricter_isolation_guards_and_completes(
    connect: Connect, conn: Conn, worker: Worker, level: IsolationLevel
) -> None:
    enqueue_many(conn, [{"task": "t"}] * 2)
    one, two = worker.claim()
    handler = connect(autocommit=False)
    handler.isolation_level = level

    guard(handler, one)
    complete(handler, one, {"r": 1})
    handler.commit()
    handler.execute("select 1 from pgqueue.queued_jobs")
    worker.settle(two.outcome("failed", delay=0))
    with pytest.raises(psycopg.errors.SerializationFailure):
        guard(handler, two)

    assert state(conn, one.id) == "succeeded"


def test_nobody_may_call_our_functions_by_default(conn: Conn) -> None:
    query = """select count(*) from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
               where p.pronamespace = 'pgqueue'::regnamespace and a.grantee = 0"""

    assert scalar(conn, query) == 0
