"""The arithmetic of scaling, and the controller sample by sample."""

from dataclasses import replace

import pytest

from pgqueue.errors import ConfigError
from pgqueue.scaling import Controller, Load, Policy, Sample, demand

POLICY = Policy(least=1, most=16, slots=10, target_lag=30.0, shrink_after=60.0)
IDLE = Sample(at=0.0, ready=0, lag=0.0, processes=1, starting=0, held=0, ended=0, run_seconds=0.0, busy=0.0)


def load(**more: float) -> Load:
    return Load(**({"arrivals": 0.0, "waiting": 0, "held": 0, "service": 1.0} | more))  # type: ignore[arg-type]


def test_arrivals_need_as_many_slots_as_littles_law_says_and_some_headroom() -> None:
    needed = demand(load(arrivals=34.0, service=1.0), POLICY)

    assert needed.arrivals == pytest.approx(3.4)
    assert (needed.grow, needed.shrink) == (4, 6)


def test_a_backlog_is_gone_within_the_target_lag() -> None:
    assert demand(load(waiting=3000, service=1.0), POLICY).grow == 10
    assert demand(load(waiting=3000, service=0.1), POLICY).grow == 1


def test_a_backlog_needs_no_more_slots_than_it_has_jobs() -> None:
    assert demand(load(waiting=7, service=600.0), POLICY).grow == 1
    assert demand(load(waiting=25, service=600.0), POLICY).grow == 3


def test_jobs_of_unknown_length_are_taken_for_as_long_as_the_target() -> None:
    assert demand(load(waiting=100, service=None), POLICY).grow == 10  # type: ignore[arg-type]


def test_slots_that_cannot_be_filled_do_not_count() -> None:
    assert demand(load(arrivals=8.0, efficiency=0.2), POLICY).grow == 5


def test_long_running_jobs_keep_their_processes() -> None:
    assert demand(load(held=40, service=3600.0), POLICY).shrink == 4
    assert demand(load(held=40, service=0.1), POLICY).shrink == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"least": 5, "most": 4}, "most processes must be at least 5, got 4"),
        ({"least": -1}, "at least 0, got -1"),
        ({"most": 0}, "at least 1, got 0"),
        ({"slots": 0}, "slots of a process must be at least 1, got 0"),
        ({"target_lag": 0.0}, "target lag: must be more than 0 seconds, got 0"),
        ({"shrink_after": float("nan")}, "shrink after: must be more than 0 seconds, got nan"),
    ],
)
def test_policies_that_make_no_sense_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(POLICY, **wrong)  # type: ignore[arg-type]


def test_nothing_is_changed_by_a_backlog_while_processes_are_idle() -> None:
    controller = Controller(POLICY, wanted=1)

    wanted = [
        controller.decide(replace(IDLE, at=at * 2.0, ready=500, lag=at * 2.0, busy=0.0)).wanted for at in range(60)
    ]

    assert set(wanted) == {1}


def test_it_never_leaves_its_bounds() -> None:
    controller = Controller(Policy(least=2, most=3, slots=1), wanted=9)
    assert controller.wanted == 3

    wanted = {
        controller.decide(
            replace(IDLE, at=at * 2.0, processes=3, ready=10_000, held=3, busy=1.0, ended=2, run_seconds=2.0)
        ).wanted
        for at in range(30)
    } | {controller.decide(replace(IDLE, at=60 + at * 2.0, processes=3)).wanted for at in range(120)}

    assert wanted == {2, 3}


def test_one_step_doubles_at_most() -> None:
    controller = Controller(POLICY, wanted=2)
    controller.decide(replace(IDLE, processes=2))

    said = controller.decide(
        replace(IDLE, at=2.0, processes=2, ready=90_000, held=20, busy=1.0, ended=20, run_seconds=20.0)
    )

    assert said.wanted == 4
    assert "90000 waiting jobs" in said.reason


def test_nothing_grows_while_processes_are_starting() -> None:
    controller = Controller(POLICY, wanted=4)
    full = replace(IDLE, processes=2, starting=2, ready=90_000, held=20, busy=1.0, ended=20, run_seconds=20.0)

    wanted = {controller.decide(replace(full, at=at * 2.0)).wanted for at in range(30)}

    assert wanted == {4}


def test_a_gap_in_the_samples_is_no_time_of_quiet() -> None:
    """The database was away: what was seen before and after is not all that was."""
    controller = Controller(POLICY, wanted=8)
    idle = replace(IDLE, processes=8)
    for at in range(0, 50, 2):
        controller.decide(replace(idle, at=float(at)))

    first = controller.decide(replace(idle, at=500.0)).wanted
    later = [controller.decide(replace(idle, at=500.0 + at)).wanted for at in range(2, 58, 2)]

    assert {first, *later} == {8}
    assert controller.decide(replace(idle, at=562.0)).wanted < 8


def test_the_share_of_other_fleets_is_theirs() -> None:
    """Three fleets see the same backlog of 9,000: each takes a third."""
    controller = Controller(Policy(least=1, most=99, slots=10), wanted=50)
    full = replace(IDLE, processes=50, ready=9000, held=500, busy=1.0, ended=1000, run_seconds=1000.0, share=1 / 3)

    reasons = [controller.decide(replace(full, at=at * 2.0)).reason for at in range(3)]

    assert "10.00 for 9000 waiting jobs" in reasons[-1]
