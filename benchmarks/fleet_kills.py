"""Fleet under fire: 20,000 jobs through four processes, one of which, at random, is killed with SIGKILL every second.

Half of the jobs are there at the start, the other half comes over 20 s, so that both busy and idle processes are hit.
Nothing may be lost, settled twice or run twice under one attempt number; and no job may become a dead letter, as none
of them kills.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from benchmarks import house, programs
from benchmarks.harness import Run, main

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

PROCESSES, LEASE_SECONDS = 4, 2
FEED_SECONDS, FEEDS_A_SECOND = 20.0, 10
FIRE_SECONDS, CALM_SECONDS = 240.0, 120.0  # if the fleet does not get there while it is shot at, does it afterwards?
THREADED = 5  # every fifth job is a plain function
ADD = """
select count(*) from pgqueue.enqueue_many((
  select jsonb_agg(jsonb_build_object('task', case when i %% %s = 0 then 'jobs.effect_in_thread' else 'jobs.effect' end,
                                      'args', jsonb_build_object('i', i)))
  from generate_series(%s::int, %s::int) i))
"""


def run(bench: Run) -> None:
    """Run the fleet, kill, and look at what the database and the handlers' own notes say."""
    jobs, ledger = bench.count(20_000, 4_000), bench.folder / "effects"
    with bench.connect() as conn:
        house.empty(conn)
        _add(conn, 0, jobs // 2)
        options = ["--processes", str(PROCESSES), "--lease", str(LEASE_SECONDS), "--log-level", "critical"]
        fleet = programs.work(bench.dsn, *options, env={"PGQ_BENCH_LEDGER": str(ledger)}, quiet=True)
        with programs.kept(fleet):
            kills, seconds, finished = _under_fire(bench, conn, fleet, jobs)
            if not finished:
                left = _number(conn, "select count(*) from pgqueue.queued_jobs")
                house.wait_until(conn, "select not exists (select from pgqueue.queued_jobs)", seconds=CALM_SECONDS)
                bench.say(
                    f"   {left:,} jobs were left when the killing stopped; then at most {CALM_SECONDS:.0f} s of calm"
                )
        bench.verdict(f"all jobs ended while processes were killed: {kills} kills in {seconds:.0f} s", passed=finished)
        bench.keep("kills", kills)
        bench.keep("seconds_under_fire", round(seconds, 1))
        _judge(bench, conn, jobs, ledger)


def _add(conn: psycopg.Connection[Any], first: int, end: int) -> None:
    if end > first:
        conn.execute(ADD, [THREADED, first, end - 1])


def _under_fire(
    bench: Run, conn: psycopg.Connection[Any], fleet: programs.Program, jobs: int
) -> tuple[int, float, bool]:
    """Feed and kill until all jobs have ended."""
    feed_seconds, fire_seconds = (
        (FEED_SECONDS, FIRE_SECONDS) if not bench.quick else (FEED_SECONDS / 4, FIRE_SECONDS / 4)
    )
    started, added, kills, next_kill, said = time.monotonic(), jobs // 2, 0, 1.0, 0.0
    while (now := time.monotonic() - started) < fire_seconds:
        due = min(jobs, jobs // 2 + int((jobs - jobs // 2) * now / feed_seconds))
        _add(conn, added, due)
        added = max(added, due)
        if now >= next_kill:
            kills += _kill_one(fleet)
            next_kill += 1.0
        left = _number(conn, "select count(*) from pgqueue.queued_jobs")
        if now - said >= 5.0:
            said = now
            waiting = _number(conn, "select count(*) from pgqueue.queued_jobs where suspect")
            alive = len(programs.children(fleet.pid))
            bench.say(
                f"   {now:5.1f} s  {added:6,} added  {left:6,} left, {waiting:,} of them to run alone"
                f"  {kills} kills  {alive} processes"
            )
        if added == jobs and not left:
            return kills, now, True
        time.sleep(1 / FEEDS_A_SECOND)
    return kills, time.monotonic() - started, False


def _kill_one(fleet: programs.Program) -> int:
    """Kill a worker process of the fleet, whatever it is doing; 0 when there is none at the moment."""
    alive = programs.children(fleet.pid)
    if not alive:
        return 0
    with suppress(ProcessLookupError):
        os.kill(random.choice(alive), signal.SIGKILL)
    return 1


def _judge(bench: Run, conn: psycopg.Connection[Any], jobs: int, ledger: Path) -> None:
    starts, ends = _effects(ledger)
    figures = {
        "succeeded": "select count(*) from pgqueue.finished_jobs where succeeded",
        "distinct": "select count(distinct id) from pgqueue.finished_jobs",
        "cancelled": "select count(*) from pgqueue.finished_jobs where not succeeded",
        "left": "select count(*) from pgqueue.queued_jobs",
        "dead": "select count(*) from pgqueue.dead_jobs",
        "attempts lost": "select count(*) from pgqueue.job_attempts where outcome = 'lost'",
        "attempts": "select coalesce(sum(attempt), 0) from pgqueue.finished_jobs",
        "lost while alone": "select (select coalesce(sum(losses), 0) from pgqueue.finished_jobs)"
        " + (select coalesce(sum(losses), 0) from pgqueue.queued_jobs)"
        " + (select coalesce(sum(losses), 0) from pgqueue.dead_jobs)",
        "jobs that had to run alone": "select count(*) from pgqueue.finished_jobs where suspect",
        "other attempts": "select count(*) from pgqueue.job_attempts where outcome <> 'lost'",
        "numbers used twice": "select count(*) from "
        "(select from pgqueue.attempts group by job_id, attempt having count(*) > 1) t",
        "gaps in numbers": "select count(*) from "
        "(select from pgqueue.attempts group by job_id having max(attempt) <> count(*)) t",
    }
    found = {name: _number(conn, query) for name, query in figures.items()}
    found["handler starts"], found["handler ends"] = sum(starts.values()), sum(ends.values())
    found["jobs run more than once"] = sum(1 for count in Counter(job for job, _ in starts).values() if count > 1)
    settled = conn.execute("select id, attempt from pgqueue.finished_jobs where succeeded").fetchall()
    unproven = sum((job, attempt) not in ends for job, attempt in settled)
    bench.keep("figures", found)
    bench.table(["", "count"], [[name, f"{value:,}"] for name, value in found.items()])
    bench.verdict(
        f"nothing lost: {found['distinct']:,} of {jobs:,} ended, {found['left']} left", passed=found["distinct"] == jobs
    )
    once = found["succeeded"] == found["distinct"] == jobs
    bench.verdict(f"each settled once: {found['succeeded']:,} successes of {found['distinct']:,} jobs", passed=once)
    twice = sum(count > 1 for count in starts.values())
    numbers = f"{found['numbers used twice']} in the history, {twice} in the handlers' notes"
    bench.verdict(f"no attempt number used twice: {numbers}", passed=not found["numbers used twice"] and not twice)
    told = found["attempts lost"] + found["other attempts"] + found["distinct"]
    lost = f"{found['attempts lost']} in the history, {found['attempts']} attempts in all, of which {told} are told"
    bench.verdict(f"lost attempts are counted: {lost}", passed=told == found["attempts"])
    bench.verdict(f"each success is of an attempt that came to its end: {unproven} are not", passed=not unproven)
    bench.verdict(f"no innocent dead letters: {found['dead']}", passed=not found["dead"])
    _show_dead(bench, conn)


def _show_dead(bench: Run, conn: psycopg.Connection[Any]) -> None:
    """Why an innocent job died: what it went through."""
    dead = conn.execute(
        """select d.id, d.attempt, d.losses, d.error ->> 'type',
                  jsonb_path_query_array(d.attempts, '$[*].outcome')::text
           from pgqueue.dead_jobs d order by d.id limit 10"""
    ).fetchall()
    if dead:
        bench.table(["dead job", "attempt", "losses", "error", "attempts"], dead)


def _effects(ledger: Path) -> tuple[Counter[tuple[int, int]], Counter[tuple[int, int]]]:
    """The handlers' own notes: how often each (job, attempt) was started, and came to its end."""
    starts: Counter[tuple[int, int]] = Counter()
    ends: Counter[tuple[int, int]] = Counter()
    for line in ledger.read_text().splitlines() if ledger.exists() else []:
        what, job, attempt, _ = line.split()
        (starts if what == "start" else ends)[int(job), int(attempt)] += 1
    return starts, ends


def _number(conn: psycopg.Connection[Any], query: str) -> int:
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0


if __name__ == "__main__":
    main(fleet_kills=run)
