"""The suite can fail: each broken engine violates, in at least one order, an invariant that it should break."""

import re

import pytest

from tests.interleavings.mutants import MUTANTS, Mutant
from tests.interleavings.play import Cast, play_all
from tests.interleavings.stage import Stage


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(stage: Stage, mutant: Mutant) -> None:
    with stage.engine(*mutant.changes):
        played = (verdict for name in mutant.casts for verdict in play_all(stage, Cast.read(name)))
        caught = next((verdict for verdict in played if verdict.violations), None)

    assert caught is not None, f"no order of {mutant.casts} violates anything"
    assert {re.split(r"[ :]", violation)[0] for violation in caught.violations} & {*mutant.breaks}, str(caught)


def test_there_are_mutants_enough() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 10
