# ruff: noqa: E501 - SQL is told on one line
"""`pgq doctor`: each harm to a real database is found, its remedy is run as it is printed, and the check is green again."""

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from pgqueue import migrate
from pgqueue.embedded import Server
from pgqueue.observe import doctor_access, doctor_plans, doctor_tables, doctor_time
from pgqueue.observe.finding import Status, Verdict
from pgqueue.observe.patient import Patient
from tests.conftest import Connect
from tests.sql.engine import Conn, Worker, enqueue_many
from tests.support.command import pgq

Check = Callable[[Patient], Verdict]
NO_AUTOVACUUM = "alter table pgqueue.queued_jobs set (autovacuum_vacuum_threshold = 1000000)"  # not while a test counts


def ask(conn: Conn, check: Check) -> Verdict:
    with conn.transaction():
        return check(Patient(conn, "pgqueue"))


def follow(conn: Conn, verdict: Verdict) -> None:
    """Run a remedy as psql does: a statement at a time."""
    for statement in verdict.remedy.partition(" -- ")[0].split(";"):
        if statement.strip():
            conn.execute(statement.encode())


@pytest.mark.slow
def test_autovacuum_that_is_off_is_a_failure(start_server: Callable[..., Server]) -> None:
    dsn = start_server(settings={"autovacuum": "off"}).dsn()
    migrate.upgrade(dsn)
    with psycopg.connect(dsn, autocommit=True) as conn:
        found = ask(conn, doctor_tables.autovacuum)
        follow(conn, found)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("select pg_sleep(0) where current_setting('autovacuum') = 'on'")
        deadline = time.monotonic() + 5
        while ask(conn, doctor_tables.autovacuum).status is not Status.OK and time.monotonic() < deadline:
            conn.execute("select pg_reload_conf()")
        after = ask(conn, doctor_tables.autovacuum)

    assert (found.status, found.detail.partition(":")[0]) == (Status.FAILURE, "autovacuum off")
    assert after.status is Status.OK


def test_a_table_without_autovacuum_is_a_warning(conn: Conn) -> None:
    conn.execute("alter table pgqueue.queued_jobs set (autovacuum_enabled = off)")

    found = ask(conn, doctor_tables.autovacuum)

    assert (found.status, found.detail) == (Status.WARNING, "autovacuum is off for queued_jobs")
    follow(conn, found)
    assert ask(conn, doctor_tables.autovacuum).status is Status.OK


