"""Drain: no-op async jobs, durable, history kept, by one and two processes beside a bare loop over the same SQL.

All are enqueued before the start.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass

from benchmarks import house, programs
from benchmarks.figures import spread
from benchmarks.harness import Run, main

BARE, ONE, TWO = "bare SQL loop", "1 process", "2 processes"
VARIANTS = (BARE, ONE, TWO)
ONE_BAR, TWO_BAR = 0.7, 1.3


@dataclass(frozen=True, slots=True)
class Measured:
    """One drain."""

    rate: float
    together: float
    enqueue_wal: float
    enqueue_images: float
    drain_wal: float
    drain_images: float
    hot: float
    server_us: float
    client_us: float
    peak_mb: float
    load: float


def run(bench: Run) -> None:
    """Drain 200,000 jobs three times with each variant, in turns."""
    jobs, repeats = bench.count(200_000, 20_000), bench.repeats(3, 1)
    found: dict[str, list[Measured]] = {variant: [] for variant in VARIANTS}
    starting = {variant: _cost_of_starting(bench, variant) for variant in VARIANTS}
    for turn in range(repeats):
        for variant in VARIANTS:
            measured = measure(bench, variant, jobs, starting[variant])
            found[variant].append(measured)
            bench.say(f"   {turn + 1}/{repeats} {variant:14} {measured.rate:9,.0f} jobs/s   load {measured.load:.1f}")
    _show(bench, found)
    bench.keep("jobs", jobs)
    bench.keep("rates", {variant: [round(one.rate) for one in turns] for variant, turns in found.items()})
    bare, one, two = (statistics.median(one.rate for one in found[variant]) for variant in VARIANTS)
    bench.bar("1 process / bare SQL loop", one / bare, ONE_BAR)
    bench.bar("2 processes / 1 process", two / one, TWO_BAR)


def _show(bench: Run, found: dict[str, list[Measured]]) -> None:
    columns = {
        "jobs/s": "rate",
        "while all work": "together",
        "WAL B/job": "drain_wal",
        "images/job": "drain_images",
        "enqueue B/job": "enqueue_wal",
        "server us/job": "server_us",
        "client us/job": "client_us",
        "peak MB": "peak_mb",
    }
    digits = {"drain_images": 3, "server_us": 1, "client_us": 1}
    rows: list[list[object]] = []
    for variant, turns in found.items():
        cells = {name: [getattr(one, name) for one in turns] for name in Measured.__slots__}
        rows.append(
            [
                variant,
                *(spread(cells[name], digits.get(name, 0)) for name in columns.values()),
                f"{min(cells['hot']):.4f}",
            ]
        )
        bench.keep(variant, cells)
    bench.table(["", *columns, "HOT, least"], rows)


def measure(bench: Run, variant: str, jobs: int, starting_seconds: float) -> Measured:
    """One drain of a fresh queue. The processes' own start is taken off their CPU time."""
    with bench.connect() as conn:
        house.empty(conn)
        house.settle_down(conn)
        before_enqueue = house.wal_position(conn), house.full_page_images(conn)
        house.fill(conn, jobs)
        after_enqueue = house.wal_position(conn), house.full_page_images(conn)
        house.settle_down(conn)
        before, load = (house.wal_position(conn), house.full_page_images(conn)), os.getloadavg()[0]
        server = programs.server_cpu_seconds(conn)
        program = _start(bench, variant).check()
        after, server_after = (
            (house.wal_position(conn), house.full_page_images(conn)),
            programs.server_cpu_seconds(conn),
        )
        done = house.drained(conn)
        house.expect_once(done, jobs)
        return Measured(
            rate=done.rate,
            together=done.together,
            enqueue_wal=(after_enqueue[0] - before_enqueue[0]) / jobs,
            enqueue_images=(after_enqueue[1] - before_enqueue[1]) / jobs,
            drain_wal=(after[0] - before[0]) / jobs,
            drain_images=(after[1] - before[1]) / jobs,
            hot=house.hot_share(conn),
            server_us=(server_after - server) / jobs * 1e6 if server is not None and server_after is not None else -1.0,
            client_us=(program.cpu_seconds - starting_seconds) / jobs * 1e6,
            peak_mb=program.peak_mb,
            load=load,
        )


def _start(bench: Run, variant: str) -> programs.Program:
    if variant == BARE:
        return programs.module("bare_loop", bench.dsn)
    return programs.work(bench.dsn, "--burst", "-c", "100", "--processes", "1" if variant == ONE else "2")


def _cost_of_starting(bench: Run, variant: str) -> float:
    """The CPU time of the same processes with nothing to do."""
    with bench.connect() as conn:
        house.empty(conn)
    return _start(bench, variant).check().cpu_seconds


if __name__ == "__main__":
    main(drain=run)
