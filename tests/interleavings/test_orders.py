"""Every order of two or three moves leaves the invariants alone, and everything drains afterwards.

A failure tells the orders as ids of `test_one_order`, which plays just that one again.
"""

import pytest

from tests.interleavings.mutants import PAUSES
from tests.interleavings.play import Cast, broken, pairs, play
from tests.interleavings.stage import Stage
from tests.interleavings.worlds import WORLDS

pytestmark = pytest.mark.timeout(240)  # thousands of short transactions: a busy machine takes its time

LEASE_TRIPLES = (
    "plain:settle,rescue,reclaim",
    "plain:settle-short,rescue,reclaim",
    "plain:complete,rescue,reclaim",
    "plain:hand-back,rescue,reclaim",
    "plain:fail,rescue,reclaim",
)
TRIPLES = (
    "barriers:settle-one,settle-two,cancel-flow",
    "lines:claim-group,claim-group-and-settle,cancel-group",
    "running:settle,rescue,claim-series",
    "dead:retry,redrive,enqueue-key",
    "schedules:tick,tick,pause",
    "plain:complete,cut-a,rescue",
    "plain:claim-silent,cut-a,rescue",
)
WIDE_TRIPLES = (
    "plain:cancel,rescue,reclaim",
    "plain:leave,rescue,reclaim",
    "barriers:one-dies,settle-two,retry-one",
    "gathering:settle-one,settle-two,fold",
    "gathering:one-dies,settle-two,cancel-flow",
    "lines:claim-limit,claim-limit-and-settle,cancel-limit",
    "waiting:enqueue-new,enqueue-new-rollback,enqueue-many-back",
    "waiting:enqueue-plain,cancel-plain,replace-plain",
)
# What happens between two statements of one function: with places to pause at.
PAUSED = (
    "plain:hand-back,rescue",
    "plain:claim-silent,rescue",
    "plain:claim-silent,leave",
    "plain:claim-silent,recover",
    "waiting:enqueue-plain,cancel-plain",
    "waiting:enqueue-plain,replace-plain",
    "lines:claim-group,claim-group",
    "lines:claim-group,cancel-group",
    "lines:claim-limit,claim-limit",
    "lines:claim-limit,cancel-limit",
    "rates:claim-one,claim-one",
    "schedules:tick,tick",
    "schedules:tick,pause",
    "dead:retry,redrive",
    "dead:retry,retry",
)


def slow(cast: str) -> object:
    return pytest.param(cast, marks=[pytest.mark.slow, pytest.mark.nightly])


def hold(stage: Stage, *casts: Cast) -> int:
    """Fail with the orders of these casts after which something does not hold; return how many orders there were."""
    played, bad = broken(stage, casts)
    told = "\n\n".join(str(verdict) for verdict in bad[:5])
    assert not bad, f"{len(bad)} of {played} orders violate an invariant:\n\n{told}"
    assert played > 1
    return played


@pytest.mark.parametrize("cast", [LEASE_TRIPLES[0], *map(slow, LEASE_TRIPLES[1:])])
def test_i3_i4_i5_i6_every_order_of_settle_rescue_and_reclaim(stage: Stage, cast: str) -> None:
    hold(stage, Cast.read(cast))


@pytest.mark.parametrize("cast", [*TRIPLES, *map(slow, WIDE_TRIPLES)])
def test_every_order_of_three(stage: Stage, cast: str) -> None:
    hold(stage, Cast.read(cast))


@pytest.mark.parametrize("cast", PAUSED)
def test_every_order_with_pauses_inside_functions(stage: Stage, cast: str) -> None:
    with stage.engine(*PAUSES):
        hold(stage, Cast.read(cast))


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "world", [world for world in WORLDS if world != "plain"]
)  # `running` has all of its moves, and more
def test_every_order_of_each_pair_of_moves(stage: Stage, world: str) -> None:
    hold(stage, *pairs(stage, world))


def test_one_order(stage: Stage, order: str) -> None:
    """An order is a cast and the letters of its steps; name any other on the command line to play it."""
    world, names, letters = order.split(":")

    verdict = play(stage, Cast.read(f"{world}:{names}"), letters)

    assert verdict.history.order.startswith(letters)
    assert not verdict.violations, str(verdict)
