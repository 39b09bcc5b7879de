# ruff: noqa: E501 - SQL is told on one line
"""The statistics are the history counted up: each attempt once, whoever folds, whoever dies, wherever the attempt went meanwhile."""

import random
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from pgqueue.keeper import duties
from tests.sql.engine import (
    Conn,
    Lease,
    Worker,
    cancel,
    column,
    complete,
    enqueue,
    enqueue_many,
    redrive,
    retry,
    scalar,
)

OUTCOMES = ("succeeded", "failed", "dead", "cancelled", "lost", "snoozed", "released")
COUNTED = ", ".join(f"count(*) filter (where a.outcome = '{name}')" for name in OUTCOMES)
# Every attempt that the views tell; run times of handlers that ended by themselves.
BY_HAND = f"""
  select date_trunc('minute', a.finished_at, 'UTC'), j.queue, j.task, {COUNTED},
         coalesce(round(sum(extract(epoch from a.finished_at - a.started_at)) filter (where a.outcome not in ('lost', 'released')), 3), 0),
         count(*) filter (where a.outcome not in ('lost', 'released'))
  from pgqueue.attempts a join pgqueue.jobs j on j.id = a.job_id group by 1, 2, 3 order by 1, 2, 3"""
FOLDED = f"""
  select minute, queue, task, {", ".join(OUTCOMES)}, round(run_seconds::numeric, 3), (select sum(x)::bigint from unnest(run_buckets) x)
  from pgqueue.statistics order by 1, 2, 3"""


def fold(conn: Conn, lag: str = "0") -> Any:
    """Fold all that has ended `lag` ago; how many attempts, None when another session is at it."""
    until = scalar(conn, "select clock_timestamp() - %s::interval", lag)
    folded = 0
    while (attempts := scalar(conn, "select pgqueue.fold_statistics(%s::interval)", lag)) is not None:
        folded += attempts
        if scalar(conn, "select folded_to >= %s from pgqueue.statistics_state", until):
            return folded
    return None


def rows(conn: Conn, query: str) -> list[tuple[Any, ...]]:
    return conn.execute(query).fetchall()


def some_day(conn: Conn, seed: int, fold_after: Callable[[], object]) -> None:
    """Random jobs in two queues of two tasks, with every kind of end, retries, redrives, cancels and lost workers."""
    chance = random.Random(seed)
    queues = ("default", "mail")
    worker = Worker(conn, queues=queues, tasks=("t", "u"))
    ended: list[int] = []
    for _ in range(12):
        enqueue_many(conn, [{"task": chance.choice("tu"), "queue": chance.choice(queues)} for _ in range(8)])
        for queue in queues:
            leases = worker.claim(chance.randint(1, 9), queue=queue)
            for lease in leases:
                if chance.random() < 0.1:
                    cancel(conn, lease.id)
            worker.step(0, outcomes=[some_outcome(chance, lease) for lease in leases])
            ended += [lease.id for lease in leases]
        if chance.random() < 0.3:
            worker.claim(3, queue="mail")
            worker.lose()
            worker = Worker(conn, queues=queues, tasks=("t", "u"))
        if chance.random() < 0.3:
            redrive(conn, limit=chance.randint(1, 5))
        for job_id in chance.sample(ended, min(len(ended), 3)):
            if scalar(conn, "select state from pgqueue.jobs where id = %s", job_id) == "cancelled":
                retry(conn, job_id)
        fold_after()


def some_outcome(chance: random.Random, lease: Lease) -> dict[str, Any]:
    outcome = chance.choice(("succeeded", "succeeded", "failed", "failed", "dead", "cancelled", "snoozed", "released"))
    return lease.outcome(outcome, delay=0, error={"type": "E", "message": "m"})


@pytest.mark.parametrize("seed", range(3))
def test_statistics_are_the_attempts_counted_up(conn: Conn, seed: int) -> None:
    chance = random.Random(seed)
    some_day(conn, seed, lambda: fold(conn) if chance.random() < 0.5 else None)
    fold(conn)

    assert rows(conn, FOLDED) == rows(conn, BY_HAND)
    assert fold(conn) == 0


