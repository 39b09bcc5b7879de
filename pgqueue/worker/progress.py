"""What handlers say of their progress, on its way to the database: the latest of each, some at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgqueue import codec

if TYPE_CHECKING:
    from collections.abc import Collection

    from pgqueue.worker.attempt import Attempt
    from pgqueue.worker.link import Link


class Progress:
    """What was said and not sent yet."""

    def __init__(self) -> None:
        self._said: dict[Attempt, tuple[float | None, str | None]] = {}

    def report(self, attempt: Attempt, fraction: float | None, note: str | None) -> None:
        """Keep the latest. From any thread."""
        self._said[attempt] = (fraction, note)

    async def send(self, link: Link, running: Collection[Attempt]) -> list[Attempt]:
        """Send what attempts that run have said; returns those whose lease is gone. Raises psycopg.Error."""
        reported, self._said = self._said, {}
        latest = {attempt: reported[attempt] for attempt in running if attempt in reported}
        if not latest:
            return []
        reports = [{"id": a.id, "token": a.token, "fraction": f, "note": n} for a, (f, n) in latest.items()]
        rows = await link.run("report_progress", {"reports": codec.dumps(reports)})
        gone = {job for (job,) in rows}
        return [attempt for attempt in latest if attempt.id in gone]  # not by id: its next attempt may run here by now
