"""Takes what was seen of this process, or of others on this machine, into the log and the database."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import psycopg

from pgqueue.telling import reason_of
from pgqueue.worker.lease import Request

if TYPE_CHECKING:
    from pgqueue.worker.incident import Incident
    from pgqueue.worker.link import Link

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2.0


class Notes:
    """The way there. What cannot be recorded is in the log only."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def report(self, incident: Incident) -> None:
        """Tell both, over the lease's connection. Called from any thread."""
        incident.tell()
        self.record(incident)

    def record(self, incident: Incident) -> None:
        """Tell the database what the log has heard. Called from any thread."""

        def noted(rows: object) -> None:
            _noted(rows)
            if incident.kind == "ended":
                self._link.rescue_now()

        self._link.ask(Request("note_incident", incident.params(self._link.worker_id), noted, TIMEOUT_SECONDS))

    def recovered(self) -> None:
        """This process goes on: take back that it is stuck. Called from any thread."""
        self._link.ask(Request("recovered", {"worker_id": self._link.worker_id}, _noted, TIMEOUT_SECONDS))

    async def report_here(self, incident: Incident) -> None:
        """Tell both, over the loop's connection: the lease's is not served any more."""
        incident.tell()
        try:
            await self._link.run("note_incident", incident.params(self._link.worker_id))
        except (psycopg.Error, OSError) as error:
            _noted(error)


def _noted(rows: object) -> None:
    if isinstance(rows, BaseException):
        log.warning("what was seen of a process was not recorded", extra={"error": reason_of(rows)})
