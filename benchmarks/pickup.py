"""Pick-up: an idle system, one job at a time; from COMMIT sent to the handler's first line, beside a bare script.

Then business transactions that stay open for 2 s after they enqueued: when nothing else happens, and when the worker
was busy at the enqueue, so that nobody was notified, and idle at the commit.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks import bare_listener, house, programs
from benchmarks.figures import delays
from benchmarks.harness import Run, main
from benchmarks.stopwatch import Stopwatch, sleeping, warm, within

if TYPE_CHECKING:
    import psycopg

BLOCK = 50
P50_BAR = 2.0
LATE_BAR_MS = 100.0
OPEN_SECONDS = 2.0
OTHERS, OTHERS_MOST_SECONDS = 2_000, 0.03


def run(bench: Run) -> None:
    """Time 1,000 pick-ups of each kind in blocks of 50, then 20 late commits of each kind."""
    jobs, late = bench.count(1_000, 300), bench.repeats(20, 3)
    ledgers = {name: bench.folder / f"pickup-{name}" for name in ("ours", "floor")}
    with bench.connect() as conn:
        house.empty(conn)
        conn.execute(bare_listener.SCHEMA)
    with ExitStack() as stack:
        watches = {}
        for name, ledger in ledgers.items():
            env = {"PGQ_BENCH_LEDGER": str(ledger)}
            program = (
                programs.work(bench.dsn, env=env)
                if name == "ours"
                else programs.module("bare_listener", bench.dsn, env=env)
            )
            stack.enter_context(programs.kept(program))
            watches[name] = Stopwatch(bench.dsn, ledger)
            stack.callback(watches[name].close)
        _idle(bench, watches["floor"], watches["ours"], jobs)
        _late(bench, watches["ours"], late)


def _idle(bench: Run, floor: Stopwatch, ours: Stopwatch, jobs: int) -> None:
    warm(floor, bare_listener.ENQUEUE)
    warm(ours)
    found: dict[str, list[float]] = {"floor": [], "ours": []}
    for _ in range(-(-jobs // BLOCK)):
        found["floor"] += floor.many(BLOCK, bare_listener.ENQUEUE)
        found["ours"] += ours.many(BLOCK)
    figures = {name: delays(values) for name, values in found.items()}
    bench.keep("idle", figures)
    bench.table(["ms", "n", "p50", "p95", "p99", "max"], [[name, *figure.values()] for name, figure in figures.items()])
    bench.bar("pick-up p50 / floor", figures["ours"]["p50"] / figures["floor"]["p50"], P50_BAR, most=True)


def _late(bench: Run, watch: Stopwatch, times: int) -> None:
    with bench.connect() as conn:
        quiet, idle, busy, silent = [], [], [], 0
        for _ in range(times):
            time.sleep(
                OPEN_SECONDS
            )  # polling has slowed down by then: without the notification this would take up to 0.1 s
            watch.open_transaction()
            quiet.append(watch.taken(*watch.commit()))
            watch.open_transaction()
            time.sleep(OPEN_SECONDS)
            idle.append(watch.taken(*watch.commit()))
            _keep_busy(conn)
            watch.open_transaction()
            silent += not sleeping(conn)
            time.sleep(OPEN_SECONDS)
            busy.append(watch.taken(*watch.commit()))
    figures = {
        "no transaction, 2 s of quiet before": delays(quiet),
        "idle all the time": delays(idle),
        "busy at the enqueue": delays(busy),
    }
    bench.keep("after_transaction", {**figures, "nobody slept at the enqueue": silent})
    bench.table(["ms", "n", "p50", "p95", "p99", "max"], [[name, *figure.values()] for name, figure in figures.items()])
    bench.say(
        f"   nobody slept, so nobody was notified, at {silent} of {times} enqueues beside {OTHERS:,} running jobs"
    )
    bench.verdict(f"2 s transaction, idle system: {within(idle, LATE_BAR_MS)}", passed=max(idle) <= LATE_BAR_MS)
    bench.verdict(f"2 s transaction, busy at its enqueue: {within(busy, LATE_BAR_MS)}", passed=max(busy) <= LATE_BAR_MS)


def _keep_busy(conn: psycopg.Connection[Any]) -> None:
    """Have the worker run 2,000 jobs of up to 30 ms, 100 at a time: 0.3 s. Returns once it says that it is awake."""
    conn.execute(
        """select count(*) from pgqueue.enqueue_many((
             select jsonb_agg(jsonb_build_object('task', 'jobs.nap',
                                                 'args', jsonb_build_object('seconds', %s * random())))
             from generate_series(1, %s::int)))""",
        [OTHERS_MOST_SECONDS, OTHERS],
    )
    deadline = time.monotonic() + 0.2
    while sleeping(conn) and time.monotonic() < deadline:
        time.sleep(0.005)


if __name__ == "__main__":
    main(pickup=run)
