"""`python -m tests.soak.drift --minutes 60`: what grows when nothing should.

A fleet under a steady load, without faults: memory and descriptors of its processes, sizes and dead tuples of the
tables that hold unfinished work, sampled into `drift.csv`, drawn into `drift.svg`. History and arguments do grow, by
as much as there are jobs: they are shown and not judged. Exit status 0 when the others are flat.
"""

import argparse
import csv
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import psycopg

from pgqueue.migrate import upgrade
from tests.soak import plan as plans
from tests.soak.chart import chart
from tests.soak.fleets import Fleets, Producers
from tests.soak.server import SoakServer, connected

WARM_UP = 0.4  # of the run: caches fill, autovacuum finds its pace
SLACK = 1.25  # the last quarter may be that much above the one after the warm-up, and no more than LEAST besides
LEAST = {"rss_mb": 8.0, "descriptors": 4.0, "size_mb": 8.0, "dead_tuples": 20_000.0, "unfinished": 2_000.0}
TABLES = (
    "queued_jobs", "job_keys", "worker_processes", "lanes", "permits", "lane_waits", "job_progress", "cancel_requests",
)  # fmt: skip
GROWING = ("attempt_lines", "finished_jobs", "job_args", "job_attempts", "flow_nodes", "flow_links")
SIZES = """
with recursive parts as (
  select c.oid as top, c.oid, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'pgqueue' and c.relname = any (%s)
  union all
  select p.top, i.inhrelid, p.relname from parts p join pg_inherits i on i.inhparent = p.oid
)
select p.relname, sum(pg_total_relation_size(p.oid))::float / 1048576, coalesce(sum(s.n_dead_tup), 0)::float
from parts p left join pg_stat_user_tables s on s.relid = p.oid group by p.relname
"""


def main() -> int:
    """Run, write, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.drift", description="Memory, descriptors and bloat.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=200.0, help="jobs a second")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between samples")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where drift.csv and drift.svg go; on a disk")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="pgq-drift-"))
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        folder.chmod(0o755)
    seconds = given.minutes * 60
    plan = replace(
        plans.quick(given.seed), jobs=int(seconds * given.rate), chaos=seconds, fleets=1, processes=2, producers=1
    )
    samples = measure(plan, folder, seconds=seconds, every=given.every)
    write(samples, folder)
    grew = drifted(samples)
    for name, (before, after) in grew.items():
        sys.stdout.write(f"{name} grew from {before:.1f} to {after:.1f}\n")
    sys.stdout.write(f"{'NOT flat' if grew else 'flat'}; {folder}/drift.csv and drift.svg\n")
    return 1 if grew else 0


def measure(plan: plans.Plan, folder: Path, *, seconds: float, every: float) -> list[dict[str, float]]:
    """The samples of a run, one every so many seconds."""
    samples = []
    with ExitStack() as stack:
        server = stack.enter_context(SoakServer(folder))
        upgrade(server.dsn)
        with connected(server) as conn:
            conn.execute(Path(__file__).with_name("audit.sql").read_bytes())
            conn.execute(
                "drop trigger soak_change on pgqueue.queued_jobs; drop trigger soak_end on pgqueue.queued_jobs"
            )
        address = f"host=127.0.0.1 port={server.port} user=postgres dbname=soak"
        fleets, producers = Fleets(plan, address, folder), Producers(plan, address, folder)
        stack.callback(fleets.stop)
        stack.callback(producers.stop)
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            fleets.look_after()
            producers.look_after()
            time.sleep(every)
            sample = {"seconds": time.monotonic() - began, "acknowledged": float(producers.acknowledged)}
            samples.append(sample | _processes(fleets) | _tables(server))
            if len(samples) % 12 == 0:
                sys.stdout.write(f"{sample['seconds']:.0f} s, {producers.acknowledged} jobs\n")
                sys.stdout.flush()
    return samples


def _processes(fleets: Fleets) -> dict[str, float]:
    """Memory (MB) and descriptors: of the supervisor, and of the workers together."""
    found: dict[str, float] = {}
    for name, pids in {"supervisor": fleets.supervisors(), "workers": fleets.workers()}.items():
        found[f"{name} rss_mb"] = sum(map(_rss, pids))
        found[f"{name} descriptors"] = float(sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids))  # noqa: PTH208
    return found


def _rss(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1048576


def _tables(server: SoakServer) -> dict[str, float]:
    found: dict[str, float] = {}
    with connected(server) as conn, conn.cursor() as cursor:
        rows: list[Any] = cursor.execute(SIZES, [[*TABLES, *GROWING]]).fetchall()
        for name, size, dead in rows:
            found[f"{name} size_mb"] = size
            if name in TABLES:
                found[f"{name} dead_tuples"] = dead
        backends = cursor.execute("select count(*)::float from pg_stat_activity where datname = 'soak'").fetchone()
        unfinished = cursor.execute("select count(*)::float from pgqueue.queued_jobs").fetchone()
    assert backends is not None
    assert unfinished is not None
    return found | {"backends descriptors": float(str(backends[0])), "jobs unfinished": float(str(unfinished[0]))}


def write(samples: list[dict[str, float]], folder: Path) -> None:
    """The samples as a table and as a picture."""
    names = list(samples[-1])
    with (folder / "drift.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, names, restval="")
        table.writeheader()
        table.writerows({name: round(value, 2) for name, value in sample.items()} for sample in samples)
    seconds = [sample["seconds"] for sample in samples]
    series = {name: [sample.get(name, 0.0) for sample in samples] for name in names if name != "seconds"}
    drawn = {name: values for name, values in series.items() if any(values)}
    (folder / "drift.svg").write_text(chart("A fleet under a steady load", seconds, drawn))


def drifted(samples: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """What was flat after the warm-up and is above that in the last quarter: its name, and both means."""
    rest = samples[int(WARM_UP * len(samples)) :]
    quarter = max(1, len(rest) // 4)
    grew = {}
    for name in samples[-1]:
        table, _, kind = name.rpartition(" ")
        if kind not in LEAST or table in GROWING:
            continue
        before, after = (mean(s.get(name, 0.0) for s in part) for part in (rest[:quarter], rest[-quarter:]))
        if after > before * SLACK and after > before + LEAST[kind]:
            grew[name] = (before, after)
    return grew


if __name__ == "__main__":
    try:
        sys.exit(main())
    except psycopg.OperationalError as error:
        sys.exit(f"drift: {' '.join(str(error).split())}")
