"""Limits, groups and shares with a real worker: what the code declares holds, and what an operator sets."""

import logging
import threading
from datetime import timedelta
from typing import Any

import pytest

from pgqueue import App, Weight
from tests.support.waiting import wait_until
from tests.worker.conftest import Jobs, Start


def rule(the: Jobs, name: str) -> Any:
    rows = the.conn.execute("select rate, per, burst, concurrency from pgqueue.limit_rules where name = %s", [name])
    return rows.fetchone()


def test_a_worker_declares_before_it_claims_and_leaves_an_operators_edit_alone(
    app: App, start: Start, the: Jobs
) -> None:
    app.limit("api", rate=100, per=timedelta(minutes=1), burst=7)
    first = start(app)
    assert rule(the, "api") == (100, timedelta(minutes=1), 7, None)
    first.stop()
    first.join()
    the.conn.execute("select pgqueue.set_limit('api', concurrency => 3)")

    second = start(app)
    assert rule(the, "api") == (None, timedelta(seconds=1), None, 3)
    second.stop()
    second.join()

    app.limits.clear()
    app.limit("api", concurrency=9)
    start(app)
    assert rule(the, "api") == (None, timedelta(seconds=1), None, 9)


def test_a_limit_that_nobody_set_is_warned_of_and_holds_its_jobs_until_somebody_does(
    app: App, start: Start, the: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task(limits=["api", "known"])
    async def call() -> int:
        return 1

    the.conn.execute("select pgqueue.set_limit('known', concurrency => 1)")
    handle = call.enqueue()

    with caplog.at_level(logging.WARNING, logger="pgqueue"):
        start(app)

    warned = [record.__dict__["limit"] for record in caplog.records if "nobody has set" in record.message]
    assert warned == ["api"]
    assert the[handle]["state"] != "succeeded"
    the.conn.execute("select pgqueue.set_limit('api', concurrency => 1)")
    assert handle.result(timeout=20) == 1


def test_a_concurrency_is_held_by_key_and_weight(app: App, start: Start) -> None:
    app.limit("gpu", concurrency=2)
    lock, running, most = threading.Lock(), 0, 0

    @app.task(limits=["gpu"])
    def train(weight: int) -> None:
        nonlocal running, most
        with lock:
            running += weight
            most = max(most, running)
        threading.Event().wait(0.02)
        with lock:
            running -= weight

    def job(weight: int) -> Any:
        return train.using(limits={"gpu": Weight(weight, key="a")}).job(weight)

    handles = app.enqueue_many([job(1 + number % 2) for number in range(20)])
    start(app, threads=8)

    for handle in handles:
        handle.result(timeout=20)
    assert most == 2


def test_a_group_runs_in_order_one_at_a_time_while_others_run_beside_it(app: App, start: Start) -> None:
    ran: list[tuple[str, int]] = []

    @app.task
    async def step(group: str, number: int) -> None:
        ran.append((group, number))

    jobs = [step.using(group_key=group).job(group, number) for number in range(30) for group in "ab"]
    handles = app.enqueue_many(jobs)
    start(app)

    for handle in handles:
        handle.result(timeout=20)
    for group in "ab":
        assert [number for key, number in ran if key == group] == list(range(30))


def test_a_group_that_passes_goes_on_while_one_waits_for_its_retry(app: App, start: Start, the: Jobs) -> None:
    from pgqueue import Retry

    @app.task(group_retry="pass")
    async def step(number: int) -> int:
        if number == 0:
            raise Retry(after=timedelta(hours=1))
        return number

    first = step.using(group_key="a").enqueue(0)
    second = step.using(group_key="a").enqueue(1)
    start(app)

    assert second.result(timeout=20) == 1
    wait_until(lambda: the[first]["state"] == "scheduled")


def test_a_fair_queue_deals_its_keys_in_turn(app: App, start: Start, the: Jobs) -> None:
    ran: list[str] = []

    @app.task
    async def work(key: str) -> None:
        ran.append(key)

    the.conn.execute("select pgqueue.set_queue('default', fair => true)")
    keys = ["many"] * 60 + ["few"] * 3
    handles = app.enqueue_many([work.using(fair_key=key).job(key) for key in keys])
    start(app, concurrency=2)

    for handle in handles:
        handle.result(timeout=20)
    assert max(place for place, key in enumerate(ran) if key == "few") < 40
