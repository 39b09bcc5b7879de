"""`pgq autoscale`: a number for programs, the reason for people, from what the database has recorded."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command import pgq

if TYPE_CHECKING:
    import psycopg

pytestmark = pytest.mark.system


def record(conn: "psycopg.Connection[Any]", queue: str, a_minute: int, seconds: float) -> None:
    """So many jobs of so long ended in each of the last 6 minutes."""
    conn.execute(
        "insert into pgqueue.statistics_minutes "
        "select date_trunc('minute', now()) - make_interval(mins => m), %(queue)s, 't', %(n)s, 0, 0, 0, 0, 0, 7, 0, "
        "array_fill(0, array[16]), %(n)s * %(seconds)s, array_fill(0, array[16]) "
        "from generate_series(0, 6) m",
        {"queue": queue, "n": a_minute, "seconds": seconds},
    )


def test_a_bare_number_in_a_pipe_and_the_reason_on_stderr(dsn: str, conn: "psycopg.Connection[Any]") -> None:
    quiet = pgq("autoscale", PGQ_DSN=dsn)
    conn.execute("select pgqueue.enqueue('t') from generate_series(1, 600)")
    busy = pgq("autoscale", "--slots-per-worker", "10", PGQ_DSN=dsn)

    assert (quiet.status, quiet.out) == (0, "0\n")
    assert (busy.status, busy.out) == (0, "60\n")  # of unknown length: all at once
    assert "600 waiting jobs" in busy.err


def test_what_the_last_minutes_were_like_counts_and_only_of_these_queues(
    dsn: str, conn: "psycopg.Connection[Any]"
) -> None:
    record(conn, "mail", 1200, 2.0)  # 20 a second of 2 s: 40 slots
    record(conn, "video", 600, 60.0)
    conn.execute(
        "select pgqueue.enqueue('t', queue => queue) from generate_series(1, 300), unnest('{mail,idle}'::text[]) queue"
    )
    conn.execute("select pgqueue.pause('idle')")

    told = pgq("autoscale", "-q", "mail,idle", "--slots-per-worker", "10", "--json", PGQ_DSN=dsn).json

    assert told["arrivals_per_second"] == 20
    assert told["mean_run_seconds"] == 2
    assert told["ready"] == 300  # paused queues want nobody
    assert told["workers"] == 7  # 40 / 10 / 0.85 for what arrives, and 300 * 2 s within 30 s


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--min", "5", "--max", "4"], "at least 5, got 4"),
        (["--slots-per-worker", "0"], "at least 1, got 0"),
        (["--target-lag", "0"], "more than 0 seconds, got 0"),
        (["--shrink-after", "10s"], "from 1m to 60m, got 10 s"),
        (["--watch", "0"], "at least 1 s, got 0"),
    ],
)
def test_options_that_make_no_sense_are_usage(dsn: str, words: list[str], said: str) -> None:
    refused = pgq("autoscale", *words, PGQ_DSN=dsn)

    assert refused.status == 2
    assert said in refused.err
    assert refused.err.count("\n") == 1
