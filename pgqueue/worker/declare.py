"""What a worker tells the database of its code when it starts: limits and schedules."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgqueue.app import App
    from pgqueue.worker.session import Session

log = logging.getLogger(__name__)


async def declare(app: App, session: Session) -> None:
    """Tell it both. Raises psycopg.Error."""
    await _limits(app, session)
    await _schedules(app, session)


async def _limits(app: App, session: Session) -> None:
    limits = app.limits
    if limits:
        for name, verdict in await session.run("declare_limits", {"definitions": limits.as_json()}):
            log.info("a limit was declared", extra={"limit": name, "verdict": verdict})
    if elsewhere := limits.undeclared(app.tasks.values()):
        for (name,) in await session.run("unknown_limits", {"names": elsewhere}):
            log.warning("nobody has set a limit that tasks name: its jobs are held", extra={"limit": name})


async def _schedules(app: App, session: Session) -> None:
    if not app.schedules:
        return
    for name, verdict in await session.run("declare_schedules", {"definitions": app.schedules.as_json()}):
        log.info("a schedule was declared", extra={"schedule": name, "verdict": verdict})
