"""`python -m tests.soak`: one run. Exit status 0 when every bar was met; for a mutant, when it was caught."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.soak import mutants, plan
from tests.soak.run import run


def main() -> int:
    """Read the command line, run, and say how it went."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="The soak. See tests/soak/__init__.py.")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--quick", action="store_true", help="20,000 jobs in under 90 s")
    kind.add_argument("--long", action="store_true", help="1,000,000 jobs in 40 minutes")
    parser.add_argument("--jobs", type=int, help="how many jobs")
    parser.add_argument("--seconds", type=float, default=42.0, help="how long the faults of a --quick run go on")
    parser.add_argument("--minutes", type=float, default=40.0, help="how long a --long run takes in all")
    parser.add_argument("--seed", type=int, help="replays the faults of the run that printed it")
    parser.add_argument("--mutant", choices=mutants.NAMES, help="an engine that is wrong")
    parser.add_argument("--folder", type=Path, help="where everything goes that the run writes; on a disk")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else time.time_ns() % 1_000_000_000
    folder = given.folder or Path(tempfile.mkdtemp(prefix="pgq-soak-"))
    if os.geteuid() == 0:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # the server, which is not root, has to pass through
    if given.quick:
        chosen = plan.quick(seed, jobs=given.jobs or 20_000, seconds=given.seconds, mutant=given.mutant)
    else:
        chosen = plan.long(seed, jobs=given.jobs or 1_000_000, minutes=given.minutes, mutant=given.mutant)
    summary = run(chosen, folder)
    if given.mutant:
        caught = not summary["correct"]
        sys.stdout.write(f"mutant {given.mutant}: {'caught' if caught else 'SURVIVED'}\n")
        return 0 if caught else 1
    sys.stdout.write(f"{'passed' if summary['passed'] else 'FAILED'}; everything is in {folder}\n")
    return 0 if summary["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
