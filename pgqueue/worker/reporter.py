"""Tells the supervisor once a second how a worker is and what it has done, from a thread: a loop that stands still must
not keep it quiet. One JSON object a line on a pipe of its own; the supervisor answers probes and scrapes with it.
"""

from __future__ import annotations

import json
import logging
import os
import select
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from pgqueue.telling import place_of
from pgqueue.worker.overseer import TICK_SECONDS
from pgqueue.worker.tally import Tally

if TYPE_CHECKING:
    from pgqueue.worker.worker import Worker

log = logging.getLogger(__name__)

REPORT_SECONDS = 1.0
FAREWELL_SECONDS = 1.0


class Reporter:
    """The thread and what it tells."""

    def __init__(self, report_fd: int) -> None:
        self._fd = report_fd
        os.set_blocking(report_fd, False)
        self._rest = b""  # of the last report, that did not fit into the pipe
        self._turn = threading.Lock()
        self._worker: Worker | None = None
        self._turned_at: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pgqueue-report", daemon=True)
        self.tally = Tally()

    def watch(self, worker: Worker) -> None:
        """Observe a worker, and begin to report."""
        self._worker = worker
        worker.app.observers.add(self.tally)
        self._thread.start()

    def turned(self) -> None:
        """The loop has turned: called by its overseer, every TICK_SECONDS if nothing holds it up."""
        now = time.monotonic()
        if self._turned_at is not None:
            self.tally.lag.observe(max(0.0, now - self._turned_at - TICK_SECONDS))
        self._turned_at = now

    def report(self) -> bool:
        """Report now, unless the last report is still on its way; False when the supervisor is gone."""
        with self._turn:
            if not self._rest:
                self._compose()
            return self._send()

    def close(self) -> None:
        """Tell the last numbers, and end."""
        self._ended.set()
        if self._worker is None:
            return
        deadline = time.monotonic() + FAREWELL_SECONDS
        with self._turn:
            self._compose()
            while self._send() and self._rest and (left := deadline - time.monotonic()) > 0:
                select.select([], [self._fd], [], left)

    def _run(self) -> None:
        there = True
        while there and not self._ended.wait(REPORT_SECONDS):
            try:
                there = self.report()
            except Exception as error:  # noqa: BLE001 - told, and tried again
                said = {"error": place_of(error)}
                log.error("the reports to the supervisor met an error of pgqueue and go on", extra=said)

    def _compose(self) -> None:
        if self._worker is not None:
            report = {"vitals": asdict(self._worker.vitals()), "tally": self.tally.snapshot()}
            self._rest += json.dumps(report).encode() + b"\n"

    def _send(self) -> bool:
        """Write what the pipe takes; False when the supervisor is gone."""
        try:
            while self._rest:
                self._rest = self._rest[os.write(self._fd, self._rest) :]
        except BlockingIOError:
            return True  # the rest goes with the next report
        except BrokenPipeError:
            return False
        return True
