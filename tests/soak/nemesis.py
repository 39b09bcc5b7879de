"""Does the faults of a schedule, and writes each down with its victims: `faults.log`, a JSON object a line.

Frozen processes, crashes and pins end by themselves, beside the faults that follow: a kill may hit during a recovery.
"""

import contextlib
import heapq
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from pgqueue.errors import PgQueueError
from pgqueue.worker.restarts import HEALTHY_SECONDS
from tests.soak.fleets import Fleets, Producers
from tests.soak.plan import PIN_SECONDS, Fault
from tests.soak.proxy import Proxy
from tests.soak.server import APPLICATION, SoakServer, connected

KILLS = ("kill", "kill_supervisor", "kill_producer")
FREEZES = ("freeze", "freeze_supervisor")
SUPERVISOR_LATER_SECONDS = 0.4
STARTING_SHARE = 0.1
CLIENTS = f"datname = 'soak' and backend_type = 'client backend' and application_name <> '{APPLICATION}'"


@dataclass(frozen=True, slots=True)
class Parts:
    """What can be broken."""

    server: SoakServer
    proxy: Proxy
    fleets: Fleets
    producers: Producers


class Nemesis:
    """Breaks things, one after the other."""

    def __init__(self, parts: Parts, folder: Path) -> None:
        self._parts = parts
        self._log = (folder / "faults.log").open("a")
        self._thaws: list[tuple[float, int]] = []
        self._background: list[threading.Thread] = []
        self.failed: list[str] = []  # what the nemesis itself could not do
        self.done: Counter[str] = Counter()

    def strike(self, fault: Fault) -> None:
        """Do a fault. One that finds no victim, or a server that is away, is written down and not counted."""
        at = time.time_ns()
        action: Callable[[Fault], Any] = getattr(self, f"_{fault.kind}")
        try:
            said = action(fault)
        except (psycopg.Error, OSError, TimeoutError) as error:
            said, hit = type(error).__name__, False
        else:
            hit = bool(said)
        self.done[fault.kind] += hit
        entry = {"number": fault.number, "kind": fault.kind, "at": at, "hit": hit, "what": said}
        self._log.write(json.dumps(entry | {"pick": round(fault.pick, 4), "amount": round(fault.amount, 4)}) + "\n")
        self._log.flush()

    @property
    def kills(self) -> int:
        return sum(self.done[kind] for kind in KILLS)

    @property
    def freezes(self) -> int:
        return sum(self.done[kind] for kind in FREEZES)

    def tick(self) -> float:
        """Thaw what has been frozen for long enough; seconds until the next thaw."""
        now = time.monotonic()
        while self._thaws and self._thaws[0][0] <= now:
            _, pid = heapq.heappop(self._thaws)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        return self._thaws[0][0] - now if self._thaws else 1.0

    def rest(self) -> None:
        """Thaw everything, wait for what still goes on, spoil nothing any more."""
        for _, pid in self._thaws:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._thaws.clear()
        for thread in self._background:
            thread.join(150)
        self._parts.proxy.restore()
        self._log.write(json.dumps({"kind": "calm", "at": time.time_ns()}) + "\n")
        self._log.close()

    # Processes. What these return is written down; nothing means that there was no victim.

    def _kill(self, fault: Fault) -> list[int]:
        """One in ten while it starts; the others once it works, or the supervisors would start them ever later."""
        pids = self._parts.fleets.workers()
        if fault.amount > STARTING_SHARE:
            pids = [pid for pid in pids if age_of(pid) > HEALTHY_SECONDS]
        return _send(_one(pids, fault), signal.SIGKILL)

    def _kill_supervisor(self, fault: Fault) -> list[int]:
        self._parts.fleets.workers()  # so that its children are known
        return _send(_one(self._parts.fleets.supervisors(), fault), signal.SIGKILL)

    def _kill_producer(self, fault: Fault) -> list[int]:
        return _send(_one(self._parts.producers.pids(), fault), signal.SIGKILL)

    def _stop(self, fault: Fault) -> list[int]:
        return _send(_one(self._parts.fleets.workers(), fault), signal.SIGTERM)

    def _freeze(self, fault: Fault) -> list[int]:
        """Every other time with its supervisor, which would kill a silent child: then it wakes up as a zombie."""
        frozen = _send(_one(self._parts.fleets.workers(), fault), signal.SIGSTOP)
        self._thaw_later(frozen, fault)
        if fault.number % 2 and frozen and (parent := parent_of(frozen[0])) in self._parts.fleets.supervisors():
            frozen += _send([parent], signal.SIGSTOP)
            self._thaw_later([parent], fault, later=SUPERVISOR_LATER_SECONDS)
        return frozen

    def _freeze_supervisor(self, fault: Fault) -> list[int]:
        frozen = _send(_one(self._parts.fleets.supervisors(), fault), signal.SIGSTOP)
        self._thaw_later(frozen, fault)
        return frozen

    def _thaw_later(self, pids: list[int], fault: Fault, *, later: float = 0.0) -> None:
        for pid in pids:
            heapq.heappush(self._thaws, (time.monotonic() + 0.5 + 2.5 * fault.amount + later, pid))

    # The server and its backends.

    def _crash(self, fault: Fault) -> str:
        if any(thread.name == "crash" and thread.is_alive() for thread in self._background):
            return ""
        self._aside("crash", self._crash_now)
        return "immediate"

    def _crash_now(self) -> None:
        try:
            self._parts.server.crash()
        except (PgQueueError, OSError) as error:
            self.failed.append(f"crash: {error}")

    def _terminate_all(self, fault: Fault) -> int:
        return self._on_backends(f"select count(pg_terminate_backend(pid)) from pg_stat_activity where {CLIENTS}")

    def _terminate_one(self, fault: Fault) -> int:
        return self._on_one_backend("pg_terminate_backend", fault)

    def _cancel_one(self, fault: Fault) -> int:
        return self._on_one_backend("pg_cancel_backend", fault)

    def _on_one_backend(self, function: str, fault: Fault) -> int:
        chosen = f"select pid from pg_stat_activity where {CLIENTS} order by backend_start"
        place = f"(select floor({fault.pick} * count(*)) from pg_stat_activity where {CLIENTS})"
        return self._on_backends(f"select count({function}(pid)) from ({chosen} offset {place} limit 1) x")

    def _on_backends(self, query: str) -> int:
        with connected(self._parts.server) as conn:
            row = conn.execute(query.encode()).fetchone()
        return int(str(row[0])) if row is not None else 0

    def _pin(self, fault: Fault) -> str:
        if any(thread.name == "pin" and thread.is_alive() for thread in self._background):
            return ""
        self._aside("pin", self._pin_now)
        return f"{PIN_SECONDS} s"

    def _pin_now(self) -> None:
        with contextlib.suppress(psycopg.Error), connected(self._parts.server) as conn:
            conn.execute("begin isolation level repeatable read")
            conn.execute("select count(*) from pgqueue.settings")
            conn.execute(f"select pg_sleep({PIN_SECONDS})".encode())

    def _aside(self, name: str, work: Callable[[], None]) -> None:
        self._background = [thread for thread in self._background if thread.is_alive()]
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        self._background.append(thread)

    # The network.

    def _reset(self, fault: Fault) -> int:
        return self._parts.proxy.reset(0.05 + 0.25 * fault.amount, fault.pick)

    def _black_hole(self, fault: Fault) -> int:
        return self._parts.proxy.black_hole(0.1 + 0.4 * fault.amount, fault.pick, 0.3 + 3.0 * fault.amount)

    def _cut_answer(self, fault: Fault) -> int:
        return self._parts.proxy.lose_answers(0.02 + 0.13 * fault.amount, fault.pick)

    def _cut_commit(self, fault: Fault) -> str:
        self._parts.proxy.lose_commits(1 + int(2 * fault.amount))
        return "next"


def parent_of(pid: int) -> int:
    """The pid of a process's parent; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except FileNotFoundError:
        return 0


def age_of(pid: int) -> float:
    """How long a process has lived, in seconds; 0 when it is gone."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except FileNotFoundError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def _one(pids: list[int], fault: Fault) -> list[int]:
    return [pids[int(fault.pick * len(pids))]] if pids else []


def _send(pids: list[int], number: signal.Signals) -> list[int]:
    for pid in pids:
        os.kill(pid, number)
    return pids
