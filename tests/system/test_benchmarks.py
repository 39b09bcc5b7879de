"""The benchmarks keep up with the code: one of them, small, comes to its end. Its figures count for nothing here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow]
ROOT = Path(__file__).parents[2]


def test_a_small_drain_measures_the_loop_and_the_workers(dsn: str) -> None:
    """`drain` runs the SQL step by itself, beside `pgq work`: it breaks when the step's arguments change."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.drain", "--quick", "--jobs", "2000", "--repeats", "1", "--dsn", dsn],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert ran.returncode in (0, 1), ran.stderr  # 1: a bar was missed, as so small a run may
    assert "bare SQL loop" in ran.stdout
    assert "2 processes / 1 process" in ran.stdout
