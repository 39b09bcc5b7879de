# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Who may do what, taken from the catalogue: a new function, table or view without its row in the matrix fails."""

from typing import Any

import psycopg
import pytest

from tests.roles.conftest import As
from tests.roles.matrix import CONTENTS, COUNTED, ENQUEUE, OWNERS, ROLES, VIEWS, callers, rights
from tests.sql.engine import column, enqueue, scalar

FUNCTIONS = """
select p.proname::text, p.oid from pg_proc p where p.pronamespace = 'pgqueue'::regnamespace and p.prokind = 'f' order by 1"""
RELATIONS = """
select c.relname::text, c.oid from pg_class c
where c.relnamespace = 'pgqueue'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition order by 1"""
PRIVILEGES = ("select", "insert", "update", "delete", "truncate", "references", "trigger")
DEFINERS = """
select proname::text, coalesce(array_to_string(proconfig, '; '), '') from pg_proc
where pronamespace = 'pgqueue'::regnamespace and prosecdef order by 1"""


def test_each_function_may_be_called_by_those_it_is_for(conn: "psycopg.Connection[Any]") -> None:
    found, expected = {}, {}

    for name, oid in conn.execute(FUNCTIONS).fetchall():
        found[name] = {
            r
            for r in ROLES
            if scalar(conn, "select has_function_privilege(%s, %s::oid, 'execute')", f"pgqueue_{r}", oid)
        }
        expected[name] = callers(name)

    assert len(found) > 100
    assert found == expected


def test_each_table_and_view_gives_each_role_its_rights(conn: "psycopg.Connection[Any]") -> None:
    found, expected = {}, {}

    for name, oid in conn.execute(RELATIONS).fetchall():
        found[name] = {
            r: {
                p
                for p in PRIVILEGES
                if scalar(conn, "select has_table_privilege(%s, %s::oid, %s)", f"pgqueue_{r}", oid, p)
            }
            for r in ROLES
        }
        expected[name] = rights(name)

    assert len(found) > 30
    assert found == expected


def test_partitions_are_reached_through_their_tables_only(conn: "psycopg.Connection[Any]") -> None:
    granted = column(
        conn,
        "select c.relname from pg_class c, unnest(%s::text[]) r where c.relispartition and c.relkind = 'r' "
        "and c.relnamespace = 'pgqueue'::regnamespace and has_table_privilege(r, c.oid, 'select, insert, update, delete')",
        [f"pgqueue_{role}" for role in ROLES],
    )

    assert granted == []


def test_nobody_else_may_do_anything(conn: "psycopg.Connection[Any]") -> None:
    public = column(
        conn,
        "select p.proname from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a "
        "where p.pronamespace = 'pgqueue'::regnamespace and a.grantee = 0 union all "
        "select c.relname from pg_class c, aclexplode(c.relacl) a where c.relnamespace = 'pgqueue'::regnamespace and a.grantee = 0 "
        "union all select n.nspname from pg_namespace n, aclexplode(n.nspacl) a where n.nspname = 'pgqueue' and a.grantee = 0",
    )

    assert public == []


def test_functions_with_their_owners_rights_are_few_and_end_their_path_in_pg_temp(
    conn: "psycopg.Connection[Any]",
) -> None:
    definers = dict(conn.execute(DEFINERS).fetchall())

    assert set(definers) == ENQUEUE | OWNERS | COUNTED
    assert {name for name, config in definers.items() if "search_path=pg_catalog, pg_temp" not in config} == set()


def test_a_role_may_not_make_things_in_the_schema_or_pass_its_rights_on(conn: "psycopg.Connection[Any]") -> None:
    query = """
        select r, has_schema_privilege(r, 'pgqueue', 'create'),
               (select bool_or(a.is_grantable) from pg_class c, aclexplode(c.relacl) a
                where c.relnamespace = 'pgqueue'::regnamespace and a.grantee = r::regrole),
               (select rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolcanlogin or rolreplication from pg_roles where rolname = r)
        from unnest(%s::text[]) r"""

    found = conn.execute(query, ([f"pgqueue_{role}" for role in ROLES],)).fetchall()

    assert {any(row[1:]) for row in found} == {False}


