# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Enqueue: one job in the caller's transaction, or a refusal that says what to change."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import Conn, Worker, enqueue, job, scalar, state


def count(conn: Conn) -> int:
    return int(scalar(conn, "select count(*) from pgqueue.jobs"))


def test_i1_a_job_exists_exactly_when_its_transaction_committed(connect: Connect, conn: Conn) -> None:
    producer = connect(autocommit=False)

    kept = enqueue(producer)
    unseen = count(conn)
    producer.commit()
    gone = enqueue(producer, key="k")
    producer.rollback()

    assert (unseen, count(conn)) == (0, 1)
    assert state(conn, kept) == "ready"
    assert scalar(conn, "select count(*) from pgqueue.queued_jobs where id = %s", gone) == 0
    assert scalar(conn, "select count(*) from pgqueue.job_keys") == 0
    assert scalar(conn, "select count(*) from pgqueue.job_args where id = %s", gone) == 0


def test_i1_a_job_of_a_rolled_back_savepoint_is_gone_and_the_rest_stays(connect: Connect, conn: Conn) -> None:
    producer = connect(autocommit=False)

    outer = enqueue(producer)
    producer.execute("savepoint s")
    enqueue(producer)
    producer.execute("rollback to s")
    producer.commit()

    assert [row[0] for row in conn.execute("select id from pgqueue.jobs")] == [outer]


def test_i1_a_claim_does_not_see_a_job_before_its_commit(connect: Connect, conn: Conn, worker: Worker) -> None:
    producer = connect(autocommit=False)

    job_id = enqueue(producer)
    before = worker.claim()
    producer.commit()

    assert before == []
    assert worker.claim_one().id == job_id


def test_the_defaults_are_queue_default_priority_0_due_now(conn: Conn) -> None:
    row = job(conn, enqueue(conn, "mail"))

    assert (row["task"], row["queue"], row["priority"], row["args"], row["meta"]) == ("mail", "default", 0, {}, None)
    assert (row["state"], row["attempt"], row["failures"], row["losses"], row["key"]) == ("ready", 0, 0, 0, None)
    assert row["run_at"] == row["created_at"]


def test_every_argument_is_kept(conn: Conn) -> None:
    row = job(
        conn,
        enqueue(
            conn, args={"a": [1, None]}, queue="q", priority=-7, run_at="2999-01-01T00:00:00Z", key="k", max_attempts=9,
            timeout=timedelta(seconds=3), expires_at="2999-02-01T00:00:00Z", meta={"m": True},
        ),
    )  # fmt: skip

    assert (row["args"], row["queue"], row["priority"], row["key"], row["max_attempts"]) == (
        {"a": [1, None]},
        "q",
        -7,
        "k",
        9,
    )
    assert (row["timeout"], row["meta"], row["state"]) == (timedelta(seconds=3), {"m": True}, "scheduled")
    assert (row["run_at"].year, row["expires_at"].month) == (2999, 2)


def test_i7_delay_counts_from_the_database_clock(conn: Conn) -> None:
    row = job(conn, enqueue(conn, delay=timedelta(hours=2)))

    assert row["run_at"] - row["created_at"] == timedelta(hours=2)


@pytest.mark.parametrize("absent", [None, "null"])
def test_json_null_for_args_or_meta_means_not_given(conn: Conn, absent: str | None) -> None:
    row = job(conn, enqueue(conn, args=absent, meta=absent))

    assert (row["args"], row["meta"]) == ({}, None)
    assert (
        scalar(conn, "select count(*) from pgqueue.job_args where meta is not null or jsonb_typeof(args) <> 'object'")
        == 0
    )


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"task": ""}, "PQ004", "task: must not be empty"),
    ({"task": "x" * 501}, "PQ004", "task: at most 500 bytes, got 501"),
    ({"task": "é" * 251}, "PQ004", "task: at most 500 bytes, got 502"),
    ({"queue": ""}, "PQ004", 'queue: must not be empty; leave it out for "default"'),
    ({"queue": "q" * 201}, "PQ004", "queue: at most 200 bytes, got 201"),
    ({"priority": 101}, "PQ004", "priority: must be from -100 to 100 (lower runs first), got 101"),
    ({"priority": -101}, "PQ004", "priority: must be from -100 to 100 (lower runs first), got -101"),
    ({"key": ""}, "PQ004", "key: must not be empty; leave it out for a job without a key"),
    ({"key": "k" * 1001}, "PQ004", "key: at most 1000 bytes, got 1001; use a hash of it"),
    ({"key": "k", "key_policy": "merge"}, "PQ004", "key_policy: must be skip, replace or raise, got 'merge'"),
    ({"key_period": "1 hour"}, "PQ004", "key_period: given without a key"),
    ({"key": "k", "key_period": "0"}, "PQ004", "key_period: must be positive and at most 100 years, got 00:00:00"),
    ({"key": "k", "key_period": "290000 years"}, "PQ004", "key_period: must be positive and at most 100 years"),
    ({"max_attempts": 0}, "PQ004", "max_attempts: must be from 1 to 32767, got 0"),
    ({"max_attempts": 32768}, "PQ004", "max_attempts: must be from 1 to 32767, got 32768"),
    ({"timeout": "0"}, "PQ004", "timeout: must be positive and at most 100 years, got 00:00:00"),
    ({"timeout": "-1 s"}, "PQ004", "timeout: must be positive and at most 100 years, got -00:00:01"),
    ({"timeout": "10000000 years"}, "PQ004", "timeout: must be positive and at most 100 years"),
    ({"run_at": "2030-01-01", "delay": "1 s"}, "PQ004", "give run_at or delay, not both"),
    ({"run_at": "infinity"}, "PQ004", "run_at: must be in the years 1 to 9999, got infinity"),
    ({"run_at": "-infinity"}, "PQ004", "run_at: must be in the years 1 to 9999, got -infinity"),
    ({"run_at": "12026-01-01"}, "PQ004", "run_at: must be in the years 1 to 9999"),
    ({"expires_at": "infinity"}, "PQ004", "expires_at: must be in the years 1 to 9999, got infinity; leave it out"),
    ({"delay": "10000 years"}, "PQ004", "delay: must be from -100 to 1000 years, got 10000 years"),
    ({"delay": "170000000 years"}, "PQ004", "delay: must be from -100 to 1000 years"),
    ({"args": "[1]"}, "PQ004", "args: must be a JSON object, got array"),
    ({"args": '"a"'}, "PQ004", "args: must be a JSON object, got string"),
    ({"meta": "1"}, "PQ004", "meta: must be a JSON object, got number"),
    ({"group_key": ""}, "PQ004", "group_key: must have 1 to 1000 bytes, got 0"),
    (
        {"group_key": "g", "group_retry": "no"},
        "PQ004",
        "group_retry: must be hold (a retry keeps its group waiting) or pass, got 'no'",
    ),
    ({"group_retry": "pass"}, "PQ004", "group_retry: given without a group_key"),
    ({"fair_key": ""}, "PQ004", "fair_key: must have 1 to 1000 bytes, got 0"),
    ({"limits": "1"}, "PQ004", "limits: must be names, or an object {name: key}, got 1"),
    (
        {"limits": '{"api": {"weight": 0}}'},
        "PQ004",
        "limits: 'api': weight must be a whole number from 1 to 1000000, got 0",
    ),
]


