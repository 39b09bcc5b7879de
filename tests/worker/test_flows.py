"""Flows with a real worker: who runs when, what children see of their parents, what follows a failure."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from pgqueue import (
    App,
    Context,
    Discard,
    FlowFailed,
    FlowHandle,
    FlowState,
    LeaseLost,
    batch,
    chain,
    dag,
    group,
    saga,
)
from tests.support.jobs import KINDS, QUICKLY
from tests.support.waiting import wait_until
from tests.worker.conftest import Connect, Jobs, Start

SECONDS = 20.0


@pytest.fixture
def ran() -> list[Any]:
    """What ran, in order."""
    return []


@pytest.fixture
def note(app: App, ran: list[Any]) -> Any:
    """A task that notes its argument."""

    @app.task(name="note")
    async def note(what: Any) -> Any:
        ran.append(what)
        return what

    return note


@pytest.fixture
def broken(app: App, ran: list[Any]) -> Any:
    """A task that notes its argument and fails for good, until it is repaired."""

    @app.task(name="broken")
    async def broken(what: Any) -> Any:
        ran.append(what)
        if not repaired.is_set():
            raise Discard("broken")
        return what

    repaired = threading.Event()
    made: Any = broken
    made.repair = repaired.set
    return made


def ended(flow: FlowHandle) -> FlowState:
    wait_until(lambda: flow.state() is not FlowState.RUNNING, SECONDS)
    return flow.state()


def all_over(flow: FlowHandle) -> bool:
    progress = flow.progress()
    return progress.ended == progress.total


@pytest.mark.parametrize("kind", KINDS)
def test_a_child_sees_the_results_of_its_parents(jobs_app: App, start: Start, kind: str) -> None:
    add, total = jobs_app.tasks["add.async"], jobs_app.tasks[f"sum.{kind}"]
    flow = chain(group(add.job(1, 2), add.job(3, 4)), total.job(), total.job()).enqueue()

    start(jobs_app, cpu_processes=1)

    assert flow.result(timeout=SECONDS) == 10
    assert [handle.result(timeout=1) for handle in flow.jobs] == [3, 7, 10, 10]


def test_parents_come_in_order_with_their_names_through_barriers(app: App, start: Start, note: Any) -> None:
    @app.task
    async def look(ctx: Context) -> Any:
        return [(parent.name, parent.task, parent.outcome, parent.result) for parent in await ctx.parents()]

    g = dag()
    one, two = g.add(note.job(1), name="one"), g.add(note.job(2), name="two")
    g.add(group(look.job(), look.job()), after=[two, one])
    alone = look.enqueue()
    flow = g.enqueue()

    start(app)

    seen = [["two", "note", "succeeded", 2], ["one", "note", "succeeded", 1]]
    assert flow.result(timeout=SECONDS) == [1, 2, [seen, seen]]
    assert alone.result(timeout=SECONDS) == []


def test_a_chain_of_groups_runs_stage_by_stage(app: App, start: Start, note: Any, ran: list[Any]) -> None:
    flow = chain(*(group(*(note.job(stage) for _ in range(5))) for stage in range(4)), name="stages").enqueue()

    start(app)

    assert flow.result(timeout=SECONDS) == [3] * 5
    assert ran == sorted(ran)
    assert flow.progress().succeeded == flow.progress().total == 20


def test_a_failure_cancels_what_waits_for_success(app: App, start: Start, note: Any, broken: Any, the: Jobs) -> None:
    flow = chain(note.job(1), broken.job(2), note.job(3), note.job(4)).enqueue()
    start(app)

    with pytest.raises(FlowFailed, match=rf"flow {flow.id} is failed: job {flow.jobs[1].id} \(broken\) is dead;"):
        flow.result(timeout=SECONDS)

    assert [the[handle]["state"] for handle in flow.jobs] == ["succeeded", "dead", "cancelled", "cancelled"]
    assert ended(flow) is FlowState.FAILED


@pytest.mark.parametrize(("policy", "state"), [("run", "succeeded"), ("dead", "dead"), ("wait", "blocked")])
def test_a_failure_may_be_run_over_die_or_wait(
    app: App, start: Start, note: Any, broken: Any, the: Jobs, policy: Any, state: str
) -> None:
    flow = chain(broken.job(1), note.job(2), on_failure=policy).enqueue()

    start(app)

    the.wait(flow.jobs[0], "dead")
    the.wait(flow.jobs[1], state)
    assert ended(flow) is FlowState.FAILED


def test_a_dag_asks_each_parent_for_something_else(
    app: App, start: Start, note: Any, broken: Any, ran: list[Any], the: Jobs
) -> None:
    g = dag()
    good, bad = g.add(note.job("good")), g.add(broken.job("bad"))
    g.add(note.job("both ended"), after=[good.ended, bad.ended])
    g.add(note.job("clean up"), after=[bad.failed])
    g.add(note.job("not wanted"), after=[good.failed])
    g.add(note.job("not reached"), after=[good, bad])
    flow = g.enqueue()

    start(app)

    wait_until(lambda: all_over(flow), SECONDS)
    assert sorted(ran) == ["bad", "both ended", "clean up", "good"]
    assert (the[flow.jobs[4]]["state"], the[flow.jobs[4]]["error"]["message"]) == ("cancelled", "skipped")
    progress = flow.progress()
    assert (progress.succeeded, progress.failed, progress.cancelled, progress.skipped) == (3, 1, 1, 1)


def test_callbacks_of_a_batch_run_once_each_when_all_succeeded(
    app: App, start: Start, note: Any, ran: list[Any]
) -> None:
    called = {"on_success": note.job("success"), "on_done": note.job("done"), "on_failed": note.job("failed")}
    flow = batch([note.job(n) for n in range(150)], **called).enqueue()

    start(app)

    assert flow.result(timeout=SECONDS) == list(range(150))
    assert sorted(ran[:150]) == list(range(150))
    assert sorted(ran[150:]) == ["done", "success"]


def test_callbacks_are_not_called_again_when_what_failed_is_retried(
    app: App, start: Start, note: Any, broken: Any, ran: list[Any]
) -> None:
    called = {"on_success": note.job("success"), "on_done": note.job("done"), "on_failed": note.job("failed")}
    flow = batch([broken.job(1), note.job(2)], **called).enqueue()
    start(app)
    wait_until(lambda: all_over(flow), SECONDS)
    assert sorted(ran, key=str) == [1, 2, "done", "failed"]

    broken.repair()
    assert flow.retry() >= 1

    wait_until(lambda: all_over(flow), SECONDS)
    assert [ran.count(what) for what in ("done", "failed")] == [1, 1]
    assert ran.count("success") <= 1
    assert flow.jobs[0].result(timeout=1) == 1


def test_a_batch_of_nothing_has_succeeded(app: App, start: Start, note: Any, ran: list[Any]) -> None:
    called = {"on_success": note.job("success"), "on_failed": note.job("failed")}
    flow = batch([], **called).enqueue()

    start(app)

    assert flow.result(timeout=SECONDS) == []
    assert ran == ["success"]


def test_a_batch_of_batches_ends_after_the_callbacks_of_its_members(
    app: App, start: Start, note: Any, ran: list[Any]
) -> None:
    inner = [batch([note.job(n)], on_done=note.job(f"inner {n}")) for n in range(3)]
    flow = batch(inner, on_success=note.job("outer")).enqueue()

    start(app)

    assert flow.result(timeout=SECONDS) == [[0], [1], [2]]
    assert ran[-1] == "outer"
    assert len(ran) == 7


def test_a_saga_that_fails_is_undone_in_reverse_order(
    app: App, start: Start, note: Any, broken: Any, ran: list[Any], the: Jobs
) -> None:
    flow = saga(
        (note.job("a"), note.job("undo a")),
        (note.job("b"), None),
        (note.job("c"), note.job("undo c")),
        (broken.job("d"), note.job("undo d")),
        (note.job("e"), note.job("undo e")),
    ).enqueue()

    start(app)

    with pytest.raises(FlowFailed):
        flow.result(timeout=SECONDS)
    assert ran == ["a", "b", "c", "d", "undo c", "undo a"]
    assert ended(flow) is FlowState.FAILED


def test_a_saga_that_succeeds_undoes_nothing(app: App, start: Start, note: Any, ran: list[Any]) -> None:
    flow = saga((note.job("a"), note.job("undo a")), (note.job("b"), note.job("undo b"))).enqueue()

    start(app)

    assert flow.result(timeout=SECONDS) == ["a", "b"]
    assert ran == ["a", "b"]


def test_an_undo_sees_what_its_step_did_and_a_failed_one_names_what_is_left(
    app: App, start: Start, note: Any, broken: Any, the: Jobs
) -> None:
    seen: list[Any] = []

    @app.task(name="refund", max_attempts=2, backoff=QUICKLY)
    async def refund(ctx: Context) -> None:
        seen.append([parent.result for parent in await ctx.parents() if parent.task == "note"])
        if len(seen) < 3:
            raise RuntimeError("the bank is closed")

    flow = saga((note.job("charge 7"), refund.job()), (broken.job("ship"), None)).enqueue()
    start(app)

    dead = the.wait(flow.jobs[2], "dead")
    assert seen == [["charge 7"]] * 2
    assert "left undone: refund" in dead["error"]["message"]

    app.retry(flow.jobs[2].id)
    the.wait(flow.jobs[2], "succeeded")
    assert len(seen) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_adds_others_to_its_flow_and_what_waits_for_it_waits_for_them(
    jobs_app: App, start: Start, the: Jobs, kind: str
) -> None:
    spread, noop = jobs_app.tasks[f"spread.{kind}"], jobs_app.tasks["noop"]
    flow = batch([spread.job([1, 2, 3]), spread.job([4])], on_success=noop.job()).enqueue()

    start(jobs_app, cpu_processes=1)

    grown = flow.result(timeout=SECONDS)
    assert [len(ids) for ids in grown] == [3, 1]
    assert flow.progress().succeeded == 7
    ends = {job: the[job]["finished_at"] for ids in grown for job in ids}
    assert the[flow.jobs[2]]["finished_at"] >= max(ends.values())


def test_what_is_added_may_wait_for_the_job_that_adds_it(app: App, start: Start, note: Any, ran: list[Any]) -> None:
    @app.task
    async def first(ctx: Context) -> str:
        await ctx.add(chain(note.job("after"), note.job("last")), when="succeeded")
        ran.append("first")
        return "x"

    flow = chain(first.job(), note.job("next")).enqueue()

    start(app)

    flow.result(timeout=SECONDS)
    assert ran == ["first", "after", "last", "next"]


def test_what_is_added_and_skipped_holds_nobody_up(app: App, start: Start, note: Any, ran: list[Any]) -> None:
    @app.task
    async def first(ctx: Context) -> None:
        await ctx.add(batch([note.job(1)], on_failed=note.job("failed")), saga((note.job(2), note.job("undo"))))

    flow = chain(first.job(), note.job(3)).enqueue()

    start(app)

    assert flow.result(timeout=SECONDS) == 3
    assert sorted(ran[:2]) == [1, 2]
    assert ran[2:] == [3]


def test_a_step_is_undone_also_when_what_it_added_failed(
    app: App, start: Start, note: Any, broken: Any, ran: list[Any]
) -> None:
    @app.task
    async def step(ctx: Context) -> None:
        await ctx.add(broken.job("added"))

    flow = saga((step.job(), note.job("undo")), (note.job("next"), None)).enqueue()

    start(app)

    with pytest.raises(FlowFailed):
        flow.result(timeout=SECONDS)
    assert ran == ["added", "undo"]


def test_what_an_attempt_adds_in_a_transaction_is_gone_when_it_rolls_back(
    app: App, start: Start, note: Any, ran: list[Any], connect: Connect
) -> None:
    @app.task(max_attempts=2, backoff=QUICKLY)
    def grow(ctx: Context) -> None:
        with connect(autocommit=False) as conn:
            ctx.add(note.job(ctx.attempt), conn=conn)
            if ctx.attempt == 1:
                raise RuntimeError("rolled back")

    flow = batch([grow.job()]).enqueue()

    start(app)

    flow.result(timeout=SECONDS)
    assert ran == [2]


def test_an_attempt_that_lost_its_lease_adds_nothing(app: App, start: Start, note: Any, the: Jobs) -> None:
    seen: list[str] = []

    @app.task
    def grow(ctx: Context) -> None:
        the_conn.execute("update pgqueue.queued_jobs set token = token + 1 where id = %s", [ctx.job_id])
        try:
            ctx.add(note.job("late"))
        except LeaseLost:
            seen.append("lost")
            raise

    the_conn = the.conn
    flow = chain(grow.job(), note.job("next")).enqueue()
    start(app)

    wait_until(lambda: seen == ["lost"], SECONDS)
    assert flow.progress().total == 2


def test_a_cancelled_flow_stops_and_a_retried_one_goes_on_where_it_was(
    app: App, start: Start, note: Any, ran: list[Any], the: Jobs
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    @app.task
    def slow(ctx: Context) -> None:
        begun.set()
        while not may_end.wait(0.01) and not ctx.cancelled:
            pass

    flow = chain(note.job(1), slow.job(), note.job(2)).enqueue()
    start(app)
    assert begun.wait(SECONDS)

    assert app.cancel_flow(flow.id) == 2
    wait_until(lambda: all_over(flow), SECONDS)
    assert flow.state() is FlowState.CANCELLED
    assert [the[handle]["state"] for handle in flow.jobs] == ["succeeded", "cancelled", "cancelled"]

    may_end.set()
    assert app.retry_flow(flow.id) == 2
    assert flow.result(timeout=SECONDS) == 2
    assert ran == [1, 2]


def test_a_flow_is_there_when_its_transaction_commits_and_not_before(
    app: App, start: Start, note: Any, ran: list[Any], connect: Connect
) -> None:
    start(app)
    with connect(autocommit=False) as conn:
        gone = chain(note.job("gone"), note.job("gone")).enqueue(conn=conn)
        conn.rollback()
    with connect(autocommit=False) as conn:
        flow = chain(note.job(1), note.job(2)).enqueue(conn=conn)
        conn.commit()

    assert flow.result(timeout=SECONDS) == 2
    assert ran == [1, 2]
    with pytest.raises(LookupError, match=f"no flow {gone.id}"):
        gone.state()


def test_a_result_that_is_late_says_so(app: App, note: Any) -> None:
    flow = chain(note.job(1)).enqueue()

    with pytest.raises(TimeoutError, match=r"did not end within 0\.05 s"):
        flow.result(timeout=timedelta(milliseconds=50))


async def test_a_flow_is_awaited_without_blocking_the_loop(app: App, start: Start, note: Any) -> None:
    flow = await group(note.job(1), note.job(2)).aenqueue()
    start(app)

    assert await flow.aresult(timeout=SECONDS) == [1, 2]
    assert (await flow.aprogress()).succeeded == 2
    await app.aclose()