def test_waits_are_counted_from_when_a_job_was_due_until_its_last_claim(conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    conn.execute("update pgqueue.queued_jobs set run_at = run_at - interval '7 s'")
    worker.done(worker.claim_one())
    fold(conn)

    seconds, buckets = conn.execute("select wait_seconds, wait_buckets from pgqueue.statistics").fetchone() or (0, [])
    assert 7 <= seconds < 9
    assert [place for place, count in enumerate(buckets) if count] == [bisect_left(bounds(conn), 7)]


@pytest.mark.parametrize("seconds", [-1, 0, 0.004, 0.005, 0.0051, 1, 1.000001, 1800, 1801, 1e9])
def test_a_bound_belongs_to_its_own_bucket(conn: Conn, seconds: float) -> None:
    assert scalar(conn, "select pgqueue.bucket_of(%s::float8)", seconds) == bisect_left(bounds(conn), seconds) + 1


def test_totals_are_all_minutes_together(conn: Conn) -> None:
    some_day(conn, 7, lambda: fold(conn))
    conn.execute("update pgqueue.finished_jobs set finished_at = finished_at - interval '1 min'")
    fold(conn)

    minutes = f"select queue, task, {', '.join(f'sum({name})::bigint' for name in OUTCOMES)} from pgqueue.statistics group by 1, 2 order by 1, 2"
    totals = f"select queue, task, {', '.join(OUTCOMES)} from pgqueue.statistics_totals order by 1, 2"
    assert rows(conn, totals) == rows(conn, minutes)
    of_all = "select minute, sum(succeeded), sum(failed + dead + lost) from pgqueue.statistics group by 1 having sum(succeeded + failed + dead + lost) > 0 order by 1"
    overall = "select minute, succeeded, failed from pgqueue.overall_history where succeeded + failed > 0 order by 1"
    assert rows(conn, overall) == rows(conn, of_all)
    assert scalar(conn, "select sum(failed) from pgqueue.overall_history") > 0


def test_what_is_committed_late_counts_while_the_fold_has_not_passed_its_time(
    conn: Conn, connect: Callable[..., Conn], worker: Worker
) -> None:
    within, late = enqueue(conn), enqueue(conn)
    leases = {lease.id: lease for lease in worker.claim()}
    with connect(autocommit=False) as handler:
        complete(handler, leases[within])
        assert fold(conn, "1 minute") == 0
        handler.commit()
        assert fold(conn) == 1

        complete(handler, leases[late])
        assert fold(conn) == 0
        handler.commit()
        assert fold(conn) == 0, "the fold has passed: this one is missed, as docs/statistics.md says"


def test_of_two_folds_at_once_one_goes_away(conn: Conn, connect: Callable[..., Conn], worker: Worker) -> None:
    enqueue_many(conn, [{"task": "t"}] * 3)
    worker.done(*worker.claim())

    with connect(autocommit=False) as other:
        assert fold(other) == 3
        assert fold(conn) is None
        other.commit()
    assert fold(conn) == 0
    assert column(conn, "select succeeded from pgqueue.statistics_totals") == [3]


def test_a_fold_whose_session_is_killed_leaves_all_to_the_next(
    conn: Conn, connect: Callable[..., Conn], worker: Worker
) -> None:
    enqueue_many(conn, [{"task": "t"}] * 3)
    worker.done(*worker.claim())

    victim = connect(autocommit=False)
    assert fold(victim) == 3
    conn.execute("select pg_terminate_backend(%s, 5000)", [victim.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        victim.commit()

    assert fold(conn) == 3
    assert column(conn, "select succeeded from pgqueue.statistics_totals") == [3]


def test_a_fold_catches_up_with_hours_nobody_folded(conn: Conn, worker: Worker) -> None:
    conn.execute("select pgqueue.make_partitions((clock_timestamp() at time zone 'UTC')::date - 2, 3)")
    fold(conn, "2 days")
    enqueue_many(conn, [{"task": "t"}] * 3)
    for hours, lease in zip((1, 20, 30), worker.claim(), strict=True):
        worker.done(lease)
        conn.execute(
            "update pgqueue.finished_jobs set finished_at = finished_at - %s * interval '1 hour' where id = %s",
            [hours, lease.id],
        )

    assert fold(conn) == 2, "a fold goes back a day"


def test_after_a_clock_that_ran_ahead_was_set_back_the_statistics_go_on(conn: Conn, worker: Worker) -> None:
    enqueue_many(conn, [{"task": "t"}] * 3)
    worker.done(*worker.claim(1))
    assert fold(conn) == 1
    for table in ("statistics_minutes", "depth_minutes", "overall_minutes"):
        conn.execute(f"update pgqueue.{table} set minute = minute + interval '1 year'")
    conn.execute(
        "update pgqueue.statistics_state"
        " set folded_to = folded_to + interval '1 year', sampled_minute = sampled_minute + interval '1 year'"
    )
    assert scalar(conn, "select pgqueue.fold_statistics('0')") == 0  # takes the marks back to now

    worker.done(*worker.claim(1))
    conn.execute("update pgqueue.statistics_state set sampled_minute = sampled_minute - interval '1 minute'")  # later

    assert fold(conn) == 1
    assert rows(conn, "select sum(succeeded), max(minute) <= now() from pgqueue.statistics") == [(1, True)]
    assert rows(conn, "select sum(succeeded) from pgqueue.statistics_totals") == [(2,)]
    assert rows(conn, "select ready, minute <= now() from pgqueue.depth_history") == [(1, True)]
    assert rows(conn, "select sum(succeeded), max(minute) <= now() from pgqueue.overall_history") == [(1, True)]


def test_the_keeper_folds_and_takes_samples(conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    again = duties.fold_statistics(conn, "pgqueue")

    assert 1 < again < 10
    assert rows(conn, "select queue, ready, estimated from pgqueue.depth_history") == [("default", 1, False)]


def test_a_minute_of_all_queues_has_what_ended_and_the_sample(conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    worker.done(*worker.claim())
    enqueue(conn)

    fold(conn)

    assert rows(conn, "select sum(succeeded), count(lag_seconds) from pgqueue.overall_history") == [(1, 1)]


def test_a_sample_a_minute_of_queues_that_hold_jobs_or_just_did(conn: Conn, worker: Worker) -> None:
    job = enqueue(conn)

    def sample(minute: int) -> None:
        conn.execute("select pgqueue.sample_depths(date_trunc('minute', now()) + %s * interval '1 minute')", [minute])

    sample(0)
    sample(0)
    cancel(conn, job)
    sample(1)
    sample(2)

    assert column(conn, "select ready from pgqueue.depth_history order by minute") == [1, 0]
    waited = rows(
        conn, "select minute, max(coalesce(oldest_due_seconds, 0)) from pgqueue.depth_history group by 1 order by 1"
    )
    assert rows(conn, "select minute, lag_seconds from pgqueue.overall_history order by 1") == waited
    assert waited[0][1] > 0


def test_statistics_and_samples_are_kept_for_7_days(conn: Conn) -> None:
    some_day(conn, 1, lambda: fold(conn))
    for table in ("statistics_minutes", "depth_minutes", "overall_minutes"):
        conn.execute(f"update pgqueue.{table} set minute = minute - interval '7 days'")
    totals = rows(conn, "select * from pgqueue.statistics_totals")
    conn.execute("update pgqueue.statistics_state set sampled_minute = '-infinity'")
    enqueue(conn, queue="kept")

    conn.execute("select pgqueue.sample_depths(date_trunc('minute', now()) + interval '1 minute')")

    assert scalar(conn, "select count(*) from pgqueue.statistics") == 0
    assert scalar(conn, "select count(*) from pgqueue.overall_history") == 1
    assert column(conn, "select distinct queue from pgqueue.depth_history where queue = 'kept'") == ["kept"]
    assert scalar(conn, "select max(minute) - min(minute) from pgqueue.depth_history").total_seconds() == 0
    assert rows(conn, "select * from pgqueue.statistics_totals") == totals


def test_counters_of_a_queue_that_is_gone_are_dropped_as_a_whole_after_30_days(conn: Conn) -> None:
    for queue, task in (("gone", "a"), ("gone", "b"), ("partly", "a"), ("partly", "b"), ("served", "a")):
        worker = Worker(conn, queues=[queue], tasks=[task])
        enqueue(conn, task, queue=queue)
        worker.done(*worker.claim(queue=queue))
    conn.execute("update pgqueue.worker_processes set lost_at = now() where queues <> '{served}'")
    fold(conn)
    conn.execute(
        "update pgqueue.statistics_sums set counted_at = now() - interval '31 days' where not (queue = 'partly' and task = 'b')"
    )

    for hours in (0, 1):
        conn.execute("select pgqueue.sample_depths(date_trunc('hour', now()) + %s * interval '1 hour')", [hours])

    kept = rows(conn, "select queue, task from pgqueue.statistics_totals order by 1, 2")
    assert kept == [("partly", "a"), ("partly", "b"), ("served", "a")]


def test_counters_that_grow_are_not_dropped(conn: Conn, worker: Worker) -> None:
    for _ in range(2):
        enqueue(conn)
        worker.done(*worker.claim())
        fold(conn)
        conn.execute("update pgqueue.statistics_sums set counted_at = counted_at - interval '31 days'")

    enqueue(conn)
    worker.done(*worker.claim())
    fold(conn)

    assert scalar(conn, "select counted_at > now() - interval '1 hour' from pgqueue.statistics_sums")


def test_summaries_of_the_history_let_a_fold_read_the_newest_rows_only(conn: Conn, worker: Worker) -> None:
    conn.execute("""insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, args_day, attempt, priority, failures, losses, succeeded, suspect, queue, task)
                    select i, now() - interval '1 s', now(), now(), now()::date, 1, 0, 0, 0, true, false, 'default', 't' from generate_series(1, 20000) i""")
    made = scalar(conn, "select pgqueue.summarize_history((now() at time zone 'UTC')::date)")
    again = scalar(conn, "select pgqueue.summarize_history((now() at time zone 'UTC')::date)")

    assert made > 2
    assert again == 0


def bounds(conn: Conn) -> list[float]:
    found: list[float] = scalar(conn, "select pgqueue.bucket_bounds()")
    return found
