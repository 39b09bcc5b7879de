"""Pinned horizon: an old snapshot keeps dead rows alive while jobs pass; drain and pick-up with it and without.

And after its end: how long until pick-up is what it was.
"""

from __future__ import annotations

import statistics
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import psycopg

from benchmarks import house, programs
from benchmarks.figures import delays, spread
from benchmarks.harness import Run, main
from benchmarks.stopwatch import Stopwatch, warm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DRAIN_BAR, P50_BAR, P99_BAR_MS = 0.9, 1.5, 20.0
BACK = 1.2  # pick-up is back when a block's p50 is within this of the unpinned one
BLOCK = 20
RECOVERY_SECONDS = 60.0


@contextmanager
def pinned(dsn: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A transaction that has taken its snapshot and stays open: nothing that dies from now on can be cleaned up."""
    with psycopg.connect(dsn) as conn:
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.execute("select pg_current_snapshot()")
        yield conn
        conn.rollback()


class Figures:
    """What the repeats came to, for each variant."""

    def __init__(self) -> None:
        self.rates: dict[str, list[float]] = {"free": [], "pinned": []}
        self.delays: dict[str, list[float]] = {
            "free": [],
            "pinned": [],
            "pinned, fresh worker": [],
            "after the pin": [],
        }
        self.back_seconds: list[float] = []
        self.dead: list[int] = []


def run(bench: Run) -> None:
    """Drain 500,000 jobs with and without a pin, in turns; time pick-ups by the worker that drained and a fresh one."""
    jobs, repeats, picks = bench.count(500_000, 100_000), bench.repeats(3, 2), 300 if not bench.quick else 60
    found = Figures()
    for turn in range(repeats):
        _pass(bench, found, jobs, picks, pin=False)
        bench.say(f"   {turn + 1}/{repeats} free    {found.rates['free'][-1]:9,.0f} jobs/s")
        _pass(bench, found, jobs, picks, pin=True)
        bench.say(
            f"   {turn + 1}/{repeats} pinned  {found.rates['pinned'][-1]:9,.0f} jobs/s   {found.dead[-1]:,} dead rows"
        )
    _show(bench, found)


def _pass(bench: Run, found: Figures, jobs: int, picks: int, *, pin: bool) -> None:
    """Fill, drain, then pick up one by one."""
    variant, ledger = "pinned" if pin else "free", bench.folder / f"pinned-{time.monotonic_ns()}"
    watch = Stopwatch(bench.dsn, ledger)
    with bench.connect() as conn:
        house.empty(conn)
        house.settle_down(conn)
        with pinned(bench.dsn) if pin else nullcontext() as holder:
            house.fill(conn, jobs)
            conn.execute("analyze pgqueue.queued_jobs")
            conn.execute("checkpoint")
            with _worker(bench, ledger):
                _drain(conn, found, variant, jobs)
                warm(watch)
                found.delays[variant] += watch.many(picks)
            if holder is not None:
                found.dead.append(_dead_rows(conn, jobs))
                with _worker(bench, ledger):
                    warm(watch)
                    found.delays["pinned, fresh worker"] += watch.many(picks)
                    holder.rollback()
                    _come_back(found, watch)
    watch.close()


def _worker(bench: Run, ledger: Path) -> AbstractContextManager[programs.Program]:
    return programs.kept(programs.work(bench.dsn, env={"PGQ_BENCH_LEDGER": str(ledger)}))


def _drain(conn: psycopg.Connection[tuple[object, ...]], found: Figures, variant: str, jobs: int) -> None:
    # Asked once a second, of the planner's side table: a look at the rows themselves would walk over all the dead ones.
    if not house.wait_until(
        conn, f"select count(*) >= {jobs} from pgqueue.finished_jobs", seconds=jobs / 1000 + 60, every=1.0
    ):
        raise SystemExit(f"{variant}: not drained in time")
    done = house.drained(conn)
    house.expect_once(done, jobs)
    found.rates[variant].append(done.rate)


def _dead_rows(conn: psycopg.Connection[tuple[object, ...]], jobs: int) -> int:
    """How many dead rows the statistics count; at least that the pin worked."""
    house.wait_until(
        conn,
        f"select n_dead_tup >= {jobs} from pg_stat_user_tables where relid = 'pgqueue.queued_jobs'::regclass",
        seconds=5,
    )
    row = conn.execute(
        "select n_dead_tup from pg_stat_user_tables where relid = 'pgqueue.queued_jobs'::regclass"
    ).fetchone()
    return int(str(row[0])) if row else 0


def _come_back(found: Figures, watch: Stopwatch) -> None:
    """The pin has ended: how long until pick-up is what it was without one."""
    ended, limit = time.monotonic(), BACK * statistics.median(found.delays["free"])
    while (so_far := time.monotonic() - ended) < RECOVERY_SECONDS:
        block = watch.many(BLOCK)
        found.delays["after the pin"] += block
        if statistics.median(block) <= limit:
            break
    found.back_seconds.append(so_far)


def _show(bench: Run, found: Figures) -> None:
    bench.keep("rates", found.rates)
    bench.table(["", "jobs/s"], [[variant, spread(rates)] for variant, rates in found.rates.items()])
    picked = {variant: delays(values) for variant, values in found.delays.items()}
    bench.keep("pickup", picked)
    bench.table(
        ["pick-up ms", "n", "p50", "p95", "p99", "max"], [[name, *figure.values()] for name, figure in picked.items()]
    )
    bench.keep("back_seconds", found.back_seconds)
    bench.say(
        f"   pick-up back within {BACK:g}x of unpinned after {spread(found.back_seconds, 1)} s of the pin's end\n"
    )
    bench.bar(
        "drain pinned / free",
        statistics.median(found.rates["pinned"]) / statistics.median(found.rates["free"]),
        DRAIN_BAR,
    )
    for variant in ("pinned", "pinned, fresh worker"):
        bench.bar(f"{variant}: pick-up p50 / free", picked[variant]["p50"] / picked["free"]["p50"], P50_BAR, most=True)
        bench.bar(f"{variant}: pick-up p99", picked[variant]["p99"], P99_BAR_MS, most=True, unit=" ms")


if __name__ == "__main__":
    main(pinned=run)
