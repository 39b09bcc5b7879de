# ruff: noqa: E501 - SQL is told on one line
"""What depths() tells is what a count of all jobs tells: exactly while there are few, nearly when there are many."""

from typing import Any

import pytest

from tests.sql.engine import Conn, Worker, cancel, enqueue, enqueue_many, scalar
from tests.sql.test_statistics import rows, some_day

BY_HAND = """
  select q.queue, exists (select from pgqueue.paused_queues p where p.queue = q.queue),
         count(*) filter (where state = 'scheduled'), count(*) filter (where state = 'blocked'), count(*) filter (where state = 'ready'),
         count(*) filter (where state = 'running'), count(*) filter (where state = 'dead'),
         min(j.run_at) filter (where state = 'ready')
  from (select queue from pgqueue.jobs where state not in ('succeeded', 'cancelled') union select queue from pgqueue.paused_queues
        union select unnest(queues) from pgqueue.workers where alive) q
  left join pgqueue.jobs j on j.queue = q.queue group by q.queue order by q.queue"""
DEPTHS = "select queue, paused, scheduled, blocked, ready, running, dead, now() - oldest_due_age from pgqueue.depths() order by queue"
# 30 rows a page; a fifth is scheduled, a tenth blocked, some run
MANY = """
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, queue, task, worker_id, token, started_at)
  select -i, case when i % 5 = 0 then now() + interval '1 h' when i % 10 = 1 then 'infinity' else now() - i * interval '1 ms' end, now(), now()::date,
         i % 3, case when i % 40 = 7 then 'middling' else 'large' end, 't', w, w, case when w is not null then now() end
  from generate_series(1, %s) i, lateral (select case when i % 100 = 2 then 1 end as w) r"""


def test_few_jobs_are_counted_exactly(conn: Conn) -> None:
    some_day(conn, 3, lambda: None)
    enqueue(conn, queue="later", delay="1 hour")
    enqueue_many(conn, [{"task": "t", "queue": "grouped", "group_key": "g"}] * 3)
    conn.execute("select pgqueue.pause('asleep')")
    Worker(conn, queues=["served"])

    with conn.transaction():
        found, counted = rows(conn, DEPTHS), rows(conn, BY_HAND)
    assert [row[:7] for row in found] == [row[:7] for row in counted]
    for row, expected in zip(found, counted, strict=True):
        assert row[7] == expected[7] or abs((row[7] - expected[7]).total_seconds()) < 0.5
    assert scalar(conn, "select bool_or(estimated) from pgqueue.depths()") is False


@pytest.fixture
def many(conn: Conn) -> dict[str, dict[str, Any]]:
    """45,000 jobs in a table too large to be read, and a few in queues of their own."""
    conn.execute(MANY.replace("%s", "45000"))
    enqueue_many(conn, [{"task": "t", "queue": "small", "priority": number % 7} for number in range(30)])
    Worker(conn, queues=["small"]).claim(3, queue="small")
    cancel(conn, enqueue(conn, queue="gone"))
    conn.execute("analyze pgqueue.queued_jobs")
    return {row[0]: {"states": row[2:7], "oldest": row[7]} for row in rows(conn, BY_HAND)}


def depths(conn: Conn) -> dict[str, dict[str, Any]]:
    query = "select queue, scheduled, blocked, ready, running, dead, now() - oldest_due_age, estimated from pgqueue.depths()"
    return {row[0]: {"states": row[1:6], "oldest": row[6], "estimated": row[7]} for row in rows(conn, query)}


def test_many_jobs_are_estimated_and_small_queues_among_them_exact(conn: Conn, many: dict[str, dict[str, Any]]) -> None:
    with conn.transaction():
        found = depths(conn)

    assert set(found) == set(many)
    assert [name for name, row in found.items() if row["estimated"]] == ["large"]
    for name in ("middling", "small"):
        assert found[name]["states"] == many[name]["states"], name
    for estimate, count in zip(found["large"]["states"], many["large"]["states"], strict=True):
        assert abs(estimate - count) <= 0.3 * count + 150, (estimate, count)
    for name, row in found.items():
        assert abs((row["oldest"] - many[name]["oldest"]).total_seconds()) < 0.5, "the oldest due job is looked up"


@pytest.mark.usefixtures("many")
def test_a_running_job_at_the_front_of_a_large_table_is_not_the_oldest_due(conn: Conn) -> None:
    conn.execute(
        "update pgqueue.queued_jobs set run_at = now() - interval '1 day' where queue = 'small' and worker_id is not null"
    )
    waiting = "select min(run_at) from pgqueue.queued_jobs where queue = 'small' and worker_id is null"

    assert abs((depths(conn)["small"]["oldest"] - scalar(conn, waiting)).total_seconds()) < 5


def test_with_many_dead_rows_the_index_is_left_alone(conn: Conn, many: dict[str, dict[str, Any]]) -> None:
    conn.execute("alter table pgqueue.queued_jobs set (autovacuum_enabled = off)")
    conn.execute(MANY.replace("-i, case when i % 5", "-100000 - i, case when i % 5").replace("%s", "210000"))
    conn.execute("delete from pgqueue.queued_jobs where id < -100000")
    conn.execute("select pg_stat_force_next_flush()")
    assert scalar(conn, "select pg_stat_get_dead_tuples('pgqueue.queued_jobs'::regclass)") > 200_000

    found = depths(conn)

    assert all(row["estimated"] for row in found.values())
    assert abs(found["large"]["states"][2] - many["large"]["states"][2]) <= 0.4 * many["large"]["states"][2]


def test_many_dead_letters_and_a_long_history_are_estimated(conn: Conn) -> None:
    conn.execute("""insert into pgqueue.dead_jobs (id, died_at, run_at, created_at, args_day, attempt, priority, failures, losses, suspect, queue, task, error, attempts)
                    select i, now(), now(), now(), now()::date, 1, 0, 0, 0, false, 'q', 't', '{}', '[]' from generate_series(1, 21000) i""")
    conn.execute("""insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, args_day, attempt, priority, failures, losses, succeeded, suspect, queue, task)
                    select i, now(), now(), now(), now()::date, 1, 0, 0, 0, i % 4 > 0, false, 'q', 't' from generate_series(1, 60000) i""")

    ((dead, succeeded, cancelled, *marks),) = rows(
        conn, "select dead, succeeded, cancelled, estimated, history_estimated from pgqueue.queues"
    )

    assert marks == [True, True]
    assert abs(dead - 21000) < 4000
    assert abs(succeeded - 45000) < 9000
    assert abs(cancelled - 15000) < 4000


def test_viewers_read_all_numbers(conn: Conn) -> None:
    enqueue(conn)
    scalar(conn, "select pgqueue.fold_statistics('0')")
    conn.execute("set role pgqueue_viewer")

    assert scalar(conn, "select ready from pgqueue.depths()") == 1
    assert scalar(conn, "select ready from pgqueue.queues") == 1
    assert scalar(conn, "select ready from pgqueue.depth_history") == 1
    for view in ("statistics", "statistics_totals"):
        assert scalar(conn, f"select count(*) from pgqueue.{view}") == 0
    assert len(scalar(conn, "select pgqueue.bucket_bounds()")) == 15


def test_partitions_tells_the_days_of_each_table(conn: Conn) -> None:
    tables = set(
        rows(conn, "select name, min(day) <= now()::date, min(bytes) > 0 from pgqueue.partitions group by name")
    )

    assert tables >= {(name, True, True) for name in ("finished_jobs", "job_args", "job_attempts")}