def test_a_producer_enqueues_and_that_is_all(as_: As, conn: "psycopg.Connection[Any]") -> None:
    producer = as_("producer")

    job = enqueue(producer, "mail.send", args={"to": 7}, key="k", queue="mail", meta={"a": 1}, limits={"x": "y"})
    many = column(producer, 'select pgqueue.enqueue_many(\'[{"task": "t"}, {"task": "t", "group_key": "g"}]\')')
    flow = producer.execute(
        "select ids from pgqueue.enqueue_flow(%s::jsonb)", ['{"jobs": [{"task": "a"}, {"task": "b", "after": [0]}]}']
    ).fetchone()

    assert flow is not None
    assert set(column(conn, "select id from pgqueue.jobs")) == {job, *many, *flow[0]}
    for attempt in (
        "select pgqueue.cancel(1)",
        "select * from pgqueue.jobs",
        "select * from pgqueue.queued_jobs",
        "insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, queue, task) values (1, now(), now(), now(), 'q', 't')",
        "select nextval('pgqueue.job_ids')",
        "select pgqueue.enqueue_special('t', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null)",
        "select pgqueue.make_partitions(current_date)",
        "truncate pgqueue.queued_jobs",
        "create table pgqueue.mine ()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            producer.execute(attempt.encode())


def test_a_producer_cannot_get_past_the_caps(as_: As) -> None:
    producer = as_("producer")

    for statement in (
        "select pgqueue.enqueue('t', jsonb_build_object('x', repeat('x', 1048577)))",
        "select pgqueue.enqueue('t', '{}', meta => jsonb_build_object('x', repeat('x', 1048577)))",
        "select pgqueue.enqueue(repeat('t', 501))",
        "select pgqueue.enqueue('t', queue => repeat('q', 201))",
        "select pgqueue.enqueue('t', key => repeat('k', 1001))",
        "select pgqueue.enqueue_many(jsonb_build_array(jsonb_build_object('task', 't', 'args', jsonb_build_object('x', repeat('x', 1048577)))))",
        "select pgqueue.enqueue_flow(jsonb_build_object('jobs', jsonb_build_array(jsonb_build_object('task', 't', 'args', jsonb_build_object('x', repeat('x', 1048577))))))",
    ):
        with pytest.raises(psycopg.Error) as refused:
            producer.execute(statement.encode())
        assert refused.value.sqlstate == "PQ004", statement


def test_a_viewer_sees_the_views_without_their_contents(as_: As, conn: "psycopg.Connection[Any]") -> None:
    _fill(conn)
    viewer = as_("viewer")

    for view in sorted(VIEWS):
        cursor = viewer.execute(f"select * from pgqueue.{view}".encode())
        names = [part.name for part in cursor.description or ()]
        rows = cursor.fetchall()
        seen = {
            value
            for row in rows
            for name, value in zip(names, row, strict=True)
            if name in CONTENTS and view != "schedules"
        }
        assert seen <= {None}, view
        assert "canary" not in str(rows), view
    assert scalar(conn, "select count(*) from pgqueue.jobs where position('canary' in args::text) > 0") == 4
    assert scalar(viewer, "select count(*) from pgqueue.jobs") == 4
    for attempt in (
        "select * from pgqueue.job_args",
        "select * from pgqueue.dead_jobs",
        "select pgqueue.enqueue('t')",
        "select pgqueue.oldest_due('default', '{t}', 1, '{0}', now(), '1 s')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            viewer.execute(attempt.encode())


def test_a_cheap_function_of_a_viewers_own_sees_no_contents_either(as_: As, conn: "psycopg.Connection[Any]") -> None:
    _fill(conn)
    viewer = as_("viewer")
    viewer.execute(
        "create function pg_temp.leak(jsonb) returns boolean language plpgsql cost 0.0000001 "
        "as $$ begin if $1::text like '%canary%' then raise exception 'seen: %', $1; end if; return true; end $$"
    )

    for view, name in (
        ("jobs", "args"),
        ("jobs", "result"),
        ("jobs", "error"),
        ("attempts", "error"),
        ("steps", "result"),
        ("flow_jobs", "result"),
    ):
        viewer.execute(f"select count(*) from pgqueue.{view} where pg_temp.leak({name})".encode())


def test_a_viewer_who_may_read_the_arguments_sees_the_contents(
    connect: Any, dsn: str, users: Any, conn: "psycopg.Connection[Any]"
) -> None:
    _fill(conn)
    user = users("pgqueue_viewer")
    conn.execute(f"grant select on pgqueue.job_args to {user}".encode())

    seen = connect(psycopg.conninfo.make_conninfo(dsn, options=f"-c role={user}"))

    assert scalar(seen, "select count(*) from pgqueue.jobs where position('canary' in args::text) > 0") == 4
    assert scalar(seen, "select count(*) from pgqueue.jobs where position('canary' in result::text) > 0") == 1


def _fill(conn: "psycopg.Connection[Any]") -> None:
    """Jobs in four states whose arguments, results and errors say canary."""
    from tests.sql.engine import Worker

    worker = Worker(conn)
    ids = [enqueue(conn, args={"x": "canary"}, meta={"x": "canary"}) for _ in range(3)]
    leases = {lease.id: lease for lease in worker.claim(3)}
    conn.execute("select pgqueue.store_step(%s, %s, 'step', '\"canary\"')", (ids[0], leases[ids[0]].token))
    error = {"type": "E", "message": "canary"}
    worker.settle(
        leases[ids[0]].outcome("succeeded", result="canary"),
        leases[ids[1]].outcome("dead", error=error),
        leases[ids[2]].outcome("failed", error=error, delay=60),
    )
    enqueue(conn, args={"x": "canary"}, run_at="2100-01-01T00:00:00Z")
    conn.execute(
        "insert into pgqueue.job_schedules (name, task, args, every, since) values ('s', 't', '{\"x\": \"canary\"}', '1 h', now())"
    )
    conn.execute(
        "insert into pgqueue.flow_nodes (id, rank, flow_id, place, role, queue, task, outcome, result) "
        "values (999, 999, 998, 0, 'member', 'q', 't', 'succeeded', '\"canary\"')"
    )
