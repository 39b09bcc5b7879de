"""What to do when a statement fails: mend the connection, or, if the server refused what was sent, keep it from
blocking.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue.telling import reason_of
from pgqueue.worker.session import backoff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.worker.link import Link
    from pgqueue.worker.settle import Batch, Outbox

log = logging.getLogger(__name__)

GONE_CLASSES = ("08",)  # connection exceptions
GONE = {"25006", "57P01", "57P02", "57P03", "57P05"}  # read only, shutdown, crash, starting up, idle for too long
REFUSED_SECONDS = 0.1  # before a statement that the server refused is tried again


def _elsewhere(sqlstate: str) -> bool:
    """Whether an error says that this connection leads nowhere any more, even if it is still up: a pooler lost its
    server, the server shuts down, or it has become a standby. Whether the statement came through is not known then.
    """
    return sqlstate.startswith(GONE_CLASSES) or sqlstate in GONE


class Mender:
    """Brings a worker back to where it can send steps."""

    def __init__(self, link: Link, outbox: Outbox) -> None:
        self._link = link
        self._outbox = outbox
        self._turn = 0

    async def failed(self, error: psycopg.Error | OSError, batch: Batch) -> None:
        """A statement failed: the connection broke, which `restore` mends, or the server refused it."""
        if self._link.broken or not isinstance(error, psycopg.Error) or _elsewhere(error.sqlstate or GONE_CLASSES[0]):
            log.warning("the database connection failed", extra={"error": reason_of(error)})
            self._link.abort()
            return
        self._link.refused()
        log.error("a statement was refused", extra={"sqlstate": error.sqlstate, "error": reason_of(error)})
        if batch:
            self._outbox.refused(error.sqlstate or "")
        await asyncio.sleep(REFUSED_SECONDS)

    async def restore(self) -> list[tuple[str, int, Sequence[Any]]] | None:
        """Connect again: the jobs (queue, token, row) of claims whose answers were lost; None when it has to be tried
        again, after a wait that grows.
        """
        try:
            found = await self._link.restore()
        except (psycopg.Error, OSError) as error:
            log.warning("the database is away", extra={"error": reason_of(error), "turn": self._turn})
            self._link.abort()  # what was asked of a new connection and refused is asked again on the next
            await backoff(self._turn)
            self._turn += 1
            return None
        self._turn = 0
        return found
