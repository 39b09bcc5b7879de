"""Message groups: order and overlap under kills, the rate of one hot group, who waits beside 100,000 jobs of one.

Order: no job of a group may start before every job in front of it has come to its end once. Overlap: no job of a group
may start while another of it runs, but for attempts whose process was killed: they have a start and no end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from benchmarks import house, programs
from benchmarks.figures import spread
from benchmarks.harness import Run, main

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

PROCESSES, LEASE_SECONDS, GROUPS = 4, 2, 1_000
HOT_BAR, BESIDE_BAR = 2_000.0, 0.9
FIRE_SECONDS, CALM_SECONDS = 120.0, 300.0
ADD = """
select count(*) from pgqueue.enqueue_many((
  select jsonb_agg(jsonb_build_object('task', %s::text, 'args', jsonb_build_object(%s::text, i %% %s),
                                      'group_key', (i %% %s)::text) order by i)
  from generate_series(%s::int, %s::int) i))
"""


def run(bench: Run) -> None:
    """All three."""
    under_fire(bench)
    hot(bench)
    beside(bench)


def under_fire(bench: Run) -> None:
    """100,000 jobs in 1,000 groups through four processes, one of which is killed every second."""
    jobs, ledger = bench.count(100_000, 10_000), bench.folder / "turns"
    groups = GROUPS if not bench.quick else GROUPS // 10
    with bench.connect() as conn:
        house.empty(conn)
        _add(conn, "jobs.turn", "group", jobs, groups)
        options = ["--processes", str(PROCESSES), "--lease", str(LEASE_SECONDS), "--log-level", "critical"]
        started, kills = time.monotonic(), 0
        fleet = programs.work(bench.dsn, *options, env={"PGQ_BENCH_LEDGER": str(ledger)}, quiet=True)
        with programs.kept(fleet):
            while _left(conn) and time.monotonic() - started < FIRE_SECONDS:
                time.sleep(1)
                kills += _kill_one(fleet)
            seconds = time.monotonic() - started
            house.wait_until(conn, "select not exists (select from pgqueue.queued_jobs)", seconds=CALM_SECONDS)
        found = judge(ledger)
        found["kills"], found["seconds"] = kills, round(seconds)
        found["left"] = _left(conn)
        found["succeeded"] = _number(conn, "select count(*) from pgqueue.finished_jobs where succeeded")
        found["dead"] = _number(conn, "select count(*) from pgqueue.dead_jobs")
        found["permits left"] = _number(conn, "select count(*) from pgqueue.permits")
    bench.keep("under fire", found)
    bench.table(["", "count"], [[name, f"{value:,}"] for name, value in found.items()])
    bench.verdict(f"{found['succeeded']:,} of {jobs:,} succeeded, {kills} kills", passed=found["succeeded"] == jobs)
    bench.verdict(f"order violations: {found['out of order']}", passed=not found["out of order"])
    bench.verdict(f"overlaps: {found['overlaps']}", passed=not found["overlaps"])


def judge(ledger: Path) -> dict[str, int]:
    """The handlers' own notes, in the order in which they were written."""
    notes = [(line.split()[0] == "start", *map(int, line.split()[1:])) for line in ledger.read_text().splitlines()]
    completed = {(job, attempt) for starts, job, attempt, _ in notes if not starts}
    place: dict[int, int] = {}  # of each job within its group
    sizes: dict[int, int] = defaultdict(int)
    for job, group in sorted({(job, group) for _, job, _, group in notes}):
        place[job] = sizes[group]
        sizes[group] += 1
    ended: dict[int, set[int]] = defaultdict(set)  # places of each group's jobs that have ended once
    done: dict[int, int] = defaultdict(int)  # of each group, how many from the front have ended once
    running: dict[int, int] = defaultdict(int)
    counts = {"starts": 0, "out of order": 0, "overlaps": 0, "cut short": 0}
    for starts, job, attempt, group in notes:
        if not starts:
            running[group] -= 1
            ended[group].add(place[job])
            while done[group] in ended[group]:
                done[group] += 1
            continue
        counts["starts"] += 1
        counts["out of order"] += place[job] > done[group]
        if (job, attempt) in completed:
            counts["overlaps"] += running[group] > 0
            running[group] += 1
        else:
            counts["cut short"] += 1
    return counts


