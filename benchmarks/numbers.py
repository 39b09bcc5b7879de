# ruff: noqa: E501 - SQL is told on one line
"""Numbers at 5,000,000 live and 5,000,000 finished jobs: depths, views, one fold, and what folding costs a drain.

`--jobs` is the number of live jobs, and of finished ones; a drain has 200,000.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks import drain, fill
from benchmarks.figures import spread
from benchmarks.harness import Run, main

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

READS = {
    "depths()": "select queue, ready, estimated from pgqueue.depths()",
    "backlog()": "select pgqueue.backlog()",
    "backlog() of a queue": "select pgqueue.backlog('queue-3')",
    "history_depths()": "select queue, succeeded, estimated from pgqueue.history_depths()",
    "view queues": "select queue, ready, succeeded, throughput from pgqueue.queues",
    "statistics, last hour": "select queue, sum(succeeded) from pgqueue.statistics "
    "where minute > now() - interval '1 hour' group by queue",
    "statistics_totals": "select queue, task, succeeded, run_buckets from pgqueue.statistics_totals",
    "depth_history, last day": "select minute, sum(ready) from pgqueue.depth_history "
    "where minute > now() - interval '1 day' group by minute",
    "a count of all live jobs": "select queue, count(*) from pgqueue.queued_jobs group by queue",
}
FLOOD_SECONDS, FLOOD_RATE = 10, 60_000
FLOOD = """
insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, started_at, worker_id, args_day, attempt, priority, failures,
                                   losses, succeeded, suspect, queue, task)
select nextval('pgqueue.job_ids'), t.at, t.at - interval '1 s', t.at - interval '1 s', t.at - interval '3 ms', 1,
       (now() at time zone 'UTC')::date, 1, 0, 0, 0, true, false, 'queue-' || i %% 10, 'task-' || i %% 20
from generate_series(1, %(jobs)s) i, lateral (select clock_timestamp() as at) t"""
NO_FOLD = "create or replace function pgqueue.fold_statistics(lag interval default '5 s') returns bigint language sql return null::bigint"
DEPTHS_BAR, BACKLOG_BAR, VIEW_BAR = 25.0, 50.0, 150.0  # ms
FOLD_BAR, DRAIN_BAR = 0.05, 0.98  # share of the time, of the rate


def run(bench: Run) -> None:
    """Fill, read, fold; the same reads with 1,000 queues; then drains with and without the fold, in turns."""
    jobs = bench.count(5_000_000, 200_000)
    with bench.connect() as conn:
        for queues in (10, 1000):
            load = fill.Load(live=jobs, finished=jobs, queues=queues)
            bench.say(f"   {jobs:,} live and {jobs:,} finished jobs of {queues} queues: {fill.fill(conn, load):.0f} s")
            _catch_up(conn)
            _read(bench, conn, queues)
        _flood(bench, conn)
    _drains(bench)


def _read(bench: Run, conn: psycopg.Connection[Any], queues: int) -> None:
    rows: list[list[object]] = []
    found: dict[str, float] = {}
    for name, query in READS.items():
        repeats = 3 if name.startswith("a count") else 20
        taken = [_milliseconds(lambda query=query: conn.execute(query).fetchall()) for _ in range(repeats)]  # type: ignore[misc]
        found[name] = statistics.median(taken)
        rows.append([name, spread(taken, 1), f"{taken[0]:.1f}"])
    bench.table([f"{queues} queues", "ms", "the first time"], rows)
    bench.keep(f"reads, {queues} queues, ms", found)
    bench.bar(f"depths(), {queues} queues", found["depths()"], DEPTHS_BAR, most=True, unit=" ms")
    bench.bar(f"backlog(), {queues} queues", found["backlog()"], BACKLOG_BAR, most=True, unit=" ms")
    bench.bar(f"view queues, {queues} queues", found["view queues"], VIEW_BAR, most=True, unit=" ms")


def _flood(bench: Run, conn: psycopg.Connection[Any]) -> None:
    """So much history as comes in 10 s at 60,000 jobs a second, folded second by second as the keeper would."""
    seconds, jobs = 0.0, 0
    longest = 0.0
    for _ in range(FLOOD_SECONDS):
        conn.execute(FLOOD, {"jobs": FLOOD_RATE})
        taken, attempts = _catch_up(conn)
        seconds, jobs, longest = seconds + taken, jobs + attempts, max(longest, taken)
    bench.say(
        f"   folding {jobs:,} attempts took {seconds:.2f} s: {seconds / max(jobs, 1) * 1e6:.2f} us each, {longest * 1000:.0f} ms at most for a second"
    )
    bench.keep("fold, us a job", seconds / max(jobs, 1) * 1e6)
    bench.bar(f"the fold's share of the time at {FLOOD_RATE:,} jobs/s", seconds / FLOOD_SECONDS, FOLD_BAR, most=True)


def _catch_up(conn: psycopg.Connection[Any]) -> tuple[float, int]:
    """Fold all there is; the seconds it took, and how many attempts it was."""
    began, attempts = time.monotonic(), 0
    until = conn.execute("select clock_timestamp()").fetchone()
    assert until is not None
    while True:
        row = conn.execute("select pgqueue.fold_statistics('0')").fetchone()
        attempts += row[0] if row and row[0] else 0
        done = conn.execute("select folded_to >= %s from pgqueue.statistics_state", until).fetchone()
        if done and done[0]:
            return time.monotonic() - began, attempts


def _drains(bench: Run) -> None:
    jobs, repeats = 20_000 if bench.quick else 200_000, bench.repeats(5, 1)
    with bench.connect() as conn:
        row = conn.execute(
            "select pg_get_functiondef(p.oid) from pg_proc p where p.pronamespace = 'pgqueue'::regnamespace and p.proname = 'fold_statistics'"
        ).fetchone()
        assert row is not None
        rates: dict[str, list[float]] = {"folding": [], "without": []}
        for turn in range(repeats):
            for variant in ("folding", "without") if turn % 2 else ("without", "folding"):
                conn.execute(row[0] if variant == "folding" else NO_FOLD)
                rates[variant].append(drain.measure(bench, drain.ONE, jobs, 0.0).rate)
        conn.execute(row[0])
    pairs = [one / other for one, other in zip(rates["folding"], rates["without"], strict=True)]
    bench.table(["drain", "jobs/s"], [[name, spread(values)] for name, values in rates.items()])
    bench.keep("drain, jobs/s", rates)
    bench.bar("a drain while the keeper folds / without", statistics.median(pairs), DRAIN_BAR)


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return (time.monotonic() - began) * 1000


if __name__ == "__main__":
    main(numbers=run)
