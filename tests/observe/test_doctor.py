"""`pgq doctor`: each check finds what it is there for, and nothing where all is well."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue.observe import doctor_server
from pgqueue.observe.doctor import CHECKS, examine
from pgqueue.observe.finding import Finding, Status
from tests.sql.engine import Worker, enqueue, enqueue_many
from tests.support.command import pgq

if TYPE_CHECKING:
    import psycopg

Connect = Callable[..., "psycopg.Connection[Any]"]
SETTINGS = {"durability", "permissions"}  # the tests' own server is fast, not durable, and a superuser's
LATE = "update pgqueue.queued_jobs set run_at = clock_timestamp() - interval '1 minute'"


def look(conn: "psycopg.Connection[Any]") -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(conn, "pgqueue")}


def test_a_busy_queue_in_order_is_fine(conn: "psycopg.Connection[Any]") -> None:
    conn.execute("select pgqueue.set_limit('gpu', concurrency => 1)")
    worker = Worker(conn)
    for number in range(20):
        enqueue(conn, key=f"k{number}", group_key=f"g{number % 3}", limits={"gpu": str(number % 2)})
        enqueue(conn)
    leases = worker.claim(10)
    worker.done(*leases[:3])
    _operate(conn)

    found = look(conn)

    assert len(leases) > 3
    assert {name for name, finding in found.items() if finding.status is not Status.OK} <= SETTINGS
    assert list(found) == [name for name, _ in CHECKS]


def _operate(conn: "psycopg.Connection[Any]") -> None:
    """What operators and time rightly do to a schema."""
    conn.execute(
        "select pgqueue.set_queue('mail', max_depth => 10, fair => true), pgqueue.set_queue('it''s', max_depth => 5)"
    )
    conn.execute("select pgqueue.make_partitions((clock_timestamp() at time zone 'UTC')::date - 30, 60)")
    conn.execute("alter table pgqueue.job_args detach partition pgqueue.job_args_" + _day(conn, -30))  # type: ignore[arg-type]
    conn.execute("alter table pgqueue.queued_jobs set (fillfactor = 60, autovacuum_vacuum_threshold = 500)")
    conn.execute("alter index pgqueue.queued_jobs_claim set (fillfactor = 80)")
    conn.execute("alter table pgqueue.queued_jobs alter queue set statistics 500")
    conn.execute("comment on table pgqueue.queued_jobs is 'ours'; alter sequence pgqueue.job_ids cache 32")
    conn.execute("update pgqueue.settings set retention = '30 days'; grant usage on schema pgqueue to pg_monitor")


def _day(conn: "psycopg.Connection[Any]", days: int) -> str:
    query = "select to_char(now() at time zone 'UTC' + make_interval(days => %s), 'YYYYMMDD')"
    return str((conn.execute(query, [days]).fetchone() or [""])[0])


def test_a_viewer_may_look_at_most_of_it_and_is_never_told_of_a_failure(conn: "psycopg.Connection[Any]") -> None:
    conn.execute("set role pgqueue_viewer")

    found = look(conn)

    assert {name for name, finding in found.items() if finding.status is Status.FAILURE} <= SETTINGS
    looked = {name for name, finding in found.items() if "not looked at" not in finding.detail}
    assert looked >= {"drift", "durability", "clock", "partitions", "autovacuum", "bloat", "schedules", "tasks"}


@pytest.mark.parametrize(
    ("check", "harm", "says"),
    [
        ("leases", "delete from pgqueue.worker_processes", "jobs run for workers that do not exist"),
        ("leases", "update pgqueue.worker_processes set rescued = true", "jobs run for workers that do not exist"),
        ("arguments", "delete from pgqueue.job_args", "have lost their arguments"),
        ("keys", "update pgqueue.job_keys set job_id = 4711", '"k" of queue "default" by job 4711'),
        ("permits", "update pgqueue.permits set job_id = 4711 where kind = 'limit'", 'limit "gpu" by job 4711'),
        ("limits", "update pgqueue.lanes set held = 7 where kind = 'limit'", "counts 7, out are 1"),
        ("lines", "insert into pgqueue.lane_waits values ('group', 'default', 'g', 0, 4711)", "by job 4711"),
    ],
)
def test_what_can_never_be_is_found(conn: "psycopg.Connection[Any]", check: str, harm: str, says: str) -> None:
    conn.execute("select pgqueue.set_limit('gpu', concurrency => 1)")
    enqueue(conn, key="k", group_key="g", limits={"gpu": "1"})
    assert len(Worker(conn).claim()) == 1

    conn.execute(harm)  # type: ignore[arg-type]

    found = look(conn)
    assert found[check].status is Status.FAILURE
    assert says in found[check].detail
    assert found[check].remedy


def test_a_queue_with_due_jobs_and_no_worker_is_a_failure_unless_it_is_paused(conn: "psycopg.Connection[Any]") -> None:
    enqueue(conn, queue="lonely")
    enqueue(conn, queue="paused")
    enqueue(conn, queue="later", delay="1 hour")
    conn.execute("select pgqueue.pause('paused')")
    conn.execute(LATE + " where queue <> 'later'")

    found = look(conn)["workers"]

    assert found.status is Status.FAILURE
    assert '"lonely"' in found.detail
    assert '"paused"' not in found.detail
    assert '"later"' not in found.detail


def test_a_task_that_no_worker_knows_is_named(conn: "psycopg.Connection[Any]") -> None:
    Worker(conn)
    enqueue(conn, "misspelt")
    enqueue(conn, "t")
    conn.execute(LATE)

    found = look(conn)["tasks"]

    assert found.status is Status.WARNING
    assert '"misspelt" in queue "default"' in found.detail
    assert '"t"' not in found.detail


def test_a_worker_that_stands_still_is_named(conn: "psycopg.Connection[Any]") -> None:
    worker = Worker(conn)
    conn.execute("select pgqueue.note_incident(%s, 'host', 1, 'frozen', ago => '9 s')", [worker.id])

    found = look(conn)["stuck"]

    assert found.status is Status.WARNING
    assert f"frozen for 9 s: worker {worker.id} (host, pid 1)" in found.detail
    assert found.remedy


def test_missing_days_are_found(conn: "psycopg.Connection[Any]") -> None:
    for day in range(14, 0, -1):
        name = conn.execute(
            "select 'finished_jobs_' || to_char(now() at time zone 'UTC' + make_interval(days => %s), 'YYYYMMDD')",
            [day],
        ).fetchone()
        assert name is not None
        conn.execute(f"drop table if exists pgqueue.{name[0]}")
        status = look(conn)["partitions"].status
        expected = Status.OK if day > 7 else Status.WARNING if day > 1 else Status.FAILURE
        assert status is expected, day


def test_an_old_transaction_is_named(
    conn: "psycopg.Connection[Any]", connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = connect(autocommit=False, application_name="report")
    old.execute("select pg_current_xact_id()")

    soon = look(conn)["horizon"]
    monkeypatch.setattr(doctor_server, "LONG_MINUTES", 0)
    late = look(conn)["horizon"]

    assert "(report" not in soon.detail
    assert late.status is Status.WARNING
    assert f"backend {old.info.backend_pid} (report, idle in transaction), for 0 min" in late.detail


def test_a_check_that_may_not_look_or_takes_too_long_stops_no_other(
    conn: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    conn.execute("create role doctor_nobody")
    conn.execute("grant usage on schema pgqueue to doctor_nobody")
    try:
        conn.execute("set role doctor_nobody")
        found = look(conn)
        conn.execute("reset role")
    finally:
        conn.execute("reset role")
        conn.execute("drop owned by doctor_nobody; drop role doctor_nobody")
    assert len(found) == len(CHECKS)
    assert found["leases"].status is Status.WARNING
    assert "not looked at" in found["leases"].detail

    monkeypatch.setattr("pgqueue.observe.doctor.TIMEOUT_SECONDS", 0.05)
    slow = (("slow", lambda patient: patient.conn.execute("select pg_sleep(5)")), CHECKS[1])
    monkeypatch.setattr("pgqueue.observe.doctor.CHECKS", slow)
    found = look(conn)
    assert found["slow"].status is Status.WARNING
    assert found["server"].status is Status.OK


def test_it_looks_at_a_sample_of_a_large_table(
    conn: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgqueue.observe.patient.SAMPLE_PAGES", 5)
    enqueue_many(conn, [{"task": "t"}] * 3000)

    found = look(conn)["leases"]

    assert found.status is Status.OK
    assert "% of the table looked at" in found.detail


def test_no_check_reads_a_large_table_from_end_to_end(conn: "psycopg.Connection[Any]") -> None:
    query = """select relname, seq_scan from pg_stat_user_tables
               where relname in ('queued_jobs', 'job_keys', 'dead_jobs') or relname ~ '^(job_args|finished_jobs)_'"""
    worker = Worker(conn)
    enqueue_many(conn, [{"task": "t", "key": f"k{number}"} for number in range(3000)])
    worker.done(*worker.claim(1000))
    conn.execute(LATE)
    conn.execute("analyze")
    conn.execute("select pg_stat_force_next_flush()")
    before = conn.execute(query).fetchall()

    look(conn)

    conn.execute("select pg_stat_force_next_flush()")
    assert conn.execute(query).fetchall() == before


def test_the_command_speaks_text_and_json_and_its_status_says_whether_a_check_failed(
    conn: "psycopg.Connection[Any]", dsn: str
) -> None:
    enqueue(conn, queue="lonely")
    conn.execute(LATE)

    told = pgq("doctor", PGQ_DSN=dsn)
    document = pgq("doctor", "--json", PGQ_DSN=dsn)

    assert told.status == document.status == 1
    assert "FAILURE" in told.out
    assert "-> start workers for them" in told.out
    assert {"check", "status", "detail", "remedy"} == set(document.json[0])
    assert [finding["check"] for finding in document.json][:2] == ["database", "migrations"]


def test_a_database_out_of_reach_and_one_without_the_schema_are_findings(empty_dsn: str) -> None:
    away = pgq("doctor", "--json", PGQ_DSN="host=127.0.0.1 port=1 dbname=x")
    empty = pgq("doctor", "--json", PGQ_DSN=empty_dsn)

    assert [(finding["check"], finding["status"]) for finding in away.json] == [("database", "failure")]
    assert [(f["check"], f["status"]) for f in empty.json] == [("database", "ok"), ("migrations", "failure")]
    assert away.status == empty.status == 1
