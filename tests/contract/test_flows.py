"""What the Python surface promises of flows, groups and limits, held by the same tests for both clients."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from pgqueue import (
    App,
    ArgumentError,
    FlowFailed,
    FlowState,
    Job,
    JobNotFound,
    KeyTaken,
    ResultTimeout,
    Weight,
    batch,
    chain,
    dag,
    group,
    saga,
)
from tests.support.sides import Async, Sync

Conn = psycopg.Connection[Any]


class Mail(Job):
    to: str

    def run(self) -> None: ...


@pytest.fixture(params=[Sync, Async])
def side(request: pytest.FixtureRequest, dsn: str) -> Any:
    return request.param(dsn)


@pytest.fixture
async def app(dsn: str) -> AsyncIterator[App]:
    made = App(dsn, schema="pgqueue", pool_size=2, pool_timeout=5)
    made.task(name="add", limits=["api"])(add)
    made.job(name="letter")(Mail)
    yield made
    await made.aclose()


def add(a: int, b: int = 0) -> int:
    return a + b


def jobs(conn: Conn) -> list[dict[str, Any]]:
    query = "select id, task, state, args, group_key from pgqueue.jobs order by id"
    return conn.cursor(row_factory=dict_row).execute(query).fetchall()


def gates(conn: Conn, job_id: int) -> Any:
    ((found,),) = conn.execute("select gates from pgqueue.job_args where id = %s", [job_id]).fetchall()
    return found


def end(conn: Conn, *job_ids: int, outcome: str = "succeeded", **left: Any) -> None:
    """End ready jobs as a worker would."""
    for job_id in job_ids:
        conn.execute("update pgqueue.queued_jobs set worker_id = 1, token = 5, attempt = 1 where id = %s", [job_id])
        settled = json.dumps([{"id": job_id, "token": 5, "outcome": outcome, **left}])
        assert conn.execute("select * from pgqueue.settle(%s::jsonb, clock_timestamp())", [settled]).fetchall() == []


async def test_gates_arrive_with_one_job_and_with_many(side: Any, app: App, conn: Conn) -> None:
    bound = app.named("add").using(
        group_key="order-7", group_retry="pass", fair_key="acme", limits={"api": 7, "gpu": Weight(2)}
    )
    expected = {
        "group": "order-7",
        "pass": True,
        "fair": "acme",
        "limits": {"api": {"key": "7", "weight": 1}, "gpu": {"key": "", "weight": 2}},
    }

    one = await side.do(bound, "enqueue", 1)
    (many,) = await side.do(app, "enqueue_many", [bound.job(1)])

    assert gates(conn, one.id) == gates(conn, many.id) == expected
    assert [job["group_key"] for job in jobs(conn)] == ["order-7"] * 2


async def test_a_flow_is_enqueued_as_a_whole(side: Any, app: App, conn: Conn) -> None:
    job = app.named("add").job
    flow = await side.do(chain(job(1), group(job(2), job(3)), name="sums"), "enqueue")

    assert [handle.id for handle in flow.jobs] == [row["id"] for row in jobs(conn)]
    assert [row["state"] for row in jobs(conn)] == ["ready", "blocked", "blocked"]
    assert gates(conn, flow.jobs[0].id) == {"limits": {"api": {"key": "", "weight": 1}}}
    assert await side.do(flow, "state") is FlowState.RUNNING
    progress = await side.do(flow, "progress")
    assert (progress.total, progress.waiting, progress.ended) == (3, 3, 0)


async def test_a_flow_belongs_to_the_callers_transaction(side: Any, app: App, conn: Conn) -> None:
    job = app.named("add").job
    own = await side.connect(row_factory=dict_row)
    flow = await side.do(batch([job(1)], on_done=job(2)), "enqueue", conn=own)
    assert jobs(conn) == []
    assert (await side.do(flow, "progress", conn=own)).total == 2

    await side.on(own, "rollback")

    assert jobs(conn) == []
    with pytest.raises(JobNotFound, match=f"no flow {flow.id}"):
        await side.do(flow, "state")
    await side.do(batch([job(1)], on_done=job(2)), "enqueue", conn=own)
    await side.on(own, "commit")
    assert len(jobs(conn)) == 2
    await side.on(own, "close")


async def test_the_result_of_a_flow_has_its_shape(side: Any, app: App, conn: Conn) -> None:
    job = app.named("add").job
    g = dag()
    first = g.add(group(job(1), chain(job(2), job(3))))
    g.add(job(4), after=[first])
    flow = await side.do(g, "enqueue")

    for handle in flow.jobs:
        end(conn, handle.id, result=handle.id)

    one, _, three, four = (handle.id for handle in flow.jobs)
    assert await side.do(flow, "result", timeout=5) == [[one, three], four]
    assert await side.do(flow, "state") is FlowState.SUCCEEDED


async def test_a_flow_that_failed_says_why_and_one_that_is_late_that_it_goes_on(
    side: Any, app: App, conn: Conn
) -> None:
    job = app.named("add").job
    flow = await side.do(saga((job(1), job(-1)), (job(2), None)), "enqueue")
    do, ship, undo = (handle.id for handle in flow.jobs)
    end(conn, do)
    end(conn, ship, outcome="dead", error={"type": "E", "message": "no"})

    with pytest.raises(ResultTimeout, match="did not end within"):
        await side.do(flow, "result", timeout=timedelta(milliseconds=20))
    end(conn, undo)
    with pytest.raises(FlowFailed, match=rf"flow {flow.id} is failed: job {ship} \(add\) is dead") as caught:
        await side.do(flow, "result", timeout=5)

    assert (caught.value.id, caught.value.state, caught.value.jobs) == (flow.id, "failed", [(ship, "add", "dead")])


async def test_a_flow_is_cancelled_and_retried(side: Any, app: App, conn: Conn) -> None:
    job = app.named("add").job
    flow = await side.do(chain(job(1), job(2)), "enqueue")

    assert await side.do(flow, "cancel") == 2
    assert await side.do(flow, "state") is FlowState.CANCELLED
    assert await side.do(flow, "retry") == 2
    assert [row["state"] for row in jobs(conn)] == ["ready", "blocked"]
    assert await side.do(app, "cancel_flow", flow.id) == 2
    assert await side.do(app, "retry_flow", flow.id) == 2
    with pytest.raises(JobNotFound, match="there is no flow 999999"):
        await side.do(app, "cancel_flow", 999999)


async def test_a_node_waits_for_a_job_that_was_there_before(side: Any, app: App, conn: Conn) -> None:
    job = app.named("add").job
    before = await side.do(app.named("add"), "enqueue", 1)
    g = dag()
    g.add(job(2), after=[before])
    g.add(job(3), after=[g.existing(before).failed])
    flow = await side.do(g, "enqueue")
    assert [row["state"] for row in jobs(conn)] == ["ready", "blocked", "blocked"]

    end(conn, before.id)

    assert [row["state"] for row in jobs(conn)] == ["succeeded", "ready", "cancelled"]
    assert await side.do(flow, "state") is FlowState.RUNNING


async def test_a_key_that_is_held_refuses_the_flow(side: Any, app: App, conn: Conn) -> None:
    keyed = app.named("add").using(key="k")
    holder = await side.do(keyed, "enqueue", 1)

    with pytest.raises(KeyTaken, match=f"held by job {holder.id}"):
        await side.do(chain(app.named("add").job(1), keyed.job(2)), "enqueue")

    assert len(jobs(conn)) == 1


async def test_instances_of_job_classes_are_members(side: Any, app: App, conn: Conn) -> None:
    await side.do(group(app.pending(Mail(to="ann")), app.pending(Mail(to="bob"), priority=3)), "enqueue")
    await side.do(app, "enqueue_many", [app.pending(Mail(to="eve"))])

    assert [row["args"]["to"] for row in jobs(conn)] == ["ann", "bob", "eve"]


async def test_a_flow_of_another_app_is_refused_before_any_sql(side: Any, app: App, conn: Conn) -> None:
    other = App("host=nowhere")
    other.task(name="add")(add)
    own = await side.connect()

    with pytest.raises(ArgumentError, match="another App"):
        await side.do(chain(app.named("add").job(1), other.named("add").job(2)), "enqueue", conn=own)

    await side.do(chain(app.named("add").job(1)), "enqueue", conn=own)
    await side.on(own, "commit")
    assert len(jobs(conn)) == 1
    await side.on(own, "close")


async def test_nothing_at_all_is_a_flow_that_has_succeeded(side: Any, app: App) -> None:
    flow = await side.do(batch([]), "enqueue", app=app)

    assert await side.do(flow, "result", timeout=5) == []
