"""The front desk of a fleet: answers probes and scrapes for all its processes, on ports that the supervisor holds.

It hears the reports of the processes (reporter.py) in a thread of its own and answers from what it heard last, so that
it answers above all when a process cannot. What processes counted that have ended is kept and added to the others.

    probes.py       what alive and ready mean
    exposition.py   the metrics
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import threading
import time
from typing import TYPE_CHECKING, Any

from pgqueue.extra import require
from pgqueue.webserver import Answer, Request, WebServer, shown, text
from pgqueue.worker import probes
from pgqueue.worker.tally import Tally
from pgqueue.worker.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.worker.child_process import ChildProcess
    from pgqueue.worker.ports import Ports

log = logging.getLogger(__name__)

VITALS = frozenset(Vitals.__dataclass_fields__)
LONGEST_REPORT = 8 << 20  # bytes: what has grown to this without an end is no report


class Guest:
    """One process as the desk knows it: its place, and what it reported last."""

    def __init__(self, place: int, child: ChildProcess) -> None:
        self.place = place
        self.child = child
        self.vitals: Vitals | None = None
        self.told: dict[str, Any] | None = None
        self._buffer = b""
        self._strange = False

    def hear(self, said: bytes) -> None:
        """Take what came over its pipe; a report counts when it is whole."""
        *lines, self._buffer = (self._buffer + said).split(b"\n")
        if len(self._buffer) > LONGEST_REPORT:
            self._buffer = b""
        if lines:
            self._take(lines[-1])

    def _take(self, line: bytes) -> None:
        """Take a report. After HUP a process may be of another version than its supervisor: what is not understood is
        said once and left out.
        """
        try:
            report = json.loads(line)
            vitals = Vitals(**{name: value for name, value in report["vitals"].items() if name in VITALS})
            Tally().add(report["tally"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            if not self._strange:
                self._strange = True
                log.warning("a report cannot be read", extra={"pid": self.child.pid, "error": str(error)})
            return
        self.vitals, self.told = vitals, report["tally"]

    def state(self, now: float, lease_seconds: float) -> probes.State:
        """How it is now."""
        child = self.child
        return probes.judge(
            self.vitals, now, lease_seconds, pid=child.pid, place=self.place, age=now - child.started_at,
            silent_for=child.silent_for(now), ready=child.ready, spare=child.only_suspects,
        )  # fmt: skip


class Desk:
    """Hears the processes, and answers for them."""

    def __init__(self, ports: Ports, lease_seconds: float) -> None:
        """Bind the ports. Raises ConfigError when one is taken, or the extra `metrics` is missing."""
        if ports.metrics is not None:
            require("prometheus_client", extra="metrics", for_what="--metrics-port")
        self._ports = ports
        self._lease_seconds = lease_seconds
        self._guests: list[Guest] = []
        self._past = Tally()  # of processes that have ended
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._wake_r, self._wake_w = os.pipe()
        self._selector.register(self._wake_r, selectors.EVENT_READ)
        self._stopping = False
        self.started = 0
        self._thread = threading.Thread(target=self._listen, name="pgqueue-desk", daemon=True)
        self._servers = [WebServer(ports.host, port, self.answer) for port in ports.wanted()]

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Where it listens."""
        return [server.address for server in self._servers]

    def open(self) -> None:
        """Begin to hear and to answer."""
        self._thread.start()
        for server in self._servers:
            server.start()
            log.info("probes and metrics are answered", extra={"url": f"http://{shown(*server.address)}/"})

    def admit(self, child: ChildProcess) -> None:
        """Hear a process from now on; its pipe is ours to close."""
        with self._lock:
            taken = {guest.place for guest in self._guests}
            guest = Guest(next(place for place in range(len(taken) + 1) if place not in taken), child)
            self._guests.append(guest)
            self.started += 1
            self._selector.register(child.report_fd, selectors.EVENT_READ, guest)
        os.write(self._wake_w, b".")

    def close(self) -> None:
        """Answer no more."""
        for server in self._servers:
            server.stop()
        self._stopping = True
        os.write(self._wake_w, b".")
        if self._thread.is_alive():
            self._thread.join()
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()
        os.close(self._wake_w)

    # Hearing.

    def _listen(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select():
                said = os.read(key.fd, 1 << 16)
                if key.data is not None:
                    self._heard(key.data, key.fd, said)

    def _heard(self, guest: Guest, fd: int, said: bytes) -> None:
        with self._lock:
            if said:
                guest.hear(said)
                return
            self._selector.unregister(fd)
            os.close(fd)
            self._guests.remove(guest)
            if guest.told is not None:
                self._past.add(guest.told)

    # Answering.

    def answer(self, request: Request) -> Answer:
        """Answer a request, from any thread."""
        if request.path == "/metrics" and self._ports.metrics is not None:
            return self._metrics(request)
        if request.path in probes.PATHS and self._ports.health is not None:
            return probes.answer(request.path, self.states(), excluded=set(request.query.get("exclude", ())))
        return text(404, "there is nothing here")

    def states(self) -> list[probes.State]:
        """How the processes are now."""
        now = time.monotonic()
        with self._lock:
            return [guest.state(now, self._lease_seconds) for guest in self._guests]

    def sum(self) -> Tally:
        """What all processes have counted, those that have ended too."""
        total = Tally()
        with self._lock:
            for told in (self._past.snapshot(), *(guest.told for guest in self._guests)):
                if told is not None:
                    total.add(told)
        return total

    def _metrics(self, request: Request) -> Answer:
        from pgqueue.worker import exposition

        page, content_type = exposition.page(self, request.headers.get("accept", ""))
        return Answer(200, page, content_type)
