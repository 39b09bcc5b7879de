"""Looks after what runs, twenty times a second: timeouts, the lease, progress, memory, and signs of life."""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from pgqueue.telling import place_of, reason_of
from pgqueue.worker.incident import Incident
from pgqueue.worker.stacks import all_stacks

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.worker.crew import Crew
    from pgqueue.worker.link import Link
    from pgqueue.worker.options import WorkerOptions

log = logging.getLogger(__name__)

TICK_SECONDS = 0.05
PROGRESS_SECONDS = 0.5
MEMORY_SECONDS = 1.0
HUNG_TURNS = 20  # of the loop: who was frozen, or held the interpreter's lock, gives its other threads a second


class Overseer:
    """The timers of a worker."""

    def __init__(
        self,
        crew: Crew,
        link: Link,
        options: WorkerOptions,
        *,
        on_alive: Callable[[], None],
        recycle: Callable[[str], None],
        give_up: Callable[[str], None],
    ) -> None:
        """`recycle` ends this process when its jobs have ended, `give_up` at once; another takes its place."""
        self._crew = crew
        self._link = link
        self._max_memory_mb = options.max_memory_mb
        self._on_alive = on_alive
        self._recycle = recycle
        self._give_up = give_up
        self._sure = True
        self._beats = True
        self._hung_turns = 0
        self._sending: asyncio.Task[None] | None = None
        self._saying: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Look after things until cancelled. An error of ours is told and does not end it."""
        progress_at = memory_at = 0.0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            try:
                self._link.watch(now)
                self._on_alive()
                self._crew.stop_overdue(now)
                self._check_lease(now)
                self._check_heartbeat(now)
                self._crew.hand_back_stalled(now)
                if now >= progress_at and (self._sending is None or self._sending.done()):
                    progress_at = now + PROGRESS_SECONDS
                    self._sending = asyncio.create_task(self._send_progress())  # not awaited: it may hang
                if self._max_memory_mb is not None and now >= memory_at:
                    memory_at = now + MEMORY_SECONDS
                    self._check_memory(self._max_memory_mb)
            except Exception as error:  # noqa: BLE001 - it looks after all that runs here
                log.error("the overseer met an error of pgqueue and goes on", extra={"error": place_of(error)})

    def _check_lease(self, now: float) -> None:
        """Stop everything before the lease can be taken: the database is out of reach."""
        sure = self._link.lease.remaining(now) > 0
        if sure or not self._sure:
            self._sure = sure
            return
        self._sure = False
        log.error("no heartbeat could be recorded in time: handlers are stopped", extra={"running": self._crew.held()})
        self._crew.stop_all("lease lost")
        self._crew.hand_back_waiting()
        self._link.abort()

    def _check_heartbeat(self, now: float) -> None:
        """End a process whose lease nobody extends any more: it would be declared lost again and again."""
        self._hung_turns = self._hung_turns + 1 if self._link.heartbeat_dead(now) else 0
        if not self._beats or self._hung_turns < HUNG_TURNS:
            return
        self._beats = False
        incident = Incident(
            kind="heartbeat_dead",
            detail="the thread that beats has ended or hangs: this process ends, its jobs are handed back",
            jobs=[attempt.id for attempt in self._crew.active()],
            stack=all_stacks(),
        )
        self._saying = asyncio.create_task(self._link.notes.report_here(incident))
        self._give_up("heartbeat_dead")

    async def _send_progress(self) -> None:
        if not self._link.ready:
            return
        try:
            await self._crew.send_progress()
        except (psycopg.Error, OSError) as error:
            log.info("progress was not recorded", extra={"error": reason_of(error)})
        except Exception as error:  # noqa: BLE001 - nobody waits for this task
            log.error("sending progress met an error of pgqueue", extra={"error": place_of(error)})

    def _check_memory(self, limit_mb: int) -> None:
        used = memory_mb()
        if used > limit_mb:
            log.warning("memory is over its limit", extra={"used_mb": round(used), "limit_mb": limit_mb})
            self._recycle("max_memory")


def memory_mb() -> float:
    """The resident memory of this process in MiB; where /proc is missing, its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024
    return pages * resource.getpagesize() / (1 << 20)
