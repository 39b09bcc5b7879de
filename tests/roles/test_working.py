"""A member of pgqueue_worker runs everything that a worker runs, and drops history that is over."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pgqueue import App, chain
from pgqueue.keeper.retention import drop_expired_days
from tests.roles.conftest import As
from tests.sql.engine import Worker, column, enqueue, rescue, scalar
from tests.support.running import Running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import psycopg


def test_a_worker_who_owns_nothing_runs_jobs_steps_flows_and_limits(
    dsn: str, dsn_as: Callable[..., str], conn: "psycopg.Connection[Any]"
) -> None:
    app = App(dsn_as("worker"))
    app.limit("gpu", concurrency=2)

    @app.task(name="step")
    async def step(ctx: Any, n: int) -> int:
        await ctx.progress(0.5, "half")
        return int(await ctx.step("double", lambda: n * 2))

    @app.task(name="limited", limits=["gpu"])
    def limited() -> None: ...

    @app.schedule(every=timedelta(seconds=1))
    @app.task(name="often")
    def often() -> None: ...

    flow = chain(step.job(n=1), step.job(n=2)).enqueue(conn=conn)
    for _ in range(3):
        limited.using(conn=conn).enqueue()
    step.using(conn=conn, group_key="g").enqueue(n=3)
    worker = Running(app)
    worker.start()
    try:
        wait_until(
            lambda: scalar(conn, "select count(*) from pgqueue.jobs where state = 'succeeded' and task <> 'often'") == 6
        )
        wait_until(
            lambda: scalar(conn, "select count(*) from pgqueue.jobs where state = 'succeeded' and task = 'often'") > 0
        )
    finally:
        worker.stop()
        worker.join()
        app.close()

    assert scalar(conn, "select state from pgqueue.flows where id = %s", flow.id) == "succeeded"
    assert scalar(conn, "select count(*) from pgqueue.attempts where outcome = 'failed'") == 0


def test_a_worker_who_owns_nothing_rescues(as_: As, conn: "psycopg.Connection[Any]") -> None:
    silent = Worker(conn)
    job = enqueue(conn)
    silent.claim()
    silent.fall_silent()

    assert [row["worker_id"] for row in rescue(as_("worker"))] == [silent.id]
    assert scalar(conn, "select state from pgqueue.jobs where id = %s", job) == "ready"


def test_a_worker_who_owns_nothing_drops_the_days_that_are_over(
    dsn_as: Callable[..., str], conn: "psycopg.Connection[Any]"
) -> None:
    conn.execute("select pgqueue.make_partitions('2020-01-01', 2)")
    job = enqueue(conn)
    conn.execute("update pgqueue.job_args set day = '2020-01-01' where id = %s", [job])
    conn.execute("update pgqueue.queued_jobs set args_day = '2020-01-01' where id = %s", [job])

    dropped = drop_expired_days(dsn_as("worker"), "pgqueue")

    assert len(dropped) == 8
    assert column(conn, "select relname from pg_class where relname ~ '_2020010[12]$' and relkind = 'r'") == []
    assert scalar(conn, "select args from pgqueue.jobs where id = %s", job) == {}


def test_a_day_whose_arguments_are_needed_is_kept_whoever_asks(as_: As, conn: "psycopg.Connection[Any]") -> None:
    conn.execute("select pgqueue.make_partitions('2020-01-01', 1)")
    job = enqueue(conn)
    conn.execute("update pgqueue.job_args set day = '2020-01-01' where id = %s", [job])
    conn.execute("update pgqueue.queued_jobs set args_day = '2020-01-01' where id = %s", [job])

    assert scalar(as_("worker"), "select pgqueue.drop_day('job_args_20200101')") is False
    assert scalar(as_("worker"), "select pgqueue.drop_day('job_attempts_20200101')") is True
