"""The floor of a pick-up: a process that listens, claims one job with one statement, and notes the time.

No lease, no history. Its table `bare.jobs` has the columns of queued_jobs, the arguments beside them, and one index; a
finished job is deleted after its time is noted.
"""

from __future__ import annotations

import os
import select
import time

import psycopg

from benchmarks.jobs import ledger

SCHEMA = """
drop schema if exists bare cascade;
create schema bare;
create table bare.jobs (like pgqueue.queued_jobs including defaults, args jsonb not null);
alter table bare.jobs alter id set default nextval('pgqueue.job_ids');
create index on bare.jobs (queue, priority, run_at, id);
"""
ENQUEUE = """
with added as (
  insert into bare.jobs (run_at, created_at, args_day, queue, task, args)
  values (clock_timestamp(), clock_timestamp(), current_date, 'default', 'jobs.stamp', %s::jsonb) returning id
)
select pg_notify('bare', '') from added
"""
CLAIM = """
update bare.jobs set attempt = attempt + 1, worker_id = 1, token = 1, started_at = clock_timestamp()
where ctid = (select ctid from bare.jobs
              where queue = 'default' and priority = 0 and run_at <= clock_timestamp() and worker_id is null
              order by run_at, id limit 1 for update skip locked)
returning id, args
"""


def main(dsn: str) -> None:
    """Run jobs until killed."""
    conn = psycopg.connect(dsn, autocommit=True)
    conn.execute("set enable_seqscan = off")
    conn.execute("set enable_bitmapscan = off")
    conn.execute("listen bare")
    while True:
        select.select([conn.fileno()], [], [], 1.0)
        for _ in conn.notifies(timeout=0):
            pass
        while (row := conn.execute(CLAIM, prepare=True).fetchone()) is not None:
            now = time.monotonic_ns()
            ledger.write(b"%d %d\n" % (row[1]["i"], now))
            conn.execute("delete from bare.jobs where id = %s", [row[0]], prepare=True)


if __name__ == "__main__":
    main(os.environ["PGQ_DSN"])
