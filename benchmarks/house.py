"""What the database holds: emptied before each measurement, filled with jobs, read afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

TABLES = (
    "queued_jobs, job_args, job_keys, finished_jobs, job_attempts, dead_jobs, worker_processes, cancel_requests, "
    "job_progress, paused_queues, limit_rules, lanes, permits, lane_waits, queue_policies, fair_weights, job_flows, "
    "flow_nodes, flow_links, flow_deltas, statistics_minutes, statistics_sums, depth_minutes, overall_minutes"
)
CHUNK = 10_000


def empty(conn: psycopg.Connection[Any]) -> None:
    """Empty every table of jobs, and forget the statistics."""
    conn.execute("truncate " + ", ".join(f"pgqueue.{table.strip()}" for table in TABLES.split(",")))
    conn.execute("update pgqueue.statistics_state set folded_to = '-infinity', summarized_day = '2000-01-01'")
    conn.execute("select pg_stat_reset()")


def fill(conn: psycopg.Connection[Any], jobs: int, task: str = "jobs.noop") -> None:
    """Enqueue this many jobs that are due, in transactions of 10,000."""
    for first in range(0, jobs, CHUNK):
        conn.execute(
            """select count(*) from pgqueue.enqueue_many((
                 select jsonb_agg(jsonb_build_object('task', %s::text, 'args', jsonb_build_object('i', i)))
                 from generate_series(%s::int, %s::int) i))""",
            [task, first, min(first + CHUNK, jobs) - 1],
        )


def settle_down(conn: psycopg.Connection[Any]) -> None:
    """What would otherwise happen in the middle of a measurement, by chance."""
    conn.execute("vacuum analyze pgqueue.queued_jobs")
    conn.execute("vacuum analyze pgqueue.job_args")
    conn.execute("checkpoint")


def wal_position(conn: psycopg.Connection[Any]) -> int:
    """How many bytes of WAL have been written, ever."""
    return int(_one(conn, "select pg_current_wal_insert_lsn() - '0/0'"))


def full_page_images(conn: psycopg.Connection[Any]) -> int:
    """How many full-page images have been written since the statistics were reset."""
    conn.execute("select pg_stat_clear_snapshot()")
    return int(_one(conn, "select wal_fpi from pg_stat_wal"))


def hot_share(conn: psycopg.Connection[Any]) -> float:
    """The share of updates of queued_jobs that were HOT since the tables were emptied."""
    conn.execute("select pg_stat_clear_snapshot()")
    return float(
        _one(
            conn,
            "select coalesce(sum(n_tup_hot_upd)::float8 / nullif(sum(n_tup_upd), 0), 0) from pg_stat_user_tables "
            "where relid = 'pgqueue.queued_jobs'::regclass",
        )
    )


@dataclass(frozen=True, slots=True)
class Drained:
    """What the history says of a drain."""

    jobs: int
    distinct: int
    attempts: int
    seconds: float
    left: int
    together: float  # jobs/s while all workers worked

    @property
    def rate(self) -> float:
        return self.jobs / self.seconds


def drained(conn: psycopg.Connection[Any], task: str = "jobs.noop") -> Drained:
    """Read the history: from the first claim to the last settling, by the database's clock."""
    row = conn.execute(
        """select count(*), count(distinct id), coalesce(sum(attempt), 0),
                  extract(epoch from max(finished_at) - min(started_at))::float8,
                  (select count(*) from pgqueue.queued_jobs) + (select count(*) from pgqueue.dead_jobs)
           from pgqueue.finished_jobs where succeeded and task = %s""",
        [task],
    ).fetchone()
    together = _one(
        conn,
        """with shift as (select max(a) as a, min(b) as b from (
                    select min(started_at) as a, max(finished_at) as b from pgqueue.finished_jobs
                    where task = %s group by worker_id) w)
           select coalesce((select count(*) from pgqueue.finished_jobs f
                            where f.finished_at > s.a and f.finished_at <= s.b)
                  / nullif(extract(epoch from s.b - s.a), 0), 0)::float8 from shift s""",
        task,
    )
    assert row is not None
    return Drained(row[0], row[1], int(row[2]), row[3] or float("inf"), row[4], together)


def expect_once(found: Drained, jobs: int) -> None:
    """Stop unless exactly these jobs succeeded, each once, at the first attempt."""
    if (found.jobs, found.distinct, found.attempts, found.left) != (jobs, jobs, jobs, 0):
        raise SystemExit(f"expected {jobs} jobs done once, found {found}")


def wait_until(conn: psycopg.Connection[Any], query: str, *, seconds: float, every: float = 0.1) -> bool:
    """Look until the query says true; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not _one(conn, query):
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def _one(conn: psycopg.Connection[Any], query: str, *params: object) -> Any:
    row = conn.execute(query, list(params) or None).fetchone()
    return row[0] if row else None
