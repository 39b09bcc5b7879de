# ruff: noqa: E501 - SQL and names of tests are told on one line
"""The plans of the hot statements: index scans whatever the statistics say, and claims that are HOT updates.

With statistics of an empty table generic plans went to sequential scans and stayed there; the functions pin their plans.
Held in five states of the tables by the counters of scans, which no wording of EXPLAIN can hide.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Connect
from tests.sql.engine import Conn, Worker, cancel, enqueue, enqueue_many, guard, retry, scalar

FULL = 20_000
HOT_TABLES = ("queued_jobs", "job_keys", "job_progress", "cancel_requests", "dead_jobs")


def fill(conn: Conn, n: int = FULL, args: str = "repeat('x', 60)") -> None:
    conn.execute(
        f"""select count(*) from pgqueue.enqueue_many((
              select jsonb_agg(jsonb_build_object('task', 't', 'priority', mod(n, 3), 'args', jsonb_build_object('n', n, 'text', {args}))
                               || case when mod(n, 10) = 0 then jsonb_build_object('key', 'k' || n) else '{{}}' end)
              from generate_series(1, %s) n))""",
        (n,),
    )


def empty_never_analysed(conn: Conn) -> None:
    fill(conn, 20)


def empty_analysed_after_having_been_full(conn: Conn) -> None:
    fill(conn)
    conn.execute("delete from pgqueue.queued_jobs; delete from pgqueue.job_keys; delete from pgqueue.job_args")
    conn.execute("vacuum analyze")
    fill(conn, 20)


def full_never_analysed(conn: Conn) -> None:
    fill(conn)


def full_analysed(conn: Conn) -> None:
    fill(conn)
    conn.execute("analyze")


def full_but_analysed_when_empty(conn: Conn) -> None:
    conn.execute("vacuum analyze")
    fill(conn)


def mostly_dead_entries(conn: Conn) -> None:
    fill(conn)
    conn.execute("analyze")
    conn.execute(
        "delete from pgqueue.queued_jobs where id % 100 <> 0; delete from pgqueue.job_keys where job_id % 100 <> 0"
    )


STATES = [
    empty_never_analysed, empty_analysed_after_having_been_full, full_never_analysed, full_analysed, full_but_analysed_when_empty,
    mostly_dead_entries,
]  # fmt: skip


def sequential_scans(conn: Conn) -> dict[str, int]:
    conn.execute("select pg_stat_force_next_flush()")
    rows = conn.execute(
        "select relname, seq_scan from pg_stat_user_tables where schemaname = 'pgqueue' and (relname = any(%s) or relname ~ '_[0-9]{8}$')",
        (list(HOT_TABLES),),
    ).fetchall()
    return dict(rows)


def work(conn: Conn) -> None:
    """Everything a busy worker and its producers send, a few times, so that generic plans are in use."""
    worker = Worker(conn)
    for turn in range(8):
        step = worker.step(50, marks=[(p, "-infinity", 0) for p in range(3)] if turn % 2 else None)
        assert step.leases or turn
        leases = step.leases
        worker.beat()
        for lease in leases[:2]:
            scalar(
                conn, "select pgqueue.report_progress(jsonb_build_array(jsonb_build_object('id', %s::bigint, 'token', %s::bigint)))",
                lease.id, lease.token,
            )  # fmt: skip
        if leases:
            cancel(conn, leases[0].id)
            guard(conn, leases[-1])
        scalar(conn, "select count(*) from pgqueue.lease_states(array[1, 2]::bigint[], array[1, 2]::bigint[])")
        outcomes = ("succeeded", "failed", "dead", "snoozed", "released", "cancelled", "expired")
        others = [lease.outcome(outcome, delay=60) for outcome, lease in zip(outcomes, leases, strict=False)]
        worker.step(0, done=leases[len(others) :], outcomes=others or None)
        worker.claim_alone()
        for policy in ("skip", "skip", "replace"):
            enqueue(conn, key=f"new{turn}", key_policy=policy)
        enqueue_many(conn, [{"task": "t", "key": f"new{turn}", "key_policy": "replace"}, {"task": "t"}])
        retry(conn, enqueue(conn, delay="1 hour"))
        enqueue(conn, delay="1 hour")


@pytest.mark.parametrize("make", STATES, ids=[make.__name__ for make in STATES])
def test_no_hot_statement_scans_a_table_in_any_state(connect: Connect, make: Callable[[Conn], None]) -> None:
    conn = connect()
    conn.execute("set synchronous_commit = off")
    make(conn)
    worker_conn = connect()
    before = sequential_scans(conn)

    work(worker_conn)
    worker_conn.execute("select pg_stat_force_next_flush()")
    worker_conn.close()
    after = sequential_scans(conn)

    grown = {name: scans - before.get(name, 0) for name, scans in after.items() if scans > before.get(name, 0)}
    assert grown == {}


def buffers(plan: list[Any]) -> int:
    return int(plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"])


@pytest.mark.parametrize("make", STATES, ids=[make.__name__ for make in STATES])
def test_a_claim_of_ten_from_its_marks_touches_few_pages_in_any_state(
    connect: Connect, make: Callable[[Conn], None]
) -> None:
    """A scan of the full table would touch thousands. Ten claims with their arguments take about 150, entries that died since aside."""
    conn = connect()
    conn.execute("set synchronous_commit = off")
    make(conn)
    conn.execute("vacuum pgqueue.queued_jobs")
    worker = Worker(conn)
    for _ in range(6):
        worker.claim(2)

    plan = scalar(
        conn,
        "explain (analyze, buffers, format json) select * from pgqueue.step(%s, 0, 1, 'default', '{t}', 10, '{0,1,2}',"
        " '{-infinity,-infinity,-infinity}', '{0,0,0}')",
        worker.id,
    )  # fmt: skip

    assert buffers(plan) < 1200


def hot_share(conn: Conn) -> tuple[int, int]:
    conn.execute("select pg_stat_force_next_flush()")
    row = conn.execute(
        "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where schemaname = 'pgqueue' and relname = 'queued_jobs'"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize("keys", [False, True], ids=["plain", "with key, timeout and limits"])
def test_every_claim_is_a_hot_update_at_100_bytes_of_args(conn: Conn, keys: bool) -> None:
    """The fillfactor leaves room for one more version of each row of a page that bulk enqueue filled."""
    conn.execute("set synchronous_commit = off; alter table pgqueue.queued_jobs set (autovacuum_enabled = off)")
    extra = (
        ", 'key', 'customer-' || n, 'timeout', '30 s', 'max_attempts', 5, 'expires_at', '2999-01-01T00:00:00Z'"
        if keys
        else ""
    )
    conn.execute(
        f"""select count(*) from pgqueue.enqueue_many((select jsonb_agg(jsonb_build_object('task', 'app.tasks.send_welcome', 'queue', 'default',
              'args', jsonb_build_object('text', repeat('x', 85)){extra})) from generate_series(1, 5000) n))"""
    )
    worker = Worker(conn, tasks=["app.tasks.send_welcome"])

    claimed = 0
    while leases := worker.claim(500):
        claimed += len(leases)
    updates, hot = hot_share(conn)

    assert (claimed, updates, hot) == (5000, 5000, 5000)


def test_a_claim_is_hot_because_no_index_mentions_what_it_changes(conn: Conn) -> None:
    indexed = scalar(
        conn,
        """select array_agg(distinct a.attname::text order by a.attname::text)
           from pg_index i join pg_attribute a on a.attrelid = i.indrelid and (a.attnum = any(i.indkey)
             or pg_get_expr(i.indpred, i.indrelid) ~ ('\\m' || a.attname || '\\M'))
           where i.indrelid = 'pgqueue.queued_jobs'::regclass and a.attnum > 0""",
    )

    assert indexed == ["id", "priority", "queue", "run_at", "suspect"]
