"""The alert rules: each fires when it should, does not when it should not, and is explained."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.prometheus import program

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/prometheus"
RULES = (FOLDER / "pgqueue.rules.yml").read_text()
CASES = (FOLDER / "pgqueue.rules.test.yml").read_text()
ALERTS = re.findall(r"- alert: (\w+)", RULES)


def promtool(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([program("promtool"), *words], capture_output=True, text=True, check=False, timeout=60)


def test_the_rules_are_well_formed() -> None:
    result = promtool("check", "rules", str(FOLDER / "pgqueue.rules.yml"))

    assert result.returncode == 0, result.stderr
    assert f"SUCCESS: {len(ALERTS)} rules found" in result.stdout


def test_every_case_of_the_rules_holds() -> None:
    result = promtool("test", "rules", str(FOLDER / "pgqueue.rules.test.yml"))

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(alert: str) -> None:
    cases = re.findall(rf"alertname: {alert}\n +eval_time: \w+\n +exp_alerts:(.*)\n", CASES)

    assert cases.count("") >= 1
    assert cases.count(" []") >= 1


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["vector(0) > 1", "vector(1)"], ids=["never fires", "always fires"])
def test_the_cases_notice_an_alert_that_is_wrong(wrong: str, tmp_path: Path) -> None:
    unnoticed = []
    preamble, *cases = CASES.split("  - name:")
    for place, alert in enumerate(ALERTS):
        folder = tmp_path / str(place)
        folder.mkdir()
        (folder / "pgqueue.rules.test.yml").write_text("  - name:".join([preamble, *(c for c in cases if alert in c)]))
        head, rest = RULES.split(f"- alert: {alert}\n")
        rest = re.sub(r" expr: (\|\n(?: {10,}.*\n)+|.*\n)", f" expr: {wrong}\n", rest, count=1)
        (folder / "pgqueue.rules.yml").write_text(f"{head}- alert: {alert}\n{rest}")
        if promtool("test", "rules", str(folder / "pgqueue.rules.test.yml")).returncode == 0:
            unnoticed.append(alert)

    assert unnoticed == []


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_leads_to_its_remedy(alert: str) -> None:
    guide = (ROOT / "docs/monitoring.md").read_text()
    headings = {heading.strip().lower() for heading in re.findall(r"^#+ (.*)$", guide, re.MULTILINE)}
    rule = RULES.split(f"- alert: {alert}\n")[1].split("- alert:")[0]

    anchor = re.search(r"runbook: docs/monitoring\.md#(\S+)", rule)

    assert anchor is not None
    assert anchor[1] in headings
