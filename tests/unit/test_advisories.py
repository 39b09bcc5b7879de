"""What `make audit` makes of pip-audit's answers: holes fail it, a service out of reach does not and is said."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CLEAN: dict[str, Any] = {"name": "rich", "version": "14.0", "vulns": []}
HOLED = {"name": "rich", "version": "13.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["13.1"]}]}
UNKNOWN = {"name": "typer", "skip_reason": "not found"}
PROBE = {"name": "Django", "version": "2.0", "vulns": [{"id": "PYSEC-2", "fix_versions": []}]}
PROBE_UNKNOWN = {"name": "django", "skip_reason": "not found"}


@pytest.fixture(scope="module")
def advisories() -> ModuleType:
    path = Path(__file__).parents[2] / ".ci" / "advisories.py"
    spec = importlib.util.spec_from_file_location("advisories", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("answers", "complaint", "status", "first"),
    [
        pytest.param([HOLED, PROBE], "", 1, "rich 13.0: PYSEC-1, mended in 13.1", id="a hole"),
        pytest.param([HOLED, PROBE_UNKNOWN], "", 1, "rich 13.0: PYSEC-1", id="a hole, and the probe is not known"),
        pytest.param([CLEAN, PROBE], "", 0, "advisories: none for 1 installed", id="clean"),
        pytest.param(
            [CLEAN, UNKNOWN, PROBE], "", 0, "advisories: none for 1 installed", id="clean but for one unknown"
        ),
        pytest.param([CLEAN, PROBE_UNKNOWN], "", 0, "advisories: NOT CHECKED", id="a mirror without advisories"),
        pytest.param([], "requests.exceptions.ConnectionError: ...", 0, "advisories: NOT CHECKED", id="no network"),
        pytest.param([], "Timeout", 0, "advisories: NOT CHECKED", id="packets are swallowed"),
        pytest.param([], "No module named pip_audit", 1, "pip-audit failed", id="pip-audit is missing"),
    ],
)
def test_an_answer_is_judged(
    advisories: ModuleType, answers: list[dict[str, Any]], complaint: str, status: int, first: str
) -> None:
    said, lines = advisories.judge(answers, complaint)

    assert (said, lines[0][: len(first)]) == (status, first)


def test_what_the_service_does_not_know_is_named(advisories: ModuleType) -> None:
    assert advisories.judge([CLEAN, UNKNOWN, PROBE], "")[1][1].endswith("typer")
