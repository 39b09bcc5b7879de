"""Each invariant has a row in docs/invariants.md that names its tests, and a query."""

import re
from pathlib import Path

from tests.interleavings.mutants import MUTANTS
from tests.interleavings.stage import INVARIANTS, Stage

ROOT = Path(__file__).parents[2]
ALL = {f"I{number}" for number in range(1, 17)}
SEEN_BY_THE_RUNNER = {"I14"}


def test_each_invariant_names_its_tests() -> None:
    text = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (I\d+) \|(.*)$", text, flags=re.MULTILINE))

    assert rows.keys() == ALL
    assert [name for name, row in rows.items() if "tests/interleavings/" not in row or row.count("::") < 2] == []


def test_each_invariant_is_asked_for() -> None:
    asked = set(re.findall(r"^select '(I\d+)'", INVARIANTS.decode(), flags=re.MULTILINE))

    assert asked == ALL - SEEN_BY_THE_RUNNER


def test_mutants_break_invariants_that_there_are() -> None:
    assert {name for mutant in MUTANTS for name in mutant.breaks} <= ALL


def test_an_empty_stage_violates_nothing(stage: Stage) -> None:
    stage.reset()

    assert stage.violations("at the beginning") == []
