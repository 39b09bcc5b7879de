# ruff: noqa: E501 - SQL is told on one line
"""`pgq doctor` against a schema that is not what this version makes: each harm is named, its remedy is run as it is printed, and all is well."""

import psycopg
import pytest

from migrations import freeze
from pgqueue import migrate
from pgqueue.migrate.revisions import directory
from pgqueue.observe.blueprint import gather
from pgqueue.observe.doctor import CHECKS, examine
from pgqueue.observe.doctor_drift import differences, drift, migrations
from pgqueue.observe.finding import Status, Verdict
from pgqueue.observe.mending import script
from pgqueue.observe.patient import Patient
from tests.sql.engine import Conn, enqueue
from tests.support.command import pgq

SETTINGS = {"durability", "permissions"}  # the tests' own server is fast, not durable, and a superuser's
HARMS = [
    ("drop index pgqueue.queued_jobs_claim", "index queued_jobs_claim is missing"),
    ("drop index pgqueue.finished_jobs_id", "index finished_jobs_id is missing"),
    (
        "drop index pgqueue.queued_jobs_suspect; create index queued_jobs_suspect on pgqueue.queued_jobs (queue, id)",
        "index queued_jobs_suspect differs (definition)",
    ),
    ("alter table pgqueue.queued_jobs alter losses drop default", "column queued_jobs.losses differs (default)"),
    ("alter table pgqueue.job_flows alter kind drop not null", "column job_flows.kind differs (not null)"),
    ("alter table pgqueue.worker_processes drop stuck_since cascade", "column worker_processes.stuck_since is missing"),
    (
        "alter table pgqueue.queued_jobs drop constraint queued_jobs_priority_check",
        "constraint queued_jobs.queued_jobs_priority_check is missing",
    ),
    (
        "alter table pgqueue.schedule_ticks drop constraint schedule_ticks_schedule_fkey",
        "constraint schedule_ticks.schedule_ticks_schedule_fkey is missing",
    ),
    ("drop function pgqueue.cancel", "function cancel is missing"),
    ("alter function pgqueue.enqueue security invoker", "function enqueue differs (security definer)"),
    ("alter function pgqueue.claim reset enable_seqscan", "function claim differs (settings)"),
    ("alter function pgqueue.cancel_flow set search_path = public", "function cancel_flow differs (settings)"),
    (
        "create or replace function pgqueue.wake_key(queue text) returns bigint language sql immutable parallel safe return 1::bigint",
        "function wake_key differs (expression)",
    ),
    ("drop view pgqueue.audit", "view audit is missing"),
    ("alter view pgqueue.jobs set (security_invoker = on)", "view jobs differs (options)"),
    ("alter sequence pgqueue.job_ids increment 7", "sequence job_ids differs (increment)"),
]


def look(conn: Conn, schema: str = "pgqueue") -> Verdict:
    with conn.transaction():
        return drift(Patient(conn, schema))


def test_harms_are_named_and_the_printed_statements_mend_them(conn: Conn, dsn: str) -> None:
    """All at once: a database each would take ten times as long."""
    rights = "select kind, statement from unnest('{producer,worker,viewer,admin}'::text[]) kind, pgqueue.role_rights(kind) where not granted"
    for harm, _ in HARMS:
        conn.execute(harm.encode())
    patient = Patient(conn, "pgqueue")
    told = [str(one) for one in differences(gather(patient.catalogue()), "pgqueue")]
    found = look(conn)
    _mend(conn, dsn)

    assert [says for _, says in HARMS if says not in told] == []
    assert found.status is Status.FAILURE
    assert "and 10 more" in found.detail
    assert "pgq doctor --sql" in found.remedy
    assert look(conn).status is Status.OK, look(conn).detail
    assert conn.execute(rights).fetchall() == []


def test_code_that_says_something_else_is_named_and_mended(conn: Conn) -> None:
    (function,) = conn.execute("select pg_get_functiondef('pgqueue.settle_succeeded'::regproc)").fetchone() or ("",)
    (view,) = conn.execute("select pg_get_viewdef('pgqueue.audit'::regclass)").fetchone() or ("",)
    conn.execute(function.replace("j.token = g.token and", "").encode())
    conn.execute(f"create or replace view pgqueue.audit as {view.rstrip(';')} limit 1".encode())

    found = look(conn)

    assert found.status is Status.FAILURE
    assert found.detail == "function settle_succeeded differs (body); view audit differs (definition)"
    for statement in script(differences(gather(Patient(conn, "pgqueue").catalogue()), "pgqueue"), "pgqueue"):
        conn.execute(statement.encode())
    assert look(conn).status is Status.OK