def hot(bench: Run) -> None:
    """One group that has all the jobs, drained by one process."""
    jobs, rates = bench.count(20_000, 5_000), []
    for _ in range(bench.repeats(3, 1)):
        with bench.connect() as conn:
            house.empty(conn)
            _add(conn, "jobs.noop", "i", jobs, 1)
            house.settle_down(conn)
            programs.work(bench.dsn, "--burst", "-c", "100", "--processes", "1").check()
            done = house.drained(conn)
            house.expect_once(done, jobs)
            rates.append(done.rate)
    bench.keep("hot group", rates)
    bench.say(f"   one hot group: {spread(rates)} jobs/s")
    bench.bar("one hot group", statistics.median(rates), HOT_BAR, unit=" jobs/s")


def beside(bench: Run) -> None:
    """Free jobs alone, and beside a group with 100,000 jobs in line behind one that waits for its retry."""
    jobs, waiting = bench.count(100_000, 20_000), 100_000 if not bench.quick else 20_000
    rates: dict[str, list[float]] = {"alone": [], "beside": []}
    for _ in range(bench.repeats(5, 2)):
        for variant, measured in rates.items():
            with bench.connect() as conn:
                house.empty(conn)
                if variant == "beside":
                    _add(conn, "jobs.noop", "i", waiting, 1)
                    _park(conn)
                house.fill(conn, jobs)
                house.settle_down(conn)
                programs.work(bench.dsn, "--burst", "-c", "100", "--processes", "1").check()
                measured.append(house.drained(conn).rate)
    bench.keep("beside", rates)
    bench.table(["free jobs", "jobs/s"], [[name, spread(values)] for name, values in rates.items()])
    ratio = statistics.median(b / a for a, b in zip(rates["alone"], rates["beside"], strict=True))
    bench.bar(f"free jobs beside a group with {waiting:,} waiting / alone", ratio, BESIDE_BAR)


def _park(conn: psycopg.Connection[Any]) -> None:
    """Let the group's first job fail with a long backoff: it holds the turn, and the others stand in line."""
    conn.execute("select pgqueue.register_worker(1, 'bench', 1, '{default}', '{jobs.noop}', 1, '1 h')")
    query = "select kind, id from pgqueue.step(1, 0, 1, 'default', '{jobs.noop}', %s)"
    held = [row[1] for row in conn.execute(query, [1]) if row[0] == "gated"]
    while _number(conn, "select count(*) from pgqueue.queued_jobs where run_at <= now() and worker_id is null"):
        conn.execute(query, [1_000])
    outcome = {"id": held[0], "token": 1, "outcome": "failed", "delay": 36_000}
    conn.execute("select * from pgqueue.settle(%s::jsonb, now())", [json.dumps([outcome])])
    conn.execute("select pgqueue.leave(1)")


def _add(conn: psycopg.Connection[Any], task: str, argument: str, jobs: int, groups: int) -> None:
    for first in range(0, jobs, 10_000):
        conn.execute(ADD, [task, argument, groups, groups, first, min(first + 10_000, jobs) - 1])


def _kill_one(fleet: programs.Program) -> int:
    alive = programs.children(fleet.pid)
    if not alive:
        return 0
    with suppress(ProcessLookupError):
        os.kill(random.choice(alive), signal.SIGKILL)
    return 1


def _left(conn: psycopg.Connection[Any]) -> int:
    return _number(conn, "select count(*) from pgqueue.queued_jobs")


def _number(conn: psycopg.Connection[Any], query: str) -> int:
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0


if __name__ == "__main__":
    main(groups=run)
