"""One run from its beginning to its end: server, proxy, fleets, producers; the nemesis; the calm; the check."""

import gc
import json
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from pgqueue.migrate import upgrade
from tests.soak import mutants
from tests.soak.fleets import Fleets, Producers
from tests.soak.harvest import gather
from tests.soak.ledger import HOLD
from tests.soak.nemesis import FREEZES, KILLS, Nemesis, Parts
from tests.soak.plan import LONGER, Plan, schedule
from tests.soak.proxy import Proxy
from tests.soak.server import SoakServer, connected
from tests.soak.verdict import Verdict, bars, judge

AUDIT = Path(__file__).with_name("audit.sql")
# Suspects that the nemesis kills while they run alone are no poison.
MAX_LOSSES = 32_000
LOOK_SECONDS = 3.0
DEADLOCK = "40P01"


class Soak:
    """A run. `stop` ends the faults and the enqueueing, then what is there drains; a second time, at once."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._log = (folder / "soak.log").open("a")
        self._stops = 0
        self._began = time.monotonic()
        self._said_at = self._looked_at = 0.0
        self._drained = False
        self._drain_seconds = 0.0
        self._producers: Producers | None = None

    def stop(self, *_: object) -> None:
        """For a signal: end early, cleanly."""
        self._stops += 1

    def run(self) -> dict[str, Any]:
        """Do it all. Returns the summary, which is also in `summary.json`."""
        plan = self._plan
        settings = mutants.SERVER_SETTINGS.get(plan.mutant or "")
        self._say(f"plan {plan.name}, seed {plan.seed}, {plan.jobs} jobs, mutant {plan.mutant}, in {self._folder}")
        with ExitStack() as stack:
            server = stack.enter_context(SoakServer(self._folder, settings=settings))
            self._prepare(server)
            proxy = stack.enter_context(Proxy(lambda: server.port))
            dsn = f"host=127.0.0.1 port={proxy.port} user=postgres dbname=soak"
            fleets = Fleets(plan, dsn, self._folder)
            stack.callback(fleets.stop)
            self._producers = producers = Producers(plan, dsn, self._folder)
            stack.callback(producers.stop)
            parts = Parts(server, proxy, fleets, producers)
            nemesis = Nemesis(parts, self._folder)
            self._chaos(parts, nemesis)
            nemesis.rest()
            if nemesis.failed:
                self._say(f"the nemesis failed: {nemesis.failed}")
            self._calm(parts, nemesis)
            producers.stop()
            statuses, left = fleets.stop()
            self._say(f"the fleets have ended with {statuses}; had to be killed: {left}")
            verdict = self._check(server)
            done = dict(nemesis.done) | {"lost_answers": proxy.lost_answers}
        return self._sum_up(verdict, done, server, left=left)

    def _prepare(self, server: SoakServer) -> None:
        upgrade(server.dsn)
        with connected(server) as conn:
            conn.execute(AUDIT.read_bytes())
            conn.execute(f"update pgqueue.settings set max_losses = {MAX_LOSSES}".encode())
            mutants.break_database(conn, self._plan.mutant)

    def _chaos(self, parts: Parts, nemesis: Nemesis) -> None:
        """Faults until the time is over and all is enqueued and enough was done; a little longer if need be."""
        plan, began = self._plan, time.monotonic()
        faults = schedule(plan)
        parts.fleets.look_after()
        parts.producers.look_after()
        time.sleep(2.0)  # so that there is something to break
        fault = next(faults)
        due = time.monotonic() + fault.gap
        while not self._stops:
            now = time.monotonic()
            enough = all(self._counts(nemesis).get(kind, 0) >= least for kind, least in plan.least.items())
            if now - began >= plan.chaos * (1.0 if enough and parts.producers.done() else LONGER):
                return
            if now >= due:
                nemesis.strike(fault)
                fault = next(faults)
                due = max(due + fault.gap, now)
            self._between(parts, nemesis)
            time.sleep(max(0.0, min(due - time.monotonic(), nemesis.tick(), 0.1)))

    def _calm(self, parts: Parts, nemesis: Nemesis) -> None:
        """No faults: producers end, and everything drains."""
        self._say(f"calm after {json.dumps(self._counts(nemesis))}")
        began = time.monotonic()
        while time.monotonic() - began < self._plan.calm and self._stops < 2:
            self._between(parts, nemesis)
            if self._stops:
                parts.producers.stop()
            if (self._stops or parts.producers.done()) and self._unfinished(parts.server) == 0:
                self._drained = True
                break
            time.sleep(0.2)
        self._drain_seconds = time.monotonic() - began
        self._say(f"drained: {self._drained}, {self._drain_seconds:.1f} s after the last fault")

    def _between(self, parts: Parts, nemesis: Nemesis) -> None:
        parts.fleets.look_after()
        if not self._stops:
            parts.producers.look_after()
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._hold(parts.server)
        if now - self._said_at >= self._plan.progress:
            self._said_at = now
            unfinished = self._unfinished(parts.server)
            counts = json.dumps(self._counts(nemesis))
            self._say(f"acknowledged {parts.producers.acknowledged}, unfinished {unfinished}, {counts}")

    def _hold(self, server: SoakServer) -> None:
        """Let producers wait while the workers are too far behind."""
        unfinished = self._unfinished(server)
        if unfinished is not None and unfinished > self._plan.backlog:
            (self._folder / HOLD).touch()
        else:
            (self._folder / HOLD).unlink(missing_ok=True)

    def _unfinished(self, server: SoakServer) -> int | None:
        """How many jobs are not finished; None while the server is away."""
        try:
            with connected(server) as conn:
                row = conn.execute("select count(*) from pgqueue.queued_jobs").fetchone()
        except psycopg.Error:
            return None
        return int(str(row[0])) if row is not None else None

    @staticmethod
    def _counts(nemesis: Nemesis) -> dict[str, int]:
        """The counts that bars are about: of all kinds of kills and freezes together, and of the others."""
        sums: Counter[str] = Counter({"kill": nemesis.kills, "freeze": nemesis.freezes})
        sums.update({kind: count for kind, count in nemesis.done.items() if kind not in (*KILLS, *FREEZES)})
        return dict(sums)

    def _check(self, server: SoakServer) -> Verdict:
        self._say("checking")
        gc.disable()  # millions of small values without cycles: nothing to be found by looking for any
        server.keep_log()
        with connected(server) as conn:
            harvest = gather(conn, self._folder, lease_seconds=self._plan.lease)
        errors = server.errors()
        verdict = judge(harvest, deadlocks=errors.get(DEADLOCK, 0))
        verdict.figures["server_errors"] = errors
        return verdict

    def _sum_up(self, verdict: Verdict, done: dict[str, int], server: SoakServer, *, left: list[int]) -> dict[str, Any]:
        plan = self._plan
        counts = dict(done)
        counts["kill"] = sum(done.get(kind, 0) for kind in KILLS)
        counts["freeze"] = sum(done.get(kind, 0) for kind in FREEZES)
        met = bars(plan, verdict, counts, drained=self._drained) | {"nothing left running": not left}
        seconds = time.monotonic() - self._began
        summary = {
            "plan": plan.name,
            "seed": plan.seed,
            "mutant": plan.mutant,
            "jobs": plan.jobs,
            "seconds": round(seconds, 1),
            "drain_seconds": round(self._drain_seconds, 1),
            "stopped_early": bool(self._stops),
            "faults": counts,
            "violations": verdict.violations,
            "examples": verdict.examples,
            "figures": verdict.figures,
            "bars": met,
            "correct": verdict.clean and self._drained,
            "passed": all(met.values()),
        }
        (self._folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        self._say(json.dumps(summary, indent=1))
        return summary

    def _say(self, text: str) -> None:
        line = f"{time.strftime('%H:%M:%S', time.gmtime())} {time.monotonic() - self._began:7.1f} s  {text}"
        for file in (self._log, sys.stdout):
            file.write(line + "\n")
            file.flush()


def run(plan: Plan, folder: Path) -> dict[str, Any]:
    """Run a plan in a folder, minding SIGTERM and SIGINT."""
    folder.mkdir(parents=True, exist_ok=True)
    soak = Soak(plan, folder)
    before = {number: signal.signal(number, soak.stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return soak.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
