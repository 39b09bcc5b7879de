"""The processes of a run: `pgq work` fleets and producers. They are started again when they end, however they ended."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.soak import ledger, mutants
from tests.soak.app import DSN, SKEW
from tests.soak.plan import Plan
from tests.soak.producer import ORDERS
from tests.support.command import PGQ, environment
from tests.support.fleet import children, command_of, is_alive

ROOT = Path(__file__).resolve().parents[2]
SHUTDOWN_SECONDS = 3.0
SKEW_SECONDS = 600
LAST_SECONDS = 30.0


class Fleets:
    """The supervisors, and the worker processes below them. The second fleet's clock is ten minutes wrong."""

    def __init__(self, plan: Plan, dsn: str, folder: Path) -> None:
        self._plan = plan
        self._dsn = dsn
        self._folder = folder
        self._supervisors: list[subprocess.Popen[bytes] | None] = [None] * plan.fleets
        self._seen: set[int] = set()
        self._started = 0

    def look_after(self) -> None:
        """Start what is not running."""
        for place, process in enumerate(self._supervisors):
            if process is None or process.poll() is not None:
                self._supervisors[place] = self._start(place)

    def _start(self, place: int) -> "subprocess.Popen[bytes]":
        plan = self._plan
        words = [*PGQ, "work", "tests.soak.app:app", "-q", "bulk:1,mixed:1", "--processes", str(plan.processes)]
        words += ["-c", str(plan.concurrency), "--threads", "4", "--lease", str(plan.lease)]
        words += ["--shutdown-timeout", str(SHUTDOWN_SECONDS), "--log-level", "info"]
        with (self._folder / f"fleet-{place}.log").open("ab") as log:
            return subprocess.Popen(
                words, cwd=ROOT, env=self._environment(place), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _environment(self, place: int) -> dict[str, str]:
        self._started += 1
        skew = (SKEW_SECONDS if self._started % 2 else -SKEW_SECONDS) if place == 1 else 0
        return environment(
            PGQ_DSN=self._dsn,
            PYTHONPATH=str(ROOT),
            **{ledger.FOLDER: str(self._folder), ledger.OFFSET: str(ledger.offset()), DSN: self._dsn},
            **mutants.variables(self._plan.mutant),
            **{SKEW: str(skew)},
        )

    def supervisors(self) -> list[int]:
        """The pids of the supervisors that run."""
        return [process.pid for process in self._supervisors if process is not None and process.poll() is None]

    def workers(self) -> list[int]:
        """The pids of the worker processes below living supervisors; those for suspects are among them."""
        found = []
        for parent in self.supervisors():
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                found += [pid for pid in children(parent) if "pgqueue.worker.main" in command_of(pid)]
        self._seen.update(found)
        return found

    def stop(self) -> tuple[list[int], list[int]]:
        """End everything with SIGTERM. Returns the supervisors' exit statuses, and the pids that had to be killed."""
        self.workers()
        for pid in self.supervisors():
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + LAST_SECONDS
        statuses = []
        for process in self._supervisors:
            with contextlib.suppress(subprocess.TimeoutExpired):
                if process is not None:
                    statuses.append(process.wait(max(0.1, deadline - time.monotonic())))
        left = self._left()
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = self._left()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return statuses, left

    def _left(self) -> list[int]:
        ours = [*self._seen, *self.supervisors()]
        return [pid for pid in ours if is_alive(pid) and "pgqueue" in command_of(pid)]


class Producers:
    """The processes that enqueue. One that was killed is replaced by one that takes over the rest of its share."""

    def __init__(self, plan: Plan, dsn: str, folder: Path) -> None:
        self._plan = plan
        self._dsn = dsn
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * plan.producers
        self._tails = [ledger.Tail(folder, f"producer-p{place}") for place in range(plan.producers)]
        self._acknowledged = [0] * plan.producers
        self._starts = [0] * plan.producers
        self._ends = time.monotonic() + plan.chaos - 5

    @property
    def acknowledged(self) -> int:
        """Jobs whose commit was acknowledged."""
        return sum(self._acknowledged)

    def pids(self) -> list[int]:
        return [process.pid for process in self._processes if process is not None and process.poll() is None]

    def look_after(self) -> None:
        """Count what was acknowledged; start what is not running and has jobs left."""
        share = -(-self._plan.jobs // self._plan.producers)
        for place, process in enumerate(self._processes):
            running = process is not None and process.poll() is None  # before the count: it may end in between
            for line in self._tails[place].lines():
                if line.startswith("K "):
                    self._acknowledged[place] += line.count(" ") - 1
            if not running and self._acknowledged[place] < share:
                self._processes[place] = self._start(place, share - self._acknowledged[place])

    def done(self) -> bool:
        return self.acknowledged >= self._plan.jobs

    def _start(self, place: int, jobs: int) -> "subprocess.Popen[bytes]":
        start, self._starts[place] = self._starts[place], self._starts[place] + 1
        orders = {
            "dsn": self._dsn,
            "seed": self._plan.seed * 1_000_003 + place * 10_007 + start,
            "name": f"p{place}",
            "first": (place * 100_000 + start) * 10_000_000 + 1,
            "jobs": jobs,
            "rate": jobs / max(5.0, self._ends - time.monotonic()),
            "lease": self._plan.lease,
        }
        folder = {ledger.FOLDER: str(self._folder), ledger.OFFSET: str(ledger.offset())}
        with (self._folder / f"producer-{place}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.soak.producer"],
                cwd=ROOT,
                env=environment(PYTHONPATH=str(ROOT), **{ORDERS: json.dumps(orders)}, **folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        """End them: what they had not said was acknowledged stays unknown."""
        for process in self._processes:
            if process is not None and process.poll() is None:
                process.kill()
            if process is not None:
                process.wait()
