"""Asks pip-audit about what is installed beside this interpreter: runs pip and pip-audit, which asks its service.

Exit status 1 when an installed release has a known hole, or when pip-audit itself fails. When the service cannot be
reached one line says so, and the status is 0. A mirror may answer for it and know no advisories: then pip-audit finds
nothing wrong with anything. So one release is asked about that is known for its holes: no holes there, no answer.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

KNOWN_BAD, ITS_VERSION = "django", "2.0"  # is not installed, only asked about
UNREACHABLE = re.compile(r"(Connection|Proxy|SSL|JSONDecode|Service)Error|Timeout|Could not connect|not redirecting")
LIMIT_SECONDS = 60.0  # for all of it: a network that swallows packets


def installed() -> list[str]:
    """Return `name==version` for each release but our own checkout, pip and what Python puts beside it."""
    command = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line for line in said.splitlines() if re.fullmatch(r"[\w.-]+==\S+", line)]


def ask(releases: list[str]) -> tuple[list[dict], str]:
    """Return what the service said of each release, and what pip-audit complained of. No answer is an empty list."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder, "asked.txt"), Path(folder, "answer.json")
        asked.write_text("\n".join(releases) + "\n")
        options = ["--no-deps", "--disable-pip", "--timeout=5", "--progress-spinner=off", "--format=json"]
        command = [sys.executable, "-m", "pip_audit", "-r", str(asked), *options, "--output", str(answer)]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            return [], "Timeout"
        return (json.loads(answer.read_text())["dependencies"] if answer.exists() else []), done.stderr


def judge(answers: list[dict], complaint: str) -> tuple[int, list[str]]:
    """Return the exit status and the lines to print."""
    if not answers and not UNREACHABLE.search(complaint):
        return 1, [f"pip-audit failed:\n{complaint.strip()}"]
    ours = [entry for entry in answers if entry["name"].lower() != KNOWN_BAD]
    if any(entry.get("vulns") for entry in ours):
        return 1, [
            f"{entry['name']} {entry['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'none'}"
            for entry in ours
            for hole in entry.get("vulns", [])
        ]
    if not any(entry.get("vulns") for entry in answers):
        return 0, ["advisories: NOT CHECKED, the service cannot be reached (or a mirror answers that knows none)"]
    unknown = [entry["name"] for entry in ours if "skip_reason" in entry]
    return 0, [
        f"advisories: none for {len(ours) - len(unknown)} installed releases",
        *([f"advisories: NOT CHECKED, not known to the service: {', '.join(unknown)}"] if unknown else []),
    ]


if __name__ == "__main__":
    status, lines = judge(*ask([*installed(), f"{KNOWN_BAD}=={ITS_VERSION}"]))
    print("\n".join(lines))
    sys.exit(status)