def test_dead_rows_that_nobody_removes_are_a_warning(conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    conn.execute(NO_AUTOVACUUM)
    monkeypatch.setattr(doctor_tables, "BEHIND", 0.001)
    monkeypatch.setattr(doctor_tables, "MINUTES", -1)
    _fill_and_empty(conn)

    found = ask(conn, doctor_tables.autovacuum)

    assert found.status is Status.WARNING
    assert "queued_jobs has 4000 dead rows and 0 live ones" in found.detail
    follow(conn, found)
    conn.execute("select pg_stat_force_next_flush()")
    assert "queued_jobs" not in ask(conn, doctor_tables.autovacuum).detail


def test_rows_that_are_not_frozen_are_told(conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_tables, "OLD", 5e-5)  # 10,000 transactions instead of 240,000,000
    monkeypatch.setattr(doctor_tables, "SHOWN", 1000)
    conn.execute("create table public.burn (x int)")
    conn.execute(
        "do $$ begin for i in 1 .. 15000 loop begin insert into public.burn values (1); exception when others then null; end; end loop; end $$"
    )

    found = ask(conn, doctor_tables.autovacuum)

    assert found.status is Status.WARNING
    assert "queued_jobs" in found.detail
    follow(conn, found)
    assert "queued_jobs" not in ask(conn, doctor_tables.autovacuum).detail


def test_files_that_outgrew_their_rows_are_a_warning(conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    conn.execute(NO_AUTOVACUUM)
    monkeypatch.setattr(doctor_tables, "FLOOR_BYTES", 1 << 17)
    conn.execute("select 1")
    assert ask(conn, doctor_tables.bloat).status is Status.OK
    _fill_and_empty(conn)

    found = ask(conn, doctor_tables.bloat)

    assert found.status is Status.WARNING
    assert "table queued_jobs takes" in found.detail
    assert "index queued_jobs_claim takes" in found.detail
    follow(conn, found)
    after = ask(conn, doctor_tables.bloat)
    assert after.status is Status.OK, after.detail


def test_a_full_table_is_not_bloated(conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    conn.execute(NO_AUTOVACUUM)
    monkeypatch.setattr(doctor_tables, "FLOOR_BYTES", 1 << 16)
    enqueue_many(conn, [{"task": "t", "key": f"k{n}"} for n in range(4000)])
    conn.execute("select pg_stat_force_next_flush()")
    conn.execute("analyze pgqueue.queued_jobs, pgqueue.job_keys")

    found = ask(conn, doctor_tables.bloat)

    assert found.status is Status.OK, found.detail


def test_a_plan_without_its_index_is_a_failure_that_names_the_statement(
    conn: Conn, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_plans, "TRIVIAL_PAGES", 5)
    worker = Worker(conn)
    enqueue_many(conn, [{"task": "t"}] * 2000)
    worker.done(*worker.claim(1000))
    conn.execute("analyze")
    assert ask(conn, doctor_plans.plans).status is Status.OK

    conn.execute("drop index pgqueue.queued_jobs_claim; drop index pgqueue.finished_jobs_id")

    found = ask(conn, doctor_plans.plans)
    assert found.status is Status.FAILURE
    assert "claim: " in found.detail
    assert "instead of index queued_jobs_claim" in found.detail
    assert "history: Seq Scan on finished_jobs_" in found.detail
    assert "settle" not in found.detail
    assert "`pgq doctor --sql`" in found.remedy
    for statement in pgq("doctor", "--sql", "--json", PGQ_DSN=dsn).json["sql"]:
        conn.execute(statement.encode())
    follow(conn, found)
    assert ask(conn, doctor_plans.plans).status is Status.OK


@pytest.mark.parametrize("scope", ["database", "role"])
def test_settings_that_spoil_plans_are_taken_back_where_they_were_made(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    """Those of the worker hold all the same: their functions pin their plans. Looking into the history has no such pin."""
    monkeypatch.setattr(doctor_plans, "TRIVIAL_PAGES", 5)
    conn = connect()
    worker = Worker(conn)
    enqueue_many(conn, [{"task": "t"}] * 1000)
    worker.done(*worker.claim(1000))
    role = f"doctor_{conn.info.dbname}"
    named = f'database "{conn.info.dbname}"' if scope == "database" else f'role "{role}"'
    conn.execute(f'create role "{role}" login superuser'.encode())
    try:
        for name in ("enable_bitmapscan", "enable_indexscan"):
            conn.execute(f"alter {named} set {name} = off".encode())
        spoilt = connect(user=role)
        found = ask(spoilt, doctor_plans.plans)
        follow(spoilt, found)
        after = ask(connect(user=role), doctor_plans.plans)
    finally:
        conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [role])
        conn.execute(f'drop role "{role}"'.encode())

    assert found.status is Status.FAILURE
    assert found.detail.startswith("history: Seq Scan on finished_jobs_")
    assert found.remedy == f"alter {named} reset enable_bitmapscan; alter {named} reset enable_indexscan;"
    assert after.status is Status.OK


def test_a_jit_for_everything_is_a_warning(connect: Connect) -> None:
    conn = connect()
    conn.execute(
        f'alter database "{conn.info.dbname}" set jit_above_cost = 10; alter database "{conn.info.dbname}" set jit = on'.encode()
    )

    found = ask(connect(), doctor_plans.plans)

    assert found.status is Status.WARNING
    assert "jit_above_cost is 10" in found.detail
    follow(conn, found)
    assert ask(connect(), doctor_plans.plans).status is Status.OK


def test_clocks_that_disagree_are_a_warning(conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = ask(conn, doctor_time.clock)
    monkeypatch.setattr(doctor_time, "now", lambda: time.time() - 61)
    behind = ask(conn, doctor_time.clock)
    monkeypatch.setattr(doctor_time, "now", lambda: time.time() + 2.5)
    ahead = ask(conn, doctor_time.clock)
    monkeypatch.setattr(doctor_time, "_compare", lambda _: (2.5, 1.0))
    doubtful = ask(conn, doctor_time.clock)

    assert agreed.status is doubtful.status is Status.OK
    assert behind.status is ahead.status is Status.WARNING
    assert "clock is 61.0" in behind.detail
    assert "behind the database's" in behind.detail
    assert "ahead of the database's (give or take" in ahead.detail
    assert behind.remedy


@pytest.fixture
def owned(conn: Conn) -> Iterator[str]:
    """The name of a role that owns the schema and all in it, no superuser."""
    role = f"doctor_{conn.info.dbname}"
    conn.execute(f'create role "{role}"'.encode())
    conn.execute(f'alter schema pgqueue owner to "{role}"'.encode())
    yield role
    conn.execute(f'reassign owned by "{role}" to current_user; drop owned by "{role}"; drop role "{role}"'.encode())


def test_doors_that_stand_open_to_everybody_are_a_failure(conn: Conn) -> None:
    conn.execute("grant create on schema pgqueue to public; grant insert, select on pgqueue.queued_jobs to public")
    conn.execute("grant execute on function pgqueue.enqueue to public")
    conn.execute("create function pgqueue.fresh() returns int language sql return 1")  # for everybody, as servers do

    found = ask(conn, doctor_access.permissions)

    assert found.status is Status.FAILURE
    assert "create on schema; execute on enqueue; execute on fresh; insert, select on queued_jobs" in found.detail
    follow(conn, found)
    assert "PUBLIC" not in ask(conn, doctor_access.permissions).detail


def test_what_belongs_to_another_is_named_and_a_schema_of_no_superuser_is_fine(
    conn: Conn, owned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_access, "SHOWN", 10_000)

    found = ask(conn, doctor_access.permissions)
    follow(conn, found)
    after = ask(conn, doctor_access.permissions)

    assert found.status is Status.WARNING
    assert "function pgqueue.enqueue(" in found.detail
    assert (after.status, after.detail.partition(",")[0]) == (Status.OK, f'the schema belongs to "{owned}"')


def test_a_role_without_its_rights_is_a_warning_and_so_is_a_superusers_schema(conn: Conn, dsn: str) -> None:
    conn.execute("revoke execute on function pgqueue.step from pgqueue_worker")

    lacking = ask(conn, doctor_access.permissions)
    done = pgq("grants", "--apply", PGQ_DSN=dsn)
    after = ask(conn, doctor_access.permissions)

    assert (lacking.status, lacking.detail) == (Status.WARNING, '"pgqueue_worker" lacks 1 rights')
    assert "`pgq grants --apply`" in lacking.remedy
    assert done.status == 0
    assert after.status is Status.WARNING
    assert "a superuser, with whose rights enqueue runs" in after.detail


def test_a_schedule_that_does_not_tick_is_told(conn: Conn) -> None:
    conn.execute("select pgqueue.schedule('nightly', 't', cron => '0 2 * * *')")
    fresh = ask(conn, doctor_time.schedules)
    conn.execute("update pgqueue.job_schedules set next_at = clock_timestamp() - interval '2 minutes'")
    alone = ask(conn, doctor_time.schedules)
    worker = Worker(conn)
    late = ask(conn, doctor_time.schedules)
    conn.execute("update pgqueue.job_schedules set next_at = null, error = 'no such time zone'")
    broken = ask(conn, doctor_time.schedules)
    conn.execute("select pgqueue.pause_schedule('nightly')")
    paused = ask(conn, doctor_time.schedules)

    assert worker.id
    assert (fresh.status, alone.status, late.status) == (Status.OK, Status.FAILURE, Status.WARNING)
    assert '"nightly" is 120 s late' in late.detail
    assert "no worker is alive to tick" in alone.detail
    assert (broken.status, broken.detail) == (Status.WARNING, '"nightly" cannot tick: no such time zone')
    assert paused.status is Status.OK


def test_statistics_that_stand_still_are_told_when_somebody_should_fold_them(conn: Conn) -> None:
    Worker(conn)
    conn.execute("update pgqueue.statistics_state set folded_to = clock_timestamp() - interval '1 hour'")
    conn.execute("update pgqueue.worker_processes set started_at = started_at - interval '20 minutes'")
    without = ask(conn, doctor_time.statistics)
    conn.execute("update pgqueue.worker_processes set version = '0.2.0'")
    behind = ask(conn, doctor_time.statistics)
    conn.execute("update pgqueue.worker_processes set started_at = clock_timestamp()")
    started = ask(conn, doctor_time.statistics)
    conn.execute("update pgqueue.worker_processes set started_at = started_at - interval '20 minutes'")

    assert without.status is started.status is Status.OK
    assert behind.status is Status.WARNING
    assert "folded up to 1200 s ago" in behind.detail
    follow(conn, behind)
    assert ask(conn, doctor_time.statistics).status is Status.OK


def _fill_and_empty(conn: Conn) -> None:
    enqueue_many(conn, [{"task": "t"}] * 4000)
    conn.execute("select pg_stat_force_next_flush()")
    conn.execute("analyze pgqueue.queued_jobs")
    conn.execute("delete from pgqueue.queued_jobs")
    conn.execute("select pg_stat_force_next_flush()")
