# ruff: noqa: E501 - SQL is told on one line
"""What backlog() tells is what a count of all due and running jobs tells: exactly up to 50,000, nearly above, at a bounded cost."""

import pytest

from tests.sql.engine import Conn, Worker, enqueue, enqueue_many, scalar
from tests.sql.test_depths import MANY

# As it was in 0.1.0: every job is counted.
COUNT = """
  select (select count(*) from pgqueue.queued_jobs j where not j.gated and (j.queue = q or q is null) and (j.worker_id is not null or j.run_at <= now()))
         + (select count(distinct coalesce('g' || j.queue || chr(31) || (a.gates ->> 'group'), j.id::text)) from pgqueue.queued_jobs j
            left join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
            where j.gated and (j.queue = q or q is null) and (j.worker_id is not null or j.run_at <= now()))
  from (select %s::text as q) p"""
# Due jobs of one large and many small groups, enqueued for a time that has come: no claim has put them into their lines yet.
GROUPED = """
  with jobs as (
    insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, queue, task, gated)
    select -1000000 - i, now() - interval '1 s', now(), now()::date, 0, 'grouped', 't', true from generate_series(1, %s) i returning id, args_day)
  insert into pgqueue.job_args (id, day, args, gates)
  select j.id, j.args_day, '{}', jsonb_build_object('group', case when j.id %% 2 = 0 then 'large' else j.id::text end) from jobs j"""
QUEUES = ("large", "middling", "small", "grouped", "none", None)


def backlog(conn: Conn, queue: str | None = None) -> int:
    found: int = scalar(conn, "select pgqueue.backlog(%s)", queue)
    return found


@pytest.fixture
def many(conn: Conn) -> Conn:
    """42,000 jobs due in a table too large to be read, some of them suspects, some running; others due later or parked."""
    conn.execute(MANY.replace("%s", "60000"))
    enqueue_many(conn, [{"task": "t", "queue": "small", "priority": number % 7} for number in range(30)])
    Worker(conn, queues=["small"]).claim(3, queue="small")
    conn.execute("update pgqueue.queued_jobs set suspect = true where id % 1000 = -3")
    enqueue(conn, queue="small", delay="1 hour")
    conn.execute(GROUPED, [400])
    conn.execute("analyze pgqueue.queued_jobs")
    return conn


def test_up_to_50_000_jobs_are_counted_exactly(many: Conn) -> None:
    for queue in QUEUES:
        assert backlog(many, queue) == scalar(many, COUNT, queue), queue


def test_more_are_estimated_and_never_less_than_was_counted(many: Conn) -> None:
    many.execute(MANY.replace("-i,", "-100000 - i,").replace("%s", "60000"))
    many.execute("analyze pgqueue.queued_jobs")

    for queue in ("large", None):
        counted = scalar(many, COUNT, queue)
        assert counted > 80_000
        assert backlog(many, queue) > 50_000
        assert backlog(many, queue) == pytest.approx(counted, rel=0.25)
    assert backlog(many, "small") == scalar(many, COUNT, "small")


def test_of_very_many_jobs_with_gates_the_first_tell_how_many_count(conn: Conn) -> None:
    conn.execute(GROUPED, [12_000])
    conn.execute("analyze pgqueue.queued_jobs")

    assert backlog(conn) == pytest.approx(scalar(conn, COUNT, None), rel=0.1)


def test_while_dead_rows_fill_the_index_few_jobs_are_still_counted_exactly(conn: Conn) -> None:
    """The server's count of dead rows is what decides; its own statistics come late, so that they are made up here."""
    bodies = [scalar(conn, f"select pg_get_functiondef('pgqueue.{name}'::regproc)") for name in ("backlog", "depths")]
    conn.execute(MANY.replace("%s", "45000"))
    conn.execute("delete from pgqueue.queued_jobs where id < -30")
    expected = [scalar(conn, COUNT, queue) for queue in QUEUES]
    for body in bodies:
        conn.execute(body.replace("pg_stat_get_dead_tuples(_table)", "1000000"))

    assert scalar(conn, "select sum(ready + running) from pgqueue.depths()") != expected[-1]  # of pages that are drawn
    assert [backlog(conn, queue) for queue in QUEUES] == expected
