"""What operations take at the limits of docs/limits.md: `python -m benchmarks.at_limits [--scale 1.0] [part ...]`.

Parts: backlog (5,000,000 due jobs), queues (10,000), groups (100,000), workers (1,000 at once), flow (100,000 nodes).
Each begins with an empty database on a throw-away server and prints a line a figure. `--scale 0.01` takes a hundredth.
"""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from pgqueue.cli.session import statement
from pgqueue.embedded import Server
from pgqueue.migrate import upgrade
from pgqueue.schema import DEFAULT

Conn = psycopg.Connection[tuple[object, ...]]
CHUNK = 10_000
SETTINGS = {"max_connections": "300", "shared_buffers": "512MB", "max_wal_size": "8GB"}


@contextmanager
def timed(what: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    print(f"  {what}: {time.perf_counter() - begun:.3f} s", flush=True)


def fill(conn: Conn, count: int, job: Callable[[int], dict[str, object]]) -> None:
    """Enqueue so many jobs in chunks."""
    for first in range(0, count, CHUNK):
        jobs = json.dumps([job(number) for number in range(first, min(first + CHUNK, count))])
        conn.execute("select count(*) from pgqueue.enqueue_many(%s::jsonb)", [jobs])


def ask(conn: Conn, job_id: int) -> None:
    """Time what people and autoscalers look at."""
    for name in ("stats", "queues", "lag"):
        with timed(f"pgq {name} (its statement)"):
            conn.execute(statement(name, DEFAULT), {}).fetchall()
    with timed("pgqueue.backlog()"):
        conn.execute("select pgqueue.backlog()").fetchall()
    with timed("pgqueue.backlog(queue)"):
        conn.execute("select pgqueue.backlog('default')").fetchall()
    with timed("pgqueue.why(id)"):
        conn.execute("select * from pgqueue.why(%s)", [job_id]).fetchall()
    with timed("pgq jobs ls (its page of unfinished jobs)"):
        params = dict.fromkeys(("before", "queue", "task", "key", "running", "due", "blocked")) | {"limit": 50}
        conn.execute(statement("page_queued", DEFAULT), params).fetchall()


def claims(conn: Conn, queue: str, rounds: int = 200, size: int = 1) -> None:
    """Time claims of a worker that begins, each from the front of the queue, and print the median."""
    conn.execute("select pgqueue.register_worker(7, 'here', 1, array[%s], '{t}', 10, interval '10 minutes')", [queue])
    took = []
    for number in range(rounds):
        begun = time.perf_counter()
        found = conn.execute(
            "select id from pgqueue.claim(7, %s, %s, '{t}', %s, '{0}', '{-infinity}', '{0}', clock_timestamp())",
            [number + 1, queue, size],
        ).fetchall()
        took.append(time.perf_counter() - begun)
        if not found:
            break
    median, most = statistics.median(took) * 1000, max(took) * 1000
    print(f"  claim of {size} ({len(took)} times): p50 {median:.2f} ms, max {most:.1f} ms")


def backlog(conn: Conn, scale: float) -> None:
    count = int(5_000_000 * scale)
    with timed(f"enqueue_many of {count:,} jobs in chunks of {CHUNK:,}"):
        fill(conn, count, lambda number: {"task": "t", "args": {"n": number}})
    (size,) = conn.execute("select pg_size_pretty(pg_database_size(current_database()))").fetchone() or ("?",)
    print(f"  database: {size}")
    with timed("analyze"):
        conn.execute("analyze pgqueue.queued_jobs")
    ask(conn, count // 2)
    claims(conn, "default")
    with timed("enqueue of one"):
        conn.execute("select pgqueue.enqueue('t')")


def queues(conn: Conn, scale: float) -> None:
    count = int(10_000 * scale)
    with timed(f"enqueue_many of {count:,} jobs, each into a queue of its own"):
        fill(conn, count, lambda number: {"task": "t", "queue": f"q{number}"})
    conn.execute("analyze pgqueue.queued_jobs")
    ask(conn, count // 2)
    claims(conn, f"q{count // 2}", rounds=1)


def groups(conn: Conn, scale: float) -> None:
    count = int(100_000 * scale)
    with timed(f"enqueue_many of {2 * count:,} jobs of {count:,} groups"):
        fill(conn, 2 * count, lambda number: {"task": "t", "group_key": f"g{number % count}"})
    conn.execute("analyze pgqueue.queued_jobs")
    ask(conn, count // 2)
    claims(conn, "default", rounds=100, size=10)


def workers(conn: Conn, scale: float) -> None:
    count, sessions = int(1_000 * scale), 50

    def wave(query: str) -> float:
        start, failed = threading.Barrier(sessions + 1), []

        def run(place: int) -> None:
            with psycopg.connect(conn.info.dsn, autocommit=True) as own:
                start.wait()
                for number in range(place, count, sessions):
                    try:
                        own.execute(query.encode(), [number + 1000])
                    except psycopg.Error as error:
                        failed.append(error.sqlstate)

        threads = [threading.Thread(target=run, args=(place,)) for place in range(sessions)]
        for thread in threads:
            thread.start()
        start.wait()
        begun = time.perf_counter()
        for thread in threads:
            thread.join()
        assert failed == [], failed
        return time.perf_counter() - begun

    register = "select pgqueue.register_worker(%s, 'h', 1, '{default}', '{t}', 10, interval '15 s', '0.2.0')"
    print(f"  register {count:,} workers over {sessions} sessions: {wave(register):.3f} s")
    for _ in range(3):
        print(f"  a beat of each: {wave('select pgqueue.beat(%s, 0)'):.3f} s")
    with timed("rescue with nobody lost"):
        conn.execute("select * from pgqueue.rescue()").fetchall()
    with timed("pgq workers (its statement)"):
        conn.execute(statement("workers", DEFAULT), {}).fetchall()
    conn.execute("update pgqueue.worker_processes set heartbeat_at = heartbeat_at - interval '1 hour'")
    with timed(f"rescue of all {count:,} at once"):
        while conn.execute("select * from pgqueue.rescue()").fetchall():
            pass


def flow(conn: Conn, scale: float) -> None:
    count = int(100_000 * scale)
    jobs = [{"task": "t"} for _ in range(count)] + [{"task": "t", "after": list(range(count))}]
    with timed(f"enqueue_flow of {count:,} jobs and one that waits for all"):
        row = conn.execute(
            "select flow_id from pgqueue.enqueue_flow(%s)", [json.dumps({"kind": "dag", "jobs": jobs})]
        ).fetchone()
    assert row is not None
    with timed("pgq flows ls (its statement)"):
        conn.execute("select * from pgqueue.flows order by id desc limit 50").fetchall()
    with timed("cancel_flow"):
        conn.execute("select pgqueue.cancel_flow(%s)", [row[0]]).fetchall()


PARTS = {"backlog": backlog, "queues": queues, "groups": groups, "workers": workers, "flow": flow}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    given = parser.parse_args()
    for name in given.parts or PARTS:
        print(name, flush=True)
        with Server(settings=SETTINGS) as server:
            upgrade(server.dsn())
            with psycopg.connect(server.dsn(), autocommit=True) as conn:
                PARTS[name](conn, given.scale)


if __name__ == "__main__":
    main()