def test_a_bad_argument_is_refused_with_its_name_its_value_and_a_remedy(
    conn: Conn, refused: Refused, subtests: pytest.Subtests
) -> None:
    for given, sqlstate, message in REFUSALS:
        with subtests.test(message):
            options = dict(given)
            task = options.pop("task", "mail")

            with refused(sqlstate) as refusal:
                enqueue(conn, task, **options)

            assert message in refusal.message
            assert f"cannot enqueue task '{task[:100]}'" in refusal.message
            assert count(conn) == 0


def test_a_null_task_is_refused(conn: Conn, refused: Refused) -> None:
    with refused("PQ004") as refusal:
        conn.execute("select pgqueue.enqueue(null)")

    assert "task: must not be empty" in refusal.message


@pytest.mark.parametrize("field", ["args", "meta"])
def test_args_and_meta_over_the_limit_are_refused_and_at_the_limit_kept(
    conn: Conn, refused: Refused, field: str
) -> None:
    limit = scalar(conn, "select max_args_bytes from pgqueue.settings")
    fits: dict[str, Any] = {"a": "x" * (limit - len('{"a": ""}'))}

    job_id = enqueue(conn, **dict[str, Any]({field: fits}))
    with refused("PQ004") as refusal:
        enqueue(conn, **dict[str, Any]({field: {"a": fits["a"] + "x"}}))

    assert job(conn, job_id)[field] == fits
    assert "store the data elsewhere and pass a reference, or raise max_args_bytes" in refusal.message


def test_the_limit_of_arguments_is_a_setting(conn: Conn, refused: Refused) -> None:
    conn.execute("update pgqueue.settings set max_args_bytes = 100000")

    with refused("PQ004") as refusal:
        enqueue(conn, args={"a": "x" * 100001})

    assert "may have 100000 bytes each" in refusal.message


def test_the_callers_transaction_goes_on_after_a_refusal(connect: Connect, conn: Conn) -> None:
    producer = connect(autocommit=False)

    with pytest.raises(psycopg.Error), producer.transaction():
        enqueue(producer, priority=1000)
    kept = enqueue(producer)
    producer.commit()

    assert state(conn, kept) == "ready"


@pytest.mark.parametrize("style", ["postgres", "sql_standard", "iso_8601", "postgres_verbose"])
def test_styles_of_dates_and_intervals_change_nothing(conn: Conn, style: str) -> None:
    conn.execute(f"set intervalstyle = {style}; set datestyle = 'German, DMY'; set timezone = 'Asia/Kathmandu'")

    row = conn.execute(
        "select pgqueue.enqueue('t', delay => interval '1 day 2 hours', timeout => interval '1 month 3 days 4 s', key => 'k', key_period => '5 h')"
    ).fetchone()
    conn.execute("reset intervalstyle; reset datestyle; reset timezone")

    assert row is not None
    stored = conn.execute(
        "select run_at - created_at = interval '1 day 2 hours', timeout = interval '1 month 3 days 4 s', until - created_at = interval '5 h'"
        " from pgqueue.queued_jobs j join pgqueue.job_keys k on k.job_id = j.id where id = %s", (row[0],)
    ).fetchone()  # fmt: skip
    assert stored == (True, True, True)


def test_ids_over_2_to_the_31_and_to_the_53_go_all_the_way(conn: Conn, worker: Worker) -> None:
    for start in (2**31 + 5, 2**53 + 1, 2**62 + 1):
        conn.execute("select setval('pgqueue.job_ids', %s)", (start,))
        plain, keyed = enqueue(conn), enqueue(conn, key="k")
        leases = worker.claim()

        assert [lease.id for lease in leases] == [plain, keyed] == [start + 1, start + 2]
        assert worker.done(leases[0]) == []
        assert worker.settle(leases[1].outcome("failed", delay=0)) == []
        assert state(conn, plain) == "succeeded"
        assert worker.settle(worker.claim_one().outcome("dead")) == []
        assert state(conn, keyed) == "dead"
