"""Notices that source files have changed, for `--reload`."""

from __future__ import annotations

import time
from pathlib import Path

LOOK_SECONDS = 0.5


class Sources:
    """The Python files below the current directory, but for virtual environments."""

    def __init__(self) -> None:
        self._newest = time.time()
        self._look_at = 0.0

    def changed(self, now: float) -> bool:
        """Whether one is newer than it was; looks twice a second, by the monotonic time `now`."""
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_SECONDS
        files = (path for path in Path.cwd().rglob("*.py") if ".venv" not in path.parts)
        newest = max(map(_changed_at, files), default=0.0)
        if newest <= self._newest:
            return False
        self._newest = newest
        return True


def _changed_at(path: Path) -> float:
    """When a file was changed; a file that is gone by now, or a link to nowhere, as editors make them, never was."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
