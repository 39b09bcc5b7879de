"""Advice from what the database has recorded: no memory, and no flapping all the same."""

from dataclasses import replace

import pytest

from pgqueue.scaling import Policy
from pgqueue.scaling.advice import Record, advise, slots_of

POLICY = Policy(least=0, most=20, slots=10, target_lag=30.0, shrink_after=300.0)
QUIET = Record(ready=0, running=0, lag=0.0, workers=1, ended=[0] * 5, run_seconds=[0.0] * 5)


def minutes(*ended: int, service: float = 1.0) -> dict[str, list[float]]:
    return {"ended": list(ended), "run_seconds": [count * service for count in ended]}


def wanted(**more: object) -> int:
    return advise(replace(QUIET, **more), POLICY).workers  # type: ignore[arg-type]


def test_a_quiet_queue_wants_nobody_and_a_first_job_somebody() -> None:
    assert wanted(workers=0) == 0
    assert wanted(workers=3) == 0
    assert wanted(workers=0, ready=1, lag=1.0) == 1


def test_a_backlog_is_to_be_gone_within_the_target() -> None:
    assert wanted(workers=2, ready=3000, lag=5.0, **minutes(600, 0, 0, 0, 0)) == 12  # 10 of them, and 1.2 for what came


def test_a_steady_load_gets_the_same_answer_with_any_number_near() -> None:
    """21 a second of 1 s: 2.1 workers' worth; 3 are enough, and as many as 4 are left alone."""
    load = minutes(1260, 1250, 1270, 1260, 1240)

    assert [wanted(workers=workers, running=21, **load) for workers in (1, 2, 3, 4, 5, 9)] == [3, 3, 3, 4, 4, 4]


def test_a_dip_of_a_minute_changes_nothing() -> None:
    assert wanted(workers=4, running=1, **minutes(10, 1800, 1800, 1800, 1800)) == 4
    assert wanted(workers=4, running=1, **minutes(10, 10, 10, 10, 10)) == 1


def test_jobs_that_nobody_takes_do_not_call_for_workers() -> None:
    stranded = advise(replace(QUIET, ready=5000, lag=900.0), POLICY)

    assert stranded.workers == 0
    assert "nobody takes" in stranded.reason


def test_workers_with_a_backlog_show_what_they_are_good_for() -> None:
    """Two workers of 10 slots end 4 jobs of 1 s a second: two threads each."""
    load = {"workers": 2, "running": 4, "ready": 300, **minutes(240, 240, 240, 240, 240)}

    assert wanted(lag=300.0, **load) == 8
    assert wanted(lag=10.0, **load) == 2  # nothing is known yet


@pytest.mark.parametrize(("least", "most", "expected"), [(2, 20, 2), (0, 3, 3)])
def test_bounds_hold(least: int, most: int, expected: int) -> None:
    ready = 9999 if expected == most else 0

    assert advise(replace(QUIET, ready=ready), replace(POLICY, least=least, most=most)).workers == expected


def test_slots_are_those_of_the_workers_alive() -> None:
    assert slots_of(150, 3, otherwise=100) == 50
    assert slots_of(0, 0, otherwise=100) == 100
