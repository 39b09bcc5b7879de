"""The controller against loads as they come: simulated fleets (tests/support/scalingworld.py) over traces. Lag stays
bounded, nothing flaps, and growing ends where it does not help. Each safeguard is taken out once, and is missed.
"""

import math
from importlib import import_module

import pytest

from pgqueue.scaling import Policy, controller, measure
from pgqueue.scaling.demand import GROW_UTILISATION
from pgqueue.scaling.trial import Ceiling
from tests.support.scalingworld import Told, Trace, World, arrivals

SECOND_LONG = 1.0
SPIKE_AT, SPIKE = 120.0, 2000


def policy(**more: float) -> Policy:
    return Policy(**({"least": 1, "most": 16, "slots": 10, "target_lag": 30.0} | more))  # type: ignore[arg-type]


def spike() -> Trace:
    quiet = arrivals(lambda _: 2.0, seconds=900, service=SECOND_LONG, most=2)
    return sorted([*quiet, *((SPIKE_AT + i / 1000, SECOND_LONG) for i in range(SPIKE))])


def ramp() -> Trace:
    def rate(at: float) -> float:
        return 2 + 78 * max(min(at, 1800 - at), 0.0) / 900

    return arrivals(rate, seconds=2400, service=SECOND_LONG, most=80)


def sawtooth() -> Trace:
    quiet = arrivals(lambda _: 2.0, seconds=1800, service=SECOND_LONG, most=2)
    return sorted([*quiet, *((tooth * 180.0 + i / 1000, SECOND_LONG) for tooth in range(1, 10) for i in range(600))])


def steady(rate: float, seconds: float = 3600.0, service: float = SECOND_LONG) -> Trace:
    return arrivals(lambda _: rate, seconds=seconds, service=service, most=rate)


def ripple() -> Trace:
    """A load that goes up and down a little just where a third process would be needed."""

    def rate(at: float) -> float:
        return 16.0 + 3.0 * math.sin(at / 300 * 2 * math.pi)

    return arrivals(rate, seconds=1500, service=SECOND_LONG, most=19)


@pytest.mark.parametrize("threads", [10, 5, 2])
def test_a_spike_is_drained_soon_and_the_fleet_shrinks_once(threads: int) -> None:
    """Two seconds to start, doublings of eight: with the target of 30 s nothing waits longer than twice that. What its
    processes are really good for (threads) is found out under way.
    """
    told = World(policy(slots=10, most=40), spike(), threads=threads).run(seconds=900)

    assert told.worst_wait < 60
    assert 60 / threads < told.most <= 100 / threads
    assert told.turns == 1
    assert told.last <= 4 / threads + 1
    assert len(told.waits) == len(spike())


@pytest.mark.parametrize("threads", [10, 5])
def test_a_ramp_is_followed_up_and_down(threads: int) -> None:
    told = World(policy(most=30), ramp(), threads=threads).run(seconds=2400)

    assert told.worst_wait < 10
    assert (told.turns, told.last) == (1, 1)
    assert told.at(900) > 80 / threads  # what came at the top, and not much more
    assert told.most < 80 / threads / 0.5


def test_a_quiet_night_changes_nothing() -> None:
    told = World(policy(), steady(1 / 300, seconds=28_800, service=2.0)).run(seconds=28_800)

    assert told.counts == [(0.0, 1)]
    assert told.worst_wait < 3


@pytest.mark.parametrize(("rate", "seed"), [(5.0, 1), (8.5, 1), (8.5, 2), (17.0, 1), (25.5, 1), (30.0, 2)])
def test_a_steady_load_comes_to_rest(rate: float, seed: int) -> None:
    """Also where its mean lies just where one more process would be needed."""
    trace = arrivals(lambda _: rate, seconds=1500, service=SECOND_LONG, most=rate, seed=seed)

    told = World(policy(), trace).run(seconds=1500)

    assert told.turns == 0
    assert max(wait for at, wait in told.waits if at > 120) < 10
    assert rate / 10 < told.last < rate / 10 / 0.6 + 1.5


def test_a_ripple_is_ridden_over() -> None:
    assert not flapping(World(policy(), ripple()).run(seconds=1500))


def test_a_sawtooth_costs_one_turn_up_and_one_down_a_tooth_at_most() -> None:
    told = World(policy(), sawtooth()).run(seconds=1900)

    assert told.turns <= 2 * 9
    assert told.worst_wait < 40


def test_a_longer_window_rides_over_the_teeth() -> None:
    told = World(policy(shrink_after=240.0), sawtooth()).run(seconds=1900)

    assert told.turns == 1  # at the end
    assert told.worst_wait < 40


def test_jobs_that_take_minutes_get_a_slot_each_and_keep_it() -> None:
    told = World(policy(slots=2, most=30), [(60 + i / 10, 180.0) for i in range(40)]).run(seconds=1200)

    assert told.worst_wait < 60
    assert 20 <= told.most <= 24
    assert (told.turns, told.last) == (1, 1)
    assert told.at(200) >= 20  # nobody is sent away from under a running job


def test_long_jobs_by_chance_are_followed_slowly() -> None:
    told = World(policy(slots=2), steady(1 / 20, seconds=7200, service=180.0)).run(seconds=7200)

    assert told.worst_wait < 60
    assert told.turns <= 8


@pytest.mark.parametrize("limit", [5.0, 10.0, 30.0])
def test_a_rate_limit_is_not_met_with_processes(limit: float) -> None:
    """40 jobs a second come, of which `limit` may begin: the backlog grows for ever, the fleet does not."""
    told = World(policy(), steady(40.0, seconds=900, service=0.5), limit=limit).run(seconds=900)

    assert told.most <= 4
    assert told.turns <= 2


def test_a_saturated_database_is_left_alone_with_more_processes() -> None:
    """It records 30 jobs a second of the 80 that come. What is tried again is tried ever more rarely."""
    told = World(policy(), steady(80.0, seconds=1500, service=0.5), database=30.0).run(seconds=1500)

    assert told.process_seconds / 1500 < 9
    assert told.turns <= 9


def test_jobs_that_nobody_can_take_do_not_count() -> None:
    told = World(policy(), steady(5.0, service=0.5), stranded=1000).run(seconds=3600)

    assert told.counts == [(0.0, 1)]


def flapping(told: Told) -> bool:
    return told.turns > 1


def test_without_the_window_for_shrinking_it_flaps() -> None:
    told = World(policy(shrink_after=0.001), steady(17.0)).run(seconds=3600)

    assert flapping(told)


def test_without_hysteresis_it_flaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("pgqueue.scaling.demand"), "SHRINK_UTILISATION", GROW_UTILISATION)

    assert flapping(World(policy(), ripple()).run(seconds=1500))


def test_without_trials_a_saturated_database_gets_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ceiling, "failed", lambda *_: None)
    monkeypatch.setattr(controller.Controller, "_judge", lambda *_: None)
    monkeypatch.setattr(controller, "Trial", lambda *_: None)

    told = World(policy(), steady(80.0, seconds=900, service=0.5), database=30.0).run(seconds=900)

    assert told.last == 16


def test_without_learning_threads_are_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure.Measures, "_learn", lambda *_: None)

    told = World(policy(slots=100, most=40), spike(), threads=2).run(seconds=900)

    assert told.worst_wait > 60


def test_idle_processes_tell_that_a_backlog_cannot_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "BUSY", -math.inf)

    told = World(policy(), steady(5.0, service=0.5), stranded=1000).run(seconds=3600)

    assert told.most > 1
