"""Enqueue: one job a transaction by 1, 8 and 32 producers, beside bare inserts of the same columns; bulk beside COPY.

The producers are pgbench, so that no Python is measured. `nobody`: no worker. `worker`: a real worker, idle at first,
which then takes the jobs. `sleeper`: somebody who never wakes up, so that each commit notifies: the most it can cost.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

from benchmarks import house, programs
from benchmarks.figures import spread
from benchmarks.harness import Run, main
from pgqueue.embedded import binaries

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

PRODUCERS = (1, 8, 32)
BAR_PRODUCERS, BAR = 32, 0.75
BULKS = (1_000, 10_000)
OURS = "select pgqueue.enqueue('jobs.noop', '{\"i\": 1}');\n"
BARE = """insert into bare.jobs (run_at, created_at, args_day, priority, expires_at, max_attempts,
                       timeout, queue, task, key, args)
values (clock_timestamp(), clock_timestamp(), current_date, 0, null, null, null, 'default', 'jobs.noop', null,
        '{"i": 1}')
returning id;
"""
SCHEMA = """
drop schema if exists bare cascade;
create schema bare;
create table bare.jobs (like pgqueue.queued_jobs including all, args jsonb not null);
alter table bare.jobs alter id set default nextval('pgqueue.job_ids');
"""
COPY = "copy bare.jobs (run_at, created_at, args_day, priority, queue, task, args) from stdin"


def run(bench: Run) -> None:
    """Ten seconds of each, in turns, three times."""
    seconds, repeats = (10, 3) if not bench.quick else (2, 1)
    repeats = bench.repeats(repeats, repeats)
    with bench.connect() as conn:
        conn.execute(SCHEMA)
        found = _one_by_one(bench, conn, seconds, repeats)
        _show(bench, found)
        _bulk(bench, conn, bench.repeats(5, 2))
    bare, ours = (statistics.median(found[BAR_PRODUCERS, variant]) for variant in ("bare", "nobody"))
    bench.bar(f"enqueue / bare insert, {BAR_PRODUCERS} producers, nobody asleep", ours / bare, BAR)


def _one_by_one(
    bench: Run, conn: psycopg.Connection[Any], seconds: int, repeats: int
) -> dict[tuple[int, str], list[float]]:
    found: dict[tuple[int, str], list[float]] = {}
    for turn in range(repeats):
        for producers in PRODUCERS:
            for variant in ("bare", "nobody", "worker", "sleeper"):
                house.empty(conn)
                conn.execute("truncate bare.jobs")
                conn.execute("checkpoint")
                with ExitStack() as stack:
                    _beside(bench, conn, variant, stack)
                    rate = _pgbench(bench, BARE if variant == "bare" else OURS, producers, seconds)
                found.setdefault((producers, variant), []).append(rate)
                bench.say(f"   {turn + 1}/{repeats} {producers:2} producers  {variant:8} {rate:9,.0f} /s")
    return found


def _beside(bench: Run, conn: psycopg.Connection[Any], variant: str, stack: ExitStack) -> None:
    """Start who is there while the producers work."""
    if variant == "worker":
        stack.enter_context(programs.kept(programs.work(bench.dsn)))
    elif variant == "sleeper":
        sleeper = programs.module("sleeper", bench.dsn)
        stack.callback(sleeper.stop)
    else:
        return
    asleep = "select exists (select from pg_locks where locktype = 'advisory' and mode = 'ShareLock')"
    if not house.wait_until(conn, asleep, seconds=20):
        raise SystemExit(f"{variant}: nobody fell asleep")


def _pgbench(bench: Run, script: str, producers: int, seconds: int) -> float:
    """Transactions per second of these many connections."""
    file = bench.folder / "producer.sql"
    file.write_text(script)
    address = conninfo_to_dict(bench.dsn)
    command = [str(binaries.find().bin / "pgbench"), "-n", "-M", "prepared", "-f", str(file), "-T", str(seconds)]
    command += [
        "-c",
        str(producers),
        "-j",
        str(min(producers, 2)),
        "-h",
        str(address["host"]),
        "-p",
        str(address.get("port", 5432)),
    ]
    command += ["-U", str(address.get("user", "postgres")), str(address["dbname"])]
    said = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    rate = re.search(r"tps = ([\d.]+)", said.stdout)
    if rate is None or "failed transactions: 0 " not in said.stdout:
        raise SystemExit(f"pgbench: {said.stdout}{said.stderr}")
    return float(rate[1])


def _show(bench: Run, found: dict[tuple[int, str], list[float]]) -> None:
    rows = []
    for producers in PRODUCERS:
        bare = statistics.median(found[producers, "bare"])
        for variant in ("bare", "nobody", "worker", "sleeper"):
            rates = found[producers, variant]
            rows.append([f"{producers} producers", variant, spread(rates), f"{statistics.median(rates) / bare:.2f}"])
            bench.keep(f"{producers} {variant}", rates)
    bench.table(["", "beside", "commits/s", "/ bare"], rows)


def _bulk(bench: Run, conn: psycopg.Connection[Any], repeats: int) -> None:
    """Jobs per second of enqueue_many, with ids back, beside COPY of the same columns and indexes."""
    rows = []
    for size in BULKS:
        text = json.dumps([{"task": "jobs.noop", "args": {"i": number}} for number in range(size)])
        lines = "".join(
            f'2026-01-01\t2026-01-01\t2026-01-01\t0\tdefault\tjobs.noop\t{{"i": {number}}}\n' for number in range(size)
        )
        adders = {"COPY": partial(_copy, conn, lines), "enqueue_many": partial(_many, conn, text)}
        rates: dict[str, list[float]] = {"COPY": [], "enqueue_many": []}
        for _ in range(repeats):
            house.empty(conn)
            conn.execute("truncate bare.jobs")
            conn.execute("checkpoint")
            for name, add in adders.items():
                rates[name].append(_rate(add, size, batches=max(3, 30_000 // size)))
        share = statistics.median(rates["enqueue_many"]) / statistics.median(rates["COPY"])
        rows.append([f"{size:,} a call", spread(rates["COPY"]), spread(rates["enqueue_many"]), f"{share:.2f}"])
        bench.keep(f"bulk {size}", rates)
    bench.table(["bulk", "COPY rows/s", "enqueue_many jobs/s", "ratio"], rows)


def _many(conn: psycopg.Connection[Any], text: str) -> None:
    conn.execute("select pgqueue.enqueue_many(%s)", [text]).fetchall()


def _copy(conn: psycopg.Connection[Any], lines: str) -> None:
    with conn.cursor() as cursor, cursor.copy(COPY) as copy:
        copy.write(lines)


def _rate(add: Callable[[], object], size: int, *, batches: int) -> float:
    started = time.monotonic()
    for _ in range(batches):
        add()
    return size * batches / (time.monotonic() - started)


if __name__ == "__main__":
    main(enqueue=run)
