"""Kills a worker at one point of a job's path, from outside: the product carries no code for it.

Before and after the commit of a claim or of a settle the proxy does it, when it sees the step, or its answer, go by.
Before and after the handler the handler does it.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from pgqueue import App
from tests.soak.proxy import Link, Proxy
from tests.soak.wire import JOB_ROW, step_in
from tests.support.ledger import note

POINTS = ("before claim", "after claim", "before handler", "after handler", "before settle", "after settle")
QUEUE = "failpoint"

app = App()


@app.task(name="victim", queue=QUEUE)
async def victim(ctx: Any, point: str) -> None:
    if point == "before handler" and ctx.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    note("start", ctx)
    note("end", ctx)
    if point == "after handler" and ctx.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)


class Failpoint(Proxy):
    """Kills a process at a point, once, when it is armed."""

    def __init__(self, target: Callable[[], int]) -> None:
        super().__init__(target)
        self._point = ""
        self._pid = 0
        self._answer_of: Link | None = None
        self.killed_at = 0.0  # by the time of day

    def arm(self, point: str, pid: int) -> None:
        """Kill this process when its next step comes to the point."""
        self._pid, self._point = pid, point

    def from_client(self, link: Link, data: bytes) -> bytes:
        """A step on its way to the server: before the point it never gets there."""
        step = step_in(data) if self._point else None
        if step is None:
            return super().from_client(link, data)
        if (self._point == "before claim" and step.claims) or (self._point == "before settle" and step.settles):
            self._kill()
            return b""
        if (self._point == "after claim" and step.claims) or (self._point == "after settle" and step.settles):
            self._answer_of = link
        return super().from_client(link, data)

    def from_server(self, link: Link, data: bytes) -> bytes:
        """An answer: the transaction has committed, and the client never hears of it."""
        if link is self._answer_of:
            self._answer_of = None
            if self._point == "after settle" or (self._point == "after claim" and JOB_ROW in data):
                self._kill()
                return b""
        return super().from_server(link, data)

    def _kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self._point = ""
        self.killed_at = time.time()
