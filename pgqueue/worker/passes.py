"""Full passes that cost too much for the path of the jobs: made on the lease's connection, from its thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue.worker import claim as claims
from pgqueue.worker.lease import Request
from pgqueue.worker.session import draw_token
from pgqueue.worker.settle import NOTHING

if TYPE_CHECKING:
    from pgqueue.worker.claim import Lane
    from pgqueue.worker.link import Link
    from pgqueue.worker.rounds import Planner

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0

Done = Callable[["Lane", "claims.Reply | None", int, int, float], None]


class Passes:
    """Makes full passes elsewhere, one at a time for each lane."""

    def __init__(self, link: Link, planner: Planner, done: Done) -> None:
        """`done` is called on the loop: lane, reply or None, token, limit, seconds that it took."""
        self._link = link
        self._planner = planner
        self._done = done

    def make(self, lane: Lane, now: float) -> None:
        """Have a full pass over a lane made."""
        lane.passing = True
        loop, token, limit = asyncio.get_running_loop(), draw_token(), max(1, self._planner.limit(lane))
        self._link.in_flight.add(token)
        params = self._link.step_params(token, lane.params(full=True, limit=limit), claims.batch_params(NOTHING))

        def answered(rows: list[tuple[Any, ...]] | BaseException) -> None:
            loop.call_soon_threadsafe(self._answered, lane, rows, token, limit, now)

        self._link.ask(Request("step", params, answered, TIMEOUT_SECONDS))

    def _answered(
        self, lane: Lane, rows: list[tuple[Any, ...]] | BaseException, token: int, limit: int, sent: float
    ) -> None:
        took = time.monotonic() - sent
        lane.passing = False
        self._link.in_flight.discard(token)
        reply = None
        if isinstance(rows, BaseException):
            lane.passed(time.monotonic(), took)
            if not isinstance(rows, psycopg.errors.QueryCanceled):
                self._link.uncertain.add(token)  # it may have claimed: its jobs are asked for by this token
            log.info("a full pass did not end in time", extra={"queue": lane.queue, "seconds": round(took, 2)})
        else:
            reply = claims.read(rows)
        self._done(lane, reply, token, limit, took)
