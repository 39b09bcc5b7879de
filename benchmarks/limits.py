"""Limits: 1,000 a second over a minute by four processes, and ten at once through kills.

A rate is judged by the grants' own times, the database's, as the attempts keep them. Concurrency is judged by a table
into which each handler writes when it begins and ends, in transactions of its own; an attempt whose process was killed
has no end there, and is taken to have ended when its loss was recorded.
"""

from __future__ import annotations

import os
import random
import signal
import time
from bisect import bisect_left
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from benchmarks import house, programs
from benchmarks.harness import Run, main

if TYPE_CHECKING:
    import psycopg

PROCESSES, LEASE_SECONDS = 4, 2
RATE, BURST, USED_BAR = 1_000, 100, 0.95
PERMITS = 10
ADD = """
select count(*) from pgqueue.enqueue_many((
  select jsonb_agg(jsonb_build_object('task', %s::text, 'args', jsonb_build_object('i', i), 'limits', %s::text)
                   order by i)
  from generate_series(1, %s::int) i))
"""


def run(bench: Run) -> None:
    """Both."""
    rate(bench)
    concurrency(bench)


def rate(bench: Run) -> None:
    """More jobs than the budget, five seconds' worth at the start and a tenth more than the rate each second."""
    seconds = 60 if not bench.quick else 10
    with bench.connect() as conn:
        house.empty(conn)
        conn.execute("insert into pgqueue.limit_rules (name, rate, burst) values ('api', %s, %s)", [RATE, BURST])
        conn.execute(ADD, ["jobs.noop", "api", 5 * RATE])
        with programs.kept(programs.work(bench.dsn, "--processes", str(PROCESSES), quiet=True)):
            house.wait_until(conn, "select exists (select from pgqueue.finished_jobs)", seconds=30)
            started = time.monotonic()
            for second in range(seconds + 2):
                conn.execute(ADD, ["jobs.noop", "api", RATE + RATE // 10])
                time.sleep(max(0.0, started + second + 1 - time.monotonic()))
        query = (
            "select extract(epoch from started_at)::float8 from pgqueue.attempts where outcome = 'succeeded' order by 1"
        )
        grants = [row[0] for row in conn.execute(query)]
    first = grants[0]
    grants = [grant for grant in grants if grant < first + seconds]
    worst = max(bisect_left(grants, grant + 1.0) - place for place, grant in enumerate(grants))
    used = len(grants) / (RATE * seconds)
    bench.keep("rate", {"seconds": seconds, "grants": len(grants), "worst second": worst, "used": used})
    bench.say(f"   {len(grants):,} grants in {seconds} s, at most {worst:,} in any second")
    bench.bar(f"any second of a limit of {RATE:,}/s, burst {BURST}", worst, RATE + BURST, most=True, unit=" grants")
    bench.bar("share of the budget used", used, USED_BAR, unit="")


def concurrency(bench: Run) -> None:
    """A limit of ten, four processes, one of which is killed every second."""
    jobs = bench.count(5_000, 1_000)
    with bench.connect() as conn:
        house.empty(conn)
        conn.execute("drop table if exists public.ledger")
        conn.execute(
            """create table public.ledger (
                 job_id bigint, attempt integer, i integer, began timestamptz default clock_timestamp(),
                 ended timestamptz, primary key (job_id, attempt))"""
        )
        conn.execute("insert into pgqueue.limit_rules (name, concurrency) values ('ten', %s)", [PERMITS])
        conn.execute(ADD, ["jobs.ledger", "ten", jobs])
        options = ["--processes", str(PROCESSES), "--lease", str(LEASE_SECONDS), "--log-level", "critical"]
        kills, started = 0, time.monotonic()
        with programs.kept(programs.work(bench.dsn, *options, quiet=True)) as fleet:
            while time.monotonic() - started < 120 and _left(conn):
                time.sleep(1)
                kills += _kill_one(fleet)
            house.wait_until(conn, "select not exists (select from pgqueue.queued_jobs)", seconds=120)
        seconds = time.monotonic() - started
        most, unfinished = _most_at_once(conn)
        done = conn.execute("select count(*) from pgqueue.finished_jobs where succeeded").fetchone()
        left = conn.execute("select coalesce(sum(held), 0) from pgqueue.lanes").fetchone()
    found = {"kills": kills, "seconds": round(seconds, 1), "most at once": most, "attempts cut short": unfinished}
    bench.keep("concurrency", found)
    bench.table(["", "count"], [[name, value] for name, value in found.items()])
    bench.verdict(
        f"{done and done[0]:,} of {jobs:,} succeeded through {kills} kills", passed=bool(done) and done[0] == jobs
    )
    bench.bar(f"running at once under a limit of {PERMITS}", most, PERMITS, most=True, unit="")
    bench.verdict(f"permits still out at the end: {left and left[0]}", passed=bool(left) and left[0] == 0)


def _most_at_once(conn: psycopg.Connection[Any]) -> tuple[int, int]:
    """The most attempts at once by the ledger, and how many of them never wrote their end."""
    rows = conn.execute(
        """select extract(epoch from l.began)::float8,
                  extract(epoch from coalesce(l.ended, a.finished_at))::float8, l.ended is null
           from public.ledger l left join pgqueue.job_attempts a on a.job_id = l.job_id and a.attempt = l.attempt"""
    ).fetchall()
    # An attempt that was cut short held its permit until its loss was recorded: no successor can have begun before.
    moments = sorted([(began, 1) for began, _, _ in rows] + [(ended or began, -1) for began, ended, _ in rows])
    most = now = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most, sum(cut for _, _, cut in rows)


def _left(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute("select count(*) from pgqueue.queued_jobs").fetchone()
    return int(row[0]) if row else 0


def _kill_one(fleet: programs.Program) -> int:
    alive = programs.children(fleet.pid)
    if not alive:
        return 0
    with suppress(ProcessLookupError):
        os.kill(random.choice(alive), signal.SIGKILL)
    return 1


if __name__ == "__main__":
    main(limits=run)
