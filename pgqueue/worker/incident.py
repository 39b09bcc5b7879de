"""What was seen of a process that stood still, as a value on its way into the log and the database."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgqueue.codec import storable
from pgqueue.worker.stacks import LIMIT

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

JOBS = 100  # that are named
DETAIL_LIMIT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """`kind` is one of the words of the function note_incident; `since_seconds`: how long ago it began. `worker_id`,
    `host` and `pid` of None are this process's.
    """

    kind: str
    detail: str
    jobs: Sequence[int] = ()
    stack: str | None = None
    since_seconds: float = 0.0
    worker_id: int | None = None
    host: str | None = None
    pid: int | None = None

    def params(self, worker_id: int) -> dict[str, Any]:
        """The parameters of the statement note_incident; the worker is this one unless it names another."""
        return {
            "worker_id": self.worker_id or worker_id,
            "host": self.host or socket.gethostname(),
            "pid": self.pid or os.getpid(),
            "kind": self.kind,
            "jobs": list(self.jobs[:JOBS]),
            "detail": storable(self.detail, DETAIL_LIMIT),
            "stack": None if self.stack is None else storable(self.stack, LIMIT - 100),
            "ago_seconds": max(0.0, self.since_seconds),
        }

    def tell(self) -> None:
        """Write it into the log."""
        said = {"kind": self.kind, "jobs": list(self.jobs[:JOBS]), "detail": self.detail}
        log.error("a worker process is stuck", extra=said | ({"stack": self.stack} if self.stack else {}))
