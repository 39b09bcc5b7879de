"""The short soak, and one mutant; `make soak-mutants` has all of them, `make soak` the long run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import environment

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.system, pytest.mark.timeout(240)]
ROOT = Path(__file__).resolve().parents[2]


def soak(*words: str) -> str:
    """What a soak printed that ended well."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--quick", *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    folder = re.search(r" in (\S*pgq-soak-\S+)$", done.stdout, re.MULTILINE)
    assert folder is not None
    shutil.rmtree(folder[1])
    return done.stdout


def test_twenty_thousand_jobs_come_through_fifty_kills() -> None:
    soak()


def test_the_soak_catches_an_engine_that_acknowledges_before_it_runs() -> None:
    said = soak("--mutant", "ack-before-run", "--jobs", "4000", "--seconds", "10")

    assert "mutant ack-before-run: caught" in said
