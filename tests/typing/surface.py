"""The typed surface, for mypy to read; nothing here runs. Each `# error:` line must be an error of that code.

Checked by test_surface.py with `--strict`: what is revealed and what is refused is what users see in their editors.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from psycopg import AsyncConnection, Connection

from pgqueue import (
    App,
    Chain,
    Discard,
    Exponential,
    FlowHandle,
    FlowProgress,
    Gate,
    Handle,
    Job,
    Limit,
    Node,
    PendingJob,
    RetryPolicy,
    State,
    Weight,
    batch,
    chain,
    dag,
    group,
    saga,
)
from pgqueue.context import Context

app = App()


@app.task
def add(a: int, b: int = 0) -> int:
    return a + b


@app.task(queue="mail", max_attempts=5, backoff=Exponential(), timeout=timedelta(seconds=30))
async def send(user_id: int, *, loud: bool = False) -> str:
    return str(user_id)


@app.task
async def with_context(ctx: Context, user_id: int) -> datetime:
    return datetime.now(UTC)


@app.task(policies={ValueError: Discard, OSError: RetryPolicy(max_attempts=9), TimeoutError: Exponential()})
def plain_context(ctx: Context, name: str) -> None: ...


@app.schedule("0 2 * * *", timezone="Europe/Berlin", missed="all", args={"a": 1})
@app.schedule(every=timedelta(minutes=5), overlap="skip", name="often")
@app.task
def nightly(a: int) -> int:
    return a


@app.schedule("0 2 * * *")
@app.job(queue="mail")
class Letter(Job):
    to: str
    copies: int = 1

    async def run(self, ctx: Context) -> None: ...


def charge(order: int, *, amount: int = 0) -> str:
    return f"{order} {amount}"


async def ship(order: int) -> datetime:
    return datetime.now(UTC)


async def good(conn: Connection, aconn: AsyncConnection, ctx: Context) -> None:
    assert_type(add(1, 2), int)
    assert_type(add.enqueue(1, b=2), Handle[int])
    assert_type(add.enqueue(1).result(timeout=5), int)
    assert_type(nightly.enqueue(1), Handle[int])
    assert_type(await send(7), str)
    assert_type(await send.aenqueue(user_id=7, loud=True), Handle[str])
    assert_type(await (await send.aenqueue(7)).aresult(), str)
    assert_type(send.using(conn=conn, key="k", delay=timedelta(hours=1)).enqueue(7), Handle[str])
    assert_type(await send.using(conn=aconn).aenqueue(7), Handle[str])
    assert_type(send.job(7), PendingJob[str])
    assert_type(with_context.enqueue(user_id=7), Handle[datetime])
    assert_type(await with_context(ctx, 7), datetime)
    assert_type(plain_context.enqueue("x"), Handle[None])
    assert_type(app.enqueue_many([add.job(i) for i in range(3)], conn=conn), list[Handle[int]])
    assert_type(await ctx.step("ship", ship, 7), datetime)
    assert_type(await ctx.step("ship", ship, 7, conn=aconn), datetime)
    assert_type(ctx.step("charge", charge, 7, amount=3), Any)
    assert_type(ctx.step("charge", charge, 7, conn=conn), Any)
    assert_type(ctx.step("charge", lambda: 7), Any)
    flow = chain(add.job(1), group(add.job(2), batch([add.job(i) for i in range(9)], on_done=add.job(3))))
    assert_type(flow, Chain)
    assert_type(flow.enqueue(conn=conn), FlowHandle)
    assert_type(await flow.aenqueue(conn=aconn), FlowHandle)
    graph = dag(on_failure="run")
    first = graph.add(add.job(1), name="first")
    second = graph.add(flow, after=[first, first.ended, add.enqueue(1)], on_failure="wait")
    assert_type(second, Node)
    graph.add(saga((add.job(1), add.job(-1)), (send.job(7), None)), after=[first.failed])
    assert_type(graph.enqueue().progress(), FlowProgress)
    assert_type(app.cancel_flow(1, conn=conn), int)
    assert_type(app.pending(Letter(to="ann"), priority=3), PendingJob[Any])
    assert_type(app.limit("stripe", rate=100, per=timedelta(seconds=1)), Limit)
    add.using(limits={"stripe": 7, "openai": Weight(3, key="acme")}, group_key="a", fair_key="b")
    await ctx.add(add.job(1), flow, when="succeeded")
    assert_type(app.cancel(1), State)
    assert_type(await app.acancel(1), State)
    assert_type(app.why(1, conn=conn), list[Gate])
    assert_type(await app.awhy(1), list[Gate])
    app.push(Letter(to="ann"), conn=conn, priority=3)
    assert_type(Letter(to="ann").copies, int)


async def bad(ctx: Context) -> None:
    ctx.step("charge", charge, "x")  # error: call-overload
    ctx.step("charge", charge(7))  # error: call-overload
    ctx.step(charge, 7)  # error: call-overload
    add.enqueue("x")  # error: arg-type
    chain(add)  # error: arg-type
    chain(add.job(1), on_failure="stop")  # error: arg-type
    batch(add.job(1))  # error: arg-type
    saga((add, None))  # error: arg-type
    dag().add(add.job(1), after=[7])  # error: list-item
    add.using(group_retry="wait")  # error: arg-type
    app.limit("gpu", 4)  # error: call-arg
    add.enqueue()  # error: call-arg
    add.enqueue(1, c=2)  # error: call-arg
    add.job(a=None)  # error: arg-type
    send.enqueue(user_id="x")  # error: arg-type
    await send.aenqueue(1, True)  # error: call-arg
    send.using(prio=3)  # error: call-arg
    send.using(delay=5)  # error: arg-type
    send.using(key="k", key_policy="maybe")  # error: arg-type
    send.using(key="k").enqueue("x")  # error: arg-type
    with_context.enqueue(ctx=None, user_id=7)  # error: call-arg
    plain_context.enqueue(7)  # error: arg-type
    Letter("ann")  # error: call-arg
    Letter(to=7)  # error: arg-type
    app.push(7)  # error: arg-type
    app.schedule("@daily", missed="maybe")(add)  # error: arg-type
    app.schedule(every=60)(add)  # error: arg-type
