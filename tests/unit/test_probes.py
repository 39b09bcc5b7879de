"""What is alive, what is ready, and how the counts of processes add up."""

import json
import sys
from typing import Any

import pytest

from pgqueue.errors import ConfigError
from pgqueue.events import AttemptEnded, StepDone
from pgqueue.extra import require
from pgqueue.worker import probes
from pgqueue.worker.tally import Tally
from pgqueue.worker.vitals import Vitals

LEASE = 15.0
NOW = 1000.0
WELL: dict[str, Any] = {"lease_until": NOW + 9, "turned_at": NOW, "connected": True, "accepting": True}
WORD = {200: "yes", 503: "no"}


def state(
    *, age: float = 300.0, silent_for: float = 0.05, ready: bool = True, spare: bool = False, **told: Any
) -> probes.State:
    vitals = Vitals(at=NOW, **(WELL | told)) if told.pop("reported", True) else None
    return probes.judge(vitals, NOW, LEASE, pid=4711, place=0, age=age, silent_for=silent_for, ready=ready, spare=spare)


WELL_STATE = state()
BLOCKED = state(silent_for=5.1)
DRAINING = state(accepting=False)


@pytest.mark.parametrize(
    ("states", "livez", "readyz", "healthz"),
    [
        ([WELL_STATE], "yes", "yes", "yes"),
        ([state(silent_for=4.9)], "yes", "yes", "yes"),
        ([BLOCKED], "no", "no", "no"),
        ([WELL_STATE, BLOCKED], "yes", "yes", "no"),
        ([state(lease_until=NOW - 0.1)], "no", "no", "no"),
        ([state(lease_until=None)], "no", "no", "no"),
        ([state(connected=False)], "yes", "no", "no"),
        ([DRAINING], "yes", "no", "no"),
        ([state(age=59, ready=False, lease_until=None)], "yes", "no", "no"),
        ([state(age=61, ready=False, lease_until=None)], "no", "no", "no"),
        ([BLOCKED, state(spare=True)], "no", "no", "no"),
        ([], "no", "no", "no"),
    ],
)
def test_probes(states: list[probes.State], livez: str, readyz: str, healthz: str) -> None:
    said = [WORD[probes.answer(path, states).status] for path in ("/livez", "/readyz", "/healthz")]

    assert said == [livez, readyz, healthz]


def test_the_lease_can_be_left_out() -> None:
    away = state(lease_until=NOW - 60, connected=False)

    assert probes.answer("/livez", [away], excluded={"lease"}).status == 200
    assert probes.answer("/livez", [state(silent_for=60)], excluded={"lease"}).status == 503


def test_counts_of_processes_add_up() -> None:
    one, two, total = Tally(), Tally(), Tally()
    for tally in (one, two):
        tally(AttemptEnded(1, "t", "q", 1, "failed", 0.005, 2.0, "ValueError"))
        tally(AttemptEnded(1, "t", "q", 1, "released", None, None, None))
        tally(StepDone("q", 3, 2, 1, 0.002))
        tally(StepDone(None, 0, 5, 0, 40.0))
        total.add(json.loads(json.dumps(tally.snapshot())))

    assert total.outcomes == {("q", "t", "failed"): 2, ("q", "t", "released"): 2}
    assert total.ran["q", "t"].counts[8] == 2
    assert total.waited["q"].counts[0] == 2
    assert (total.claimed, total.settled, total.stale) == ({"q": 6}, 14, 2)
    assert (total.trips.counts[1], total.trips.counts[-1], total.trips.total) == (2, 2, 80.004)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(ConfigError, match=r'"prometheus-client".*extra "metrics".*pgqueue\[metrics\]'):
        require("prometheus_client", extra="metrics", for_what="pgq metrics")
