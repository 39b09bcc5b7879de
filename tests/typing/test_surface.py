"""mypy sees the surface as users do: right calls pass, wrong calls are errors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SURFACE = Path(__file__).with_name("surface.py")


@pytest.mark.timeout(180)
def test_mypy_accepts_the_right_calls_and_refuses_the_wrong_ones(repository: Path) -> None:
    expected = {
        (number, found[1])
        for number, line in enumerate(SURFACE.read_text().splitlines(), start=1)
        if (found := re.search(r"# error: ([a-z-]+)$", line))
    }

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", str(SURFACE)],
        cwd=repository,
        check=False,
        capture_output=True,
        text=True,
    )

    reported = re.findall(r"surface\.py:(\d+): error: .*\[([a-z-]+)\]$", done.stdout, flags=re.MULTILINE)
    assert {(int(number), code) for number, code in reported} == expected, done.stdout + done.stderr
    assert len(expected) == 27
