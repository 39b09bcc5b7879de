"""What observers of a worker are told."""

import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from pgqueue import App
from pgqueue.events import AttemptEnded, Event, Observers, StepDone
from tests.support.jobs import KINDS, QUICKLY
from tests.worker.conftest import Jobs, Start


@pytest.fixture
def seen(jobs_app: App) -> Iterator[list[Event]]:
    """What the worker tells."""
    told: list[Event] = []
    observer = told.append
    jobs_app.observers.add(observer)
    yield told
    jobs_app.observers.remove(observer)


@pytest.mark.parametrize("kind", KINDS)
def test_each_attempt_is_told_once_with_its_outcome_and_times(
    jobs_app: App, start: Start, the: Jobs, seen: list[Event], kind: str
) -> None:
    handle = jobs_app.tasks[f"add.{kind}"].enqueue(a=2, b=3)

    start(jobs_app)
    the.wait(handle, "succeeded")

    (ended,) = (event for event in seen if isinstance(event, AttemptEnded))
    assert (ended.job, ended.task, ended.queue, ended.attempt) == (handle.id, f"add.{kind}", "default", 1)
    assert (ended.outcome, ended.error) == ("succeeded", None)
    assert ended.wait_seconds is not None
    assert ended.wait_seconds >= 0
    assert ended.run_seconds is not None
    assert 0 <= ended.run_seconds < 30


def test_failures_retries_and_claims_add_up(app: App, start: Start, the: Jobs) -> None:
    told: list[Event] = []
    app.observers.add(told.append)

    @app.task(max_attempts=3, backoff=QUICKLY)
    async def broken() -> None:
        raise ValueError("never")

    @app.task
    async def fine(number: int) -> int:
        return number

    jobs = [broken.enqueue(), *(fine.enqueue(number=number) for number in range(5))]

    worker = start(app)
    the.wait(jobs[0], "dead")
    for job in jobs[1:]:
        the.wait(job, "succeeded")
    worker.stop()
    worker.join()

    ended = [event for event in told if isinstance(event, AttemptEnded)]
    assert Counter((event.task.rpartition(".")[2], event.outcome, event.error) for event in ended) == {
        ("broken", "failed", "ValueError"): 2,
        ("broken", "dead", "ValueError"): 1,
        ("fine", "succeeded", None): 5,
    }
    steps = [event for event in told if isinstance(event, StepDone)]
    assert sum(step.claimed for step in steps) == sum(step.settled for step in steps) == len(ended)
    assert sum(step.stale for step in steps) == 0
    assert {step.queue for step in steps} <= {None, "default"}
    assert min(step.seconds for step in steps) > 0


def test_arguments_that_do_not_fit_never_began(jobs_app: App, start: Start, the: Jobs, seen: list[Event]) -> None:
    job = the.conn.execute("""select pgqueue.enqueue('add.async', '{"c": 1}')""").fetchall()[0][0]

    start(jobs_app)
    the.wait(job, "dead")

    (ended,) = (event for event in seen if isinstance(event, AttemptEnded))
    assert (ended.outcome, ended.run_seconds) == ("dead", None)


def test_an_observer_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Event] = []
    event = StepDone("mail", 1, 0, 0, 0.1)

    def broken(_: Event) -> None:
        raise ValueError("no")

    observers = Observers()
    observers.add(broken)
    observers.add(told.append)
    with caplog.at_level(logging.ERROR, "pgqueue.events"):
        observers.tell(event)

    assert told == [event]
    assert [record.message for record in caplog.records] == ["an observer failed"]


def test_who_went_away_is_told_no_more() -> None:
    told: list[Event] = []
    observers = Observers()
    observers.add(told.append)
    assert observers

    observers.remove(told.append)
    observers.remove(told.append)
    observers.tell(StepDone(None, 0, 1, 0, 0.1))

    assert not observers
    assert told == []
