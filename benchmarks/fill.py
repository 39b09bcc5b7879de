# ruff: noqa: E501 - SQL is told on one line
"""Fills the tables as years of use would, in minutes: rows go into them directly. For measurements of what reads them.

`python -m benchmarks.fill DSN --live 5000000 --finished 5000000` fills an installation that holds nothing worth keeping: all its
jobs go first. Arguments are there for the live jobs only, unless `--arguments` asks for all.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from benchmarks import house

if TYPE_CHECKING:
    from typing import Any

# Ids are drawn from the sequence's current value on: live ones are the newest. Queues and tasks go round; one job in 100 is scheduled, one
# in 1,000 blocked, `running` of them have a worker. Due jobs became due over the last hour.
LIVE = """
insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, attempt, priority, worker_id, token, started_at, queue, task, key)
select %(first)s + i, case when i %% 100 = 99 then now() + interval '1 h' when i %% 1000 = 998 then 'infinity'
                           else now() - interval '1 h' + i * (interval '1 h' / %(jobs)s) end,
       now() - interval '1 h' + i * (interval '1 h' / %(jobs)s), (now() at time zone 'UTC')::date, (i < %(running)s)::integer, 0,
       case when i < %(running)s then 1 end, case when i < %(running)s then i end, case when i < %(running)s then now() end,
       'queue-' || (i / 7) %% %(queues)s, 'task-' || (i / 11) %% %(tasks)s, case when i %% 50 = 7 then 'key-' || i end
from generate_series(0::bigint, %(jobs)s::bigint - 1) i"""
KEYS = """
insert into pgqueue.job_keys (job_id, queue, key)
select j.id, j.queue, j.key from pgqueue.queued_jobs j where j.key is not null"""
ARGUMENTS = """
insert into pgqueue.job_args (id, day, args, meta)
select %(first)s + i, (now() at time zone 'UTC')::date, jsonb_build_object('i', i, 'customer', i %% 1000), jsonb_build_object('tenant', 'tenant-' || i %% 50)
from generate_series(0::bigint, %(jobs)s::bigint - 1) i"""
FINISHED = """
insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, started_at, worker_id, args_day, attempt, priority, failures, losses,
                                   succeeded, suspect, queue, task, key, error)
select %(first)s + i, t.at, t.at - interval '2 s', t.at - interval '2 s', t.at - (1 + i %% 200) * interval '1 ms', 1, (t.at at time zone 'UTC')::date,
       1, 0, 0, 0, i %% 100 <> 0, false, 'queue-' || (i / 7) %% %(queues)s, 'task-' || (i / 11) %% %(tasks)s, case when i %% 50 = 7 then 'key-' || i end,
       case when i %% 100 = 0 then '{"type": "Cancelled", "message": "cancelled on request"}'::jsonb end
from generate_series(0::bigint, %(jobs)s::bigint - 1) i,
     lateral (select now() - %(span)s::interval + i * (%(span)s::interval / %(jobs)s) as at) t"""
DEAD = """
insert into pgqueue.dead_jobs (id, died_at, run_at, created_at, started_at, worker_id, args_day, attempt, priority, failures, losses, suspect, queue, task,
                               error, attempts)
select %(first)s + i, t.at, t.at - interval '2 s', t.at - interval '1 min', t.at - interval '1 s', 1, (t.at at time zone 'UTC')::date, 1, 0, 1, 0, false,
       'queue-' || (i / 7) %% %(queues)s, 'task-' || (i / 11) %% %(tasks)s, e.error,
       jsonb_build_array(jsonb_build_object('attempt', 1, 'worker_id', 1, 'started_at', t.at - interval '1 s', 'finished_at', t.at, 'outcome', 'dead', 'error', e.error))
from generate_series(0::bigint, %(jobs)s::bigint - 1) i,
     lateral (select now() - interval '1 day' + i * (interval '1 day' / %(jobs)s) as at) t,
     lateral (select jsonb_build_object('type', 'ValueError', 'message', 'no such order ' || i, 'traceback', repeat('  File "shop.py"', 20)) as error) e"""
TABLES = ("queued_jobs", "job_args", "job_keys", "finished_jobs", "job_attempts", "dead_jobs")


@dataclass(frozen=True, slots=True)
class Load:
    """How many jobs of each kind, of how many queues and tasks; the history covers the last `span`."""

    live: int = 5_000_000
    finished: int = 5_000_000
    dead: int = 10_000
    running: int = 200
    queues: int = 10
    tasks: int = 20
    span: str = "3 days"
    arguments: bool = False


def fill(conn: psycopg.Connection[Any], load: Load) -> float:
    """Empty the tables and fill them; returns the seconds it took. `conn` is in autocommit, as the schema's owner."""
    began = time.monotonic()
    house.empty(conn)
    conn.execute("select pgqueue.make_partitions((now() - %s::interval)::date, 20)", [load.span])
    names = {"queues": load.queues, "tasks": load.tasks, "span": load.span, "running": load.running}
    first = 1
    for statement, jobs in ((FINISHED, load.finished), (DEAD, load.dead), (LIVE, load.live)):
        if jobs:
            conn.execute(statement, {**names, "first": first, "jobs": jobs})
            if statement is LIVE or load.arguments:
                conn.execute(ARGUMENTS, {"first": first, "jobs": jobs})
        first += jobs
    conn.execute(KEYS)
    conn.execute("select setval('pgqueue.job_ids', %s)", [first])
    for table in TABLES:
        conn.execute(f"vacuum (analyze) pgqueue.{table}")
    conn.execute("checkpoint")
    return time.monotonic() - began


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dsn", help="a database with pgqueue in it, whose jobs may go")
    for name in ("live", "finished", "dead", "running", "queues", "tasks"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Load(), name))
    parser.add_argument("--span", default=Load().span, help="what the history covers")
    parser.add_argument("--arguments", action="store_true", help="arguments for finished and dead jobs too")
    given = vars(parser.parse_args())
    with psycopg.connect(given.pop("dsn"), autocommit=True) as conn:
        print(f"filled in {fill(conn, Load(**given)):.0f} s")


if __name__ == "__main__":
    main()
