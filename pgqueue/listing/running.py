"""What runs right now, for the dashboard and `pgq top` alike. No I/O."""

from typing import Any

LINES = 400  # pairs of queue and priority
WINDOW = 20_000  # rows of all lines together
FRONT = 100  # rows of each at least


def params(*, most: int, worker: int | None = None) -> dict[str, Any]:
    """Return the parameters of the statement `running`: at most so many jobs, of one worker if asked for."""
    return {"lines": LINES, "window": WINDOW, "front": FRONT, "worker": worker, "most": most}
