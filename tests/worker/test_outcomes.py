"""What handlers of each kind return and raise, and what becomes of their jobs."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from pgqueue import App, Discard, Exponential, Retry, RetryPolicy
from tests.support.jobs import KINDS, QUICKLY
from tests.worker.conftest import Jobs, Start

SLOWLY = Exponential(first=timedelta(hours=1))


@dataclass
class Point:
    x: int
    y: int


@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_of_each_kind_gets_its_arguments_and_leaves_its_result(
    jobs_app: App, start: Start, the: Jobs, kind: str
) -> None:
    handle = jobs_app.tasks[f"add.{kind}"].enqueue(a=2, b=3)

    start(jobs_app)

    done = the.wait(handle, "succeeded")
    assert done["result"] == 5
    assert done["attempt"] == 1
    assert done["progress"] == 1
    assert the.attempts(handle) == [(1, "succeeded")]


def test_arguments_have_the_types_of_the_signature(app: App, start: Start, the: Jobs) -> None:
    @app.task
    async def typed(point: Point, wait: timedelta, many: list[Point]) -> list[str]:
        return [type(point).__name__, type(wait).__name__, *(type(one).__name__ for one in many)]

    handle = typed.enqueue(point=Point(1, 2), wait=timedelta(seconds=3), many=[Point(3, 4)])

    start(app)

    assert the.wait(handle, "succeeded")["result"] == ["Point", "timedelta", "Point"]


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_that_do_not_fit_make_a_dead_letter_at_once(
    jobs_app: App, start: Start, the: Jobs, kind: str
) -> None:
    job = the.conn.execute("""select pgqueue.enqueue(%s, '{"a": "two", "c": 1}')""", [f"add.{kind}"]).fetchall()[0][0]

    start(jobs_app)

    dead = the.wait(job, "dead")
    assert dead["attempt"] == 1
    assert dead["error"]["type"] == "ArgumentError"
    assert f"add.{kind}" in dead["error"]["message"]
    assert the.attempts(job) == [(1, "dead")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_failing_handler_is_tried_as_often_as_its_task_says_and_keeps_every_error(
    jobs_app: App, start: Start, the: Jobs, kind: str
) -> None:
    handle = jobs_app.tasks[f"fail.{kind}"].enqueue(message="boom")

    start(jobs_app)

    dead = the.wait(handle, "dead")
    assert (dead["attempt"], dead["failures"], dead["losses"]) == (3, 3, 0)
    assert the.attempts(handle) == [(1, "failed"), (2, "failed"), (3, "dead")]
    for error in the.errors(handle):
        assert error is not None
        assert (error["type"], error["message"]) == ("ValueError", "boom")
        assert "raise ValueError(message)" in error["traceback"]
        assert "pgqueue/worker" not in error["traceback"]


def test_a_retry_waits_for_its_backoff(app: App, start: Start, the: Jobs) -> None:
    @app.task(backoff=SLOWLY)
    async def later() -> None:
        raise ValueError

    handle = later.enqueue()

    start(app)

    waiting = the.wait(handle, "scheduled")
    wait = waiting["run_at"] - the.conn.execute("select clock_timestamp()").fetchall()[0][0]
    assert timedelta(minutes=50) < wait < timedelta(minutes=70)
    assert (waiting["attempt"], waiting["failures"]) == (1, 1)
    assert waiting["error"]["type"] == "ValueError"


def test_what_the_call_says_about_attempts_wins_over_the_task(app: App, start: Start, the: Jobs) -> None:
    @app.task(max_attempts=4, backoff=QUICKLY)
    async def broken() -> None:
        raise ValueError

    handle = broken.using(max_attempts=2).enqueue()

    start(app)

    assert the.wait(handle, "dead")["failures"] == 2


def test_the_policy_of_an_exception_decides(app: App, start: Start, the: Jobs) -> None:
    rules: Any = {KeyError: Discard, OSError: RetryPolicy(max_attempts=2, backoff=QUICKLY), ArithmeticError: SLOWLY}

    @app.task(max_attempts=5, backoff=QUICKLY, policies=rules)
    async def choosy(which: str) -> None:
        raise {"key": KeyError, "os": ConnectionError, "arithmetic": ZeroDivisionError}[which]("x")

    key, os_error, arithmetic = (choosy.enqueue(which=which) for which in ("key", "os", "arithmetic"))

    start(app)

    assert the.wait(key, "dead")["failures"] == 1
    assert the.wait(os_error, "dead")["failures"] == 2
    assert the.wait(arithmetic, "scheduled")["failures"] == 1


@pytest.mark.parametrize("raised", [False, True], ids=["returned", "raised"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_may_answer_instead_of_a_result(
    jobs_app: App, start: Start, the: Jobs, kind: str, raised: bool
) -> None:
    task = jobs_app.tasks[f"answer.{kind}"]
    retried, snoozed, cancelled, discarded = (
        task.enqueue(verb=verb, raised=raised) for verb in ("retry", "snooze", "cancel", "discard")
    )

    start(jobs_app)

    assert the.wait(retried, "succeeded")["failures"] == 1
    assert the.attempts(retried) == [(1, "failed"), (2, "succeeded")]
    assert the.wait(snoozed, "succeeded")["failures"] == 0
    assert the.attempts(snoozed) == [(1, "snoozed"), (2, "succeeded")]
    assert the.wait(cancelled, "cancelled")["error"]["message"] == "no longer wanted"
    dead = the.wait(discarded, "dead")
    assert dead["attempt"] == 1
    assert dead["error"]["message"] == "cannot work"


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_that_is_not_json_makes_a_dead_letter_that_says_so(
    jobs_app: App, start: Start, the: Jobs, kind: str
) -> None:
    handle = jobs_app.tasks[f"odd.{kind}"].enqueue()

    start(jobs_app)

    dead = the.wait(handle, "dead")
    assert dead["attempt"] == 1
    assert "result" in dead["error"]["message"]
    assert "object" in dead["error"]["message"]


def test_a_handler_that_exits_has_failed_and_its_worker_goes_on(app: App, start: Start, the: Jobs) -> None:
    @app.task(max_attempts=1)
    async def leaves() -> None:
        raise SystemExit(4)

    @app.task(max_attempts=1)
    def leaves_thread() -> None:
        raise KeyboardInterrupt

    @app.task
    async def stays() -> int:
        return 1

    handles = leaves.enqueue(), leaves_thread.enqueue()
    start(app)

    for handle in handles:
        the.wait(handle, "dead")
    assert the.wait(stays.enqueue(), "succeeded")["result"] == 1


def test_a_handler_that_cancels_itself_has_failed(app: App, start: Start, the: Jobs) -> None:
    @app.task(max_attempts=1)
    async def suicidal() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    handle = suicidal.enqueue()
    start(app)

    assert the.wait(handle, "dead")["error"]["type"].endswith("CancelledError")


def test_timeouts_and_task_groups_work_in_handlers(app: App, start: Start, the: Jobs) -> None:
    @app.task
    async def timed() -> str:
        try:
            async with asyncio.timeout(0.02):
                await asyncio.sleep(10)
        except TimeoutError:
            return "timed out"
        return "not"

    @app.task
    async def grouped() -> int:
        async with asyncio.TaskGroup() as group:
            parts = [group.create_task(asyncio.sleep(0, number)) for number in range(4)]
        return sum(part.result() for part in parts)

    @app.task(max_attempts=1)
    async def broken_group() -> None:
        async def fail() -> None:
            raise KeyError("inside")

        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(10))
            group.create_task(fail())

    handles = timed.enqueue(), grouped.enqueue(), broken_group.enqueue()
    start(app, concurrency=1)

    assert the.wait(handles[0], "succeeded")["result"] == "timed out"
    assert the.wait(handles[1], "succeeded")["result"] == 6
    assert the.wait(handles[2], "dead")["error"]["type"] == "ExceptionGroup"


def test_a_handler_that_swallows_its_cancellation_leaves_no_trace_in_the_next_job(
    app: App, start: Start, the: Jobs
) -> None:
    @app.task(timeout=timedelta(seconds=0.05))
    async def deaf() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return "went on"
        return "not stopped"

    @app.task(max_attempts=1)
    async def after() -> int:
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    first = deaf.enqueue()
    start(app, concurrency=1)
    the.wait(first, "succeeded")

    assert the.wait(after.enqueue(), "succeeded")["result"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_context_variables_do_not_leak_from_job_to_job(jobs_app: App, start: Start, the: Jobs, kind: str) -> None:
    handles = [jobs_app.tasks[f"leave_mark.{kind}"].enqueue() for _ in range(3)]

    start(jobs_app, concurrency=1, threads=1)

    assert [the.wait(handle, "succeeded")["result"] for handle in handles] == ["clean"] * 3


def test_an_expired_job_is_cancelled_and_not_run(app: App, start: Start, the: Jobs) -> None:
    ran: list[int] = []

    @app.task
    async def late() -> None:
        ran.append(1)

    @app.task
    def late_thread() -> None:
        ran.append(2)

    handles = [task.using(expires_at=timedelta(milliseconds=1)).enqueue() for task in (late, late_thread)]
    time.sleep(0.01)
    start(app)

    for handle in handles:
        assert the.wait(handle, "cancelled")["error"]["message"] == "expired"
    assert ran == []


def test_progress_is_shown_while_the_job_runs(jobs_app: App, start: Start, the: Jobs) -> None:
    handles = [jobs_app.tasks[f"report.{kind}"].enqueue() for kind in KINDS]
    start(jobs_app)

    for handle in handles:
        while the[handle]["progress"] is None:
            time.sleep(0.01)
        assert (the[handle]["progress"], the[handle]["progress_note"]) == (0.25, "a quarter")


def test_progress_of_an_ended_attempt_does_not_stop_the_next_one(app: App, start: Start, the: Jobs) -> None:
    @app.task
    async def twice(ctx: Any) -> Any:
        if ctx.attempt == 1:
            ctx.progress(0.1)
            return Retry(after=0)
        await asyncio.sleep(1.2)
        return ctx.attempt

    handle = twice.enqueue()
    start(app)

    assert the.wait(handle, "succeeded")["result"] == 2
    assert the.attempts(handle) == [(1, "failed"), (2, "succeeded")]


class MuteError(Exception):
    """Cannot say anything, and ends who asks."""

    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize("module", ["tests", None])
def test_an_exception_that_cannot_say_anything_is_an_error_like_any_other(
    app: App, start: Start, the: Jobs, module: Any
) -> None:
    kind = type("Mute", (MuteError,), {"__module__": module})

    @app.task(max_attempts=1)
    async def mutely() -> None:
        raise kind

    @app.task(max_attempts=1)
    def mutely_thread() -> None:
        raise kind

    handles = mutely.enqueue(), mutely_thread.enqueue()
    start(app)

    for handle in handles:
        error = the.wait(handle, "dead")["error"]
        assert (error["type"], error["message"]) == (f"{module}.Mute", "(its message raised SystemExit)")


@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_that_says_it_lost_a_lease_that_it_has_is_failing_and_does_not_come_round_for_ever(
    jobs_app: App, start: Start, the: Jobs, kind: str
) -> None:
    handle = jobs_app.tasks[f"lose.{kind}"].enqueue()

    start(jobs_app)

    assert the.wait(handle, "dead")["error"]["type"] == "LeaseLost"
    assert the.attempts(handle) == [(1, "failed"), (2, "dead")]
