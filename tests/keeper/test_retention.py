"""Retention drops whole days, carries forward what is still needed, and puts off what it cannot lock."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from pgqueue.keeper import duties
from pgqueue.keeper.retention import drop_expired_days
from tests.sql import engine
from tests.sql.engine import Conn, Worker

OLD = "2020-01-01"
NAMES = [f"{parent}_20200101" for parent in ("attempt_lines", "finished_jobs", "job_args", "job_attempts")]


@pytest.fixture
def worker(conn: Conn) -> Worker:
    return Worker(conn)


@pytest.fixture
def old_day(conn: Conn) -> None:
    conn.execute("select pgqueue.make_partitions(%s::date, 1)", [OLD])


def partitions(conn: Conn) -> set[str]:
    return set(engine.column(conn, "select relname::text from pg_class where relname ~ '_20200101$' and relkind = 'r'"))


def grown_old(conn: Conn, job_id: int) -> None:
    conn.execute(
        "with moved as (delete from pgqueue.job_args where id = %s returning id, args, meta)"
        " insert into pgqueue.job_args (id, day, args, meta) select id, %s::date, args, meta from moved",
        [job_id, OLD],
    )
    conn.execute("update pgqueue.queued_jobs set args_day = %s::date where id = %s", [OLD, job_id])


def test_an_expired_day_is_dropped_whole(dsn: str, conn: Conn, old_day: None) -> None:
    dropped = drop_expired_days(dsn, "pgqueue")

    assert sorted(dropped) == NAMES
    assert partitions(conn) == set()


def test_days_that_are_kept_stay(dsn: str, conn: Conn) -> None:
    before = engine.column(conn, "select inhrelid::text from pg_inherits order by 1")

    assert drop_expired_days(dsn, "pgqueue") == []
    assert engine.column(conn, "select inhrelid::text from pg_inherits order by 1") == before


def test_i13_arguments_of_a_waiting_job_survive_their_day(dsn: str, conn: Conn, old_day: None) -> None:
    job = engine.enqueue(conn, args={"order": 7}, delay="400 days")
    grown_old(conn, job)

    drop_expired_days(dsn, "pgqueue")

    assert engine.scalar(conn, "select args from pgqueue.jobs where id = %s", job) == {"order": 7}
    assert partitions(conn) == set()


def test_a_day_whose_straggler_is_locked_stays_until_the_next_time(
    dsn: str, conn: Conn, connect: Callable[..., Conn], old_day: None
) -> None:
    job = engine.enqueue(conn, args={"order": 7}, delay="400 days")
    grown_old(conn, job)
    with connect() as other, other.transaction():
        other.execute("select 1 from pgqueue.queued_jobs where id = %s for update", [job])
        first = drop_expired_days(dsn, "pgqueue")
    second = drop_expired_days(dsn, "pgqueue")

    assert "job_args_20200101" not in first
    assert second == ["job_args_20200101"]
    assert engine.scalar(conn, "select args from pgqueue.jobs where id = %s", job) == {"order": 7}


def test_a_detach_that_was_cut_short_is_ended_and_the_day_dropped(
    dsn: str, conn: Conn, connect: Callable[..., Conn], old_day: None
) -> None:
    with connect(autocommit=False) as reader, connect() as cut:
        reader.execute("select count(*) from pgqueue.finished_jobs").fetchone()
        cut.execute("set lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            cut.execute(
                "alter table pgqueue.finished_jobs detach partition pgqueue.finished_jobs_20200101 concurrently"
            )
        pending = engine.scalar(conn, "select count(*) from pgqueue.expired_days() where pending")
        reader.rollback()

    dropped = drop_expired_days(dsn, "pgqueue")

    assert pending == 1
    assert "finished_jobs_20200101" in dropped


def test_a_key_whose_period_is_over_is_forgotten_with_its_finished_job(conn: Conn, worker: Worker) -> None:
    kept = engine.enqueue(conn, key="waiting", key_period="1 millisecond", delay="1 hour")
    engine.enqueue(conn, key="current", key_period="1 hour")
    done = engine.enqueue(conn, key="lapsed", key_period="1 hour")
    conn.execute("delete from pgqueue.queued_jobs where id = %s", [done])
    conn.execute("update pgqueue.job_keys set until = clock_timestamp() - interval '1 s' where key <> 'current'")

    again: Any = duties.tidy(conn, "pgqueue")

    assert again > 0
    assert sorted(engine.column(conn, "select key from pgqueue.job_keys")) == ["current", "waiting"]
    assert engine.scalar(conn, "select job_id from pgqueue.job_keys where key = 'waiting'") == kept