def test_an_index_that_a_failed_build_left_is_to_be_dropped_and_one_of_ours_built_again(conn: Conn) -> None:
    enqueue(conn)
    enqueue(conn)
    with pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute("create unique index concurrently mine on pgqueue.queued_jobs (queue)")
    left = look(conn)
    conn.execute(left.remedy.removeprefix("as the schema's owner: ").encode())
    conn.execute("update pg_index set indisvalid = false where indexrelid = 'pgqueue.dead_jobs_time'::regclass")
    broken = look(conn)

    assert (left.status, left.detail) == (Status.WARNING, "index mine is invalid")
    assert left.remedy == 'as the schema\'s owner: drop index concurrently "pgqueue"."mine";'
    assert (broken.status, broken.detail) == (Status.FAILURE, "index dead_jobs_time is invalid")
    conn.execute(broken.remedy.removeprefix("as the schema's owner: ").encode())
    assert look(conn).status is Status.OK


def test_what_is_not_ours_is_a_warning(conn: Conn) -> None:
    conn.execute("create table pgqueue.theirs (id int); create index theirs_too on pgqueue.queued_jobs (task)")
    conn.execute("create function pgqueue.cancel(id text) returns text language sql return id")

    found = look(conn)

    assert found.status is Status.WARNING
    assert (
        found.detail == "function cancel(id text) is not ours; index theirs_too is not ours; table theirs is not ours"
    )


def test_a_table_that_is_gone_is_told_once(conn: Conn) -> None:
    conn.execute("drop table pgqueue.audit_log cascade")

    found = look(conn)

    assert found.status is Status.FAILURE
    assert "table audit_log is missing" in found.detail
    assert "column audit_log" not in found.detail


def test_a_queue_whose_quota_nobody_guards_is_named(conn: Conn, dsn: str) -> None:
    conn.execute("select pgqueue.set_queue('mail', max_depth => 10), pgqueue.set_queue('it''s', max_depth => 10)")
    assert look(conn).status is Status.OK

    conn.execute("alter table pgqueue.queued_jobs disable trigger enforce_quota")

    found = look(conn)
    assert found.status is Status.FAILURE
    assert 'does not guard queues with a quota: "it\'s", "mail"' in found.detail
    conn.execute("select pgqueue.set_queue('it''s', max_depth => 0), pgqueue.set_queue('mail', max_depth => 0)")
    conn.execute("select pgqueue.set_queue('mail', max_depth => 10)")
    assert look(conn).status is Status.OK


def test_revisions_that_are_pending_or_unknown_are_told(conn: Conn, dsn: str) -> None:
    patient = Patient(conn, "pgqueue")
    head = migrate.head()

    current = migrations(patient)
    conn.execute("update pgqueue.alembic_version set version_num = '0001_initial'")
    pending, shown = migrations(patient), pgq("doctor", PGQ_DSN=dsn)
    conn.execute("update pgqueue.alembic_version set version_num = '9999_from_the_future'")
    newer, unlooked = migrations(patient), look(conn)
    conn.execute("update pgqueue.compatibility set oldest_client = '99.0.0'")
    cut_off = migrations(patient)

    assert (current.status, current.detail) == (Status.OK, f"current: {head}")
    assert pending.status is Status.FAILURE
    assert pending.detail.startswith("at 0001_initial; pending: 0002")
    assert "pgq migrate" in pending.remedy
    assert shown.status == 1
    assert "drift" not in shown.out
    assert (newer.status, unlooked.status) == (Status.WARNING, Status.WARNING)
    assert "9999_from_the_future, which is unknown here" in newer.detail
    assert (cut_off.status, "99.0.0 or later" in cut_off.detail) == (Status.FAILURE, True)


def test_the_catalogue_is_that_of_head(dsn: str) -> None:
    with psycopg.connect(dsn) as conn:
        if conn.info.server_version // 10000 != 18:
            pytest.skip("catalogue.json is worded by PostgreSQL 18")

    golden = (directory() / "catalogue.json").read_text(encoding="utf-8")

    assert freeze.catalogue(dsn) == golden, "run `python migrations/freeze.py --dump`"


@pytest.mark.parametrize("schema", ["job_args", "it's 100% :odd\\\""])
def test_a_schema_of_any_name_gives_no_false_alarm(empty_dsn: str, schema: str) -> None:
    migrate.upgrade(empty_dsn, schema)

    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        found = {finding.check: finding for finding in examine(conn, schema)}

    assert {name: finding for name, finding in found.items() if finding.status is not Status.OK}.keys() <= SETTINGS
    assert list(found) == [name for name, _ in CHECKS]


def _mend(conn: Conn, dsn: str) -> None:
    """Run what `pgq doctor --sql` prints as psql does: a statement at a time."""
    for statement in pgq("doctor", "--sql", "--json", PGQ_DSN=dsn).json["sql"]:
        conn.execute(statement.encode())
