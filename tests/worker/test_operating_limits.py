"""Workers at the limits of docs/limits.md: connections, large and deep arguments, many schedules at the same moment."""

from collections import Counter
from datetime import timedelta

import psycopg
import pytest

from pgqueue import App, ArgumentError, InvalidArgument
from pgqueue.keeper.ticking import tick_due
from tests.support.waiting import wait_until
from tests.worker.conftest import Connect, Jobs, Start

MIB = 2**20
SESSIONS = """
select application_name from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"""


def test_a_worker_process_holds_three_connections_and_without_listening_two(
    jobs_app: App, start: Start, connect: Connect, the: Jobs
) -> None:
    conn = connect()
    counts = []
    for listen in (True, False):
        worker = start(jobs_app, listen=listen, concurrency=50)
        with psycopg.connect(jobs_app.dsn) as other:
            ids = [jobs_app.tasks["add.async"].using(conn=other).enqueue(1, number).id for number in range(200)]
        for job in ids:
            the.wait(job, "succeeded")
        counts.append(Counter(name for (name,) in conn.execute(SESSIONS) if name.startswith("pgq work")))
        worker.stop()
        worker.join()
        wait_until(lambda: not any(name.startswith("pgq work") for (name,) in conn.execute(SESSIONS)))

    assert [sum(count.values()) for count in counts] == [3, 2], counts


def test_arguments_of_a_mebibyte_run_and_one_byte_more_is_refused(
    app: App, start: Start, connect: Connect, the: Jobs
) -> None:
    @app.task(name="size")
    async def size(text: str) -> int:
        return len(text)

    conn = connect()
    most = MIB - len('{"text": ""}')  # as jsonb writes it
    job = size.using(conn=conn).enqueue("x" * most)
    with pytest.raises(InvalidArgument, match=rf"may have {MIB} bytes each, got {MIB + 1} and 0"):
        size.using(conn=conn).enqueue("x" * (most + 1))
    with pytest.raises(ArgumentError, match=r"at most 1,048,576 are allowed; store the data and send its key"):
        size.using(conn=conn).enqueue("x" * 3 * MIB)
    more = '{"text": "' + "x" * 3 * MIB + '"}'
    with pytest.raises(psycopg.Error, match=r"may have 1048576 bytes each, got 3145740.*or raise max_args_bytes"):
        conn.execute("select pgqueue.enqueue('size', %s::jsonb)", (more,))
    conn.execute("update pgqueue.settings set max_args_bytes = %s", (4 * MIB,))
    larger = conn.execute("select pgqueue.enqueue('size', %s::jsonb)", (more,)).fetchone()
    assert larger is not None
    start(app)

    assert the.wait(job.id, "succeeded")["result"] == most
    assert the.wait(larger[0], "succeeded")["result"] == 3 * MIB


@pytest.mark.parametrize("depth", [90, 5_000])
def test_arguments_that_sql_nested_deeply_run_or_are_dead_letters_and_hurt_nobody(
    app: App, start: Start, connect: Connect, the: Jobs, depth: int
) -> None:
    """Python refuses more than 100 levels; from SQL anything comes that jsonb holds."""

    @app.task(name="deep")
    async def deep(value: object) -> None: ...

    @app.task(name="plain")
    async def plain() -> None: ...

    conn = connect()
    nested = '{"value": ' + "[" * depth + "]" * depth + "}"
    row = conn.execute("select pgqueue.enqueue('deep', %s::jsonb)", (nested,)).fetchone()
    beside = plain.using(conn=conn).enqueue()
    assert row is not None
    worker = start(app)

    the.wait(beside.id, "succeeded")
    ended = "succeeded" if depth < 100 else "dead"
    state = "select state = %s from pgqueue.jobs where id = %s"
    wait_until(lambda: conn.execute(state, (ended, row[0])).fetchone() == (True,))
    worker.stop()
    assert worker.join() == 0


def test_three_hundred_schedules_at_one_moment_tick_once_each(dsn: str, connect: Connect) -> None:
    conn, other = connect(), connect()
    conn.execute("select pgqueue.schedule('s' || n, 't', every => interval '1 day') from generate_series(1, 300) n")
    for ticker in (conn, other):
        tick_due(ticker, "pgqueue")
    conn.execute("update pgqueue.job_schedules set next_at = date_trunc('second', now()) - interval '1 s'")

    def all_ticked() -> bool:
        for ticker in (conn, other):
            tick_due(ticker, "pgqueue")
        return conn.execute("select count(*) from pgqueue.job_schedules where next_at < now()").fetchone() == (0,)

    wait_until(all_ticked, 20)

    ticks = conn.execute(
        "select count(*), count(distinct schedule), count(distinct job_id) from pgqueue.schedule_ticks"
    )
    assert ticks.fetchone() == (300, 300, 300)


def test_a_result_of_any_size_is_kept(app: App, start: Start, connect: Connect, the: Jobs) -> None:
    @app.task(name="large", timeout=timedelta(seconds=30))
    async def large() -> str:
        return "x" * 8 * MIB

    job = large.using(conn=connect()).enqueue()
    start(app)

    assert len(the.wait(job.id, "succeeded")["result"]) == 8 * MIB
