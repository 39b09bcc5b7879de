"""Runs the real `pgq` as its own process, away from what the developer's shell says about databases."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PGQ = [sys.executable, "-c", "from pgqueue.cli import main; main()"]


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(**variables: str) -> dict[str, str]:
    """The environment of a command: no database but the one that the variables name."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG") and name != "DATABASE_URL"}
    return kept | variables


def pgq(*words: str, cwd: Path | None = None, stdin: str = "", **variables: str) -> Result:
    """Run a command to its end."""
    done = subprocess.run(
        [*PGQ, *words],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(**variables),
        timeout=50,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)
