"""Any number of workers tick: on time, once, missed ticks by their policy, and a bad schedule stops no other."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from pgqueue import App
from pgqueue.keeper import duties
from pgqueue.keeper.ticking import BATCH, LOOK_SECONDS, SPREAD_SECONDS, fast_forward, tick_due
from tests.conftest import Connect
from tests.sql.engine import Conn, column, scalar
from tests.sql.test_schedules import clock, row, schedule, ticks_of
from tests.support.running import Running
from tests.support.waiting import wait_until

SECOND = timedelta(seconds=1)


def settle(conn: Conn) -> float:
    """Tick until nothing is due; the wait that is left."""
    while (wait := tick_due(conn, "pgqueue")) <= 0.1:
        pass
    return wait


def set_back(conn: Conn, by: str, name: str = "s") -> None:
    """Let it be that nobody has ticked for so long."""
    conn.execute("update pgqueue.job_schedules set next_at = next_at - %s::interval where name = %s", [by, name])


def jobs(conn: Conn) -> int:
    return int(scalar(conn, "select count(*) from pgqueue.jobs"))


def test_the_first_tick_is_the_first_time_after_it_was_made(conn: Conn) -> None:
    schedule(conn, every="1 hour")
    wait = settle(conn)

    assert wait <= LOOK_SECONDS + SPREAD_SECONDS
    next_at = row(conn)["next_at"].astimezone(UTC)
    assert (next_at.minute, next_at.second, next_at.microsecond) == (0, 0, 0)
    assert timedelta(0) < next_at - row(conn)["since"] <= timedelta(hours=1)
    assert jobs(conn) == 0


def test_a_time_that_passed_before_anybody_looked_is_not_lost(conn: Conn) -> None:
    schedule(conn, every="1 hour")
    conn.execute("update pgqueue.job_schedules set since = date_trunc('hour', now()) - interval '1 minute'")

    settle(conn)

    assert column(conn, "select tick_at = date_trunc('hour', now()) from pgqueue.schedule_ticks") == [True]


@pytest.mark.parametrize(
    ("missed", "limit", "expected"),
    [("skip", 100, 0), ("once", 100, 1), ("all", 100, 50), ("all", 7, 7), ("all", 30, 30)],
)
def test_missed_ticks_by_policy(conn: Conn, missed: str, limit: int, expected: int) -> None:
    schedule(conn, every="1 hour", missed=missed, missed_limit=limit)
    settle(conn)
    next_at = row(conn)["next_at"]
    set_back(conn, "50 hours")
    latest = next_at - timedelta(hours=1)
    if clock(conn) - latest < timedelta(minutes=1, seconds=10):
        expected = max(expected, 1)  # the test runs within the grace

    settle(conn)

    assert row(conn)["next_at"] == next_at
    ticked = [at for at, _ in ticks_of(conn)]
    assert ticked == [latest - timedelta(hours=n) for n in reversed(range(expected))]
    assert jobs(conn) == expected


def test_a_dense_catch_up_is_made_in_batches_that_let_the_heartbeat_pass(conn: Conn) -> None:
    count = 2 * BATCH + 50
    schedule(conn, every="1 minute", missed="all", missed_limit=count)
    settle(conn)
    set_back(conn, f"{count} minutes")

    tick_due(conn, "pgqueue")
    assert 0 < jobs(conn) <= count
    settle(conn)

    assert jobs(conn) == len(ticks_of(conn)) == count


def test_overlap_skip_makes_one_of_many_missed_ticks(conn: Conn) -> None:
    schedule(conn, every="1 hour", missed="all", overlap="skip")
    settle(conn)
    set_back(conn, "10 hours")

    settle(conn)

    assert (jobs(conn), len(ticks_of(conn))) == (1, 10)


def test_paused_schedules_are_left_alone_and_their_ticks_are_not_made_up_for(conn: Conn) -> None:
    schedule(conn, every="1 s", missed="all")
    settle(conn)
    scalar(conn, "select pgqueue.pause_schedule('s')")
    before = jobs(conn)
    time.sleep(1.2)
    assert tick_due(conn, "pgqueue") >= LOOK_SECONDS
    scalar(conn, "select pgqueue.resume_schedule('s')")
    settle(conn)

    assert jobs(conn) - before <= 1


@pytest.mark.parametrize(("cron", "timezone"), [("never at all", "UTC"), ("0 0 31 2 *", "UTC"), ("0 2 * * *", "foo+3")])
def test_i15_a_schedule_that_cannot_be_read_says_so_and_stops_no_other(conn: Conn, cron: str, timezone: str) -> None:
    schedule(conn, "a bad one", cron=cron, timezone=timezone)
    schedule(conn, "b", every="1 hour")

    settle(conn)

    bad = row(conn, "a bad one", "schedules")
    assert cron in bad["error"] or timezone in bad["error"]
    assert (bad["next_at"], row(conn, "b")["next_at"] is not None) == (None, True)
    assert tick_due(conn, "pgqueue") > 0.2  # not looked at again and again
    schedule(conn, "a bad one", cron="0 2 * * *")
    settle(conn)
    assert row(conn, "a bad one")["next_at"] is not None


def test_a_tick_whose_queue_is_full_comes_when_there_is_room(conn: Conn) -> None:
    schedule(conn, "s", every="1 hour")
    settle(conn)
    scalar(conn, "select pgqueue.enqueue('filler')")
    scalar(conn, "select pgqueue.set_queue('default', max_depth => 1)")
    set_back(conn, "1 hour", "s")

    settle(conn)

    assert ("is full" in row(conn, "s")["error"], jobs(conn)) == (True, 1)
    conn.execute("select pgqueue.cancel(id) from pgqueue.jobs where task = 'filler'")
    conn.execute("update pgqueue.job_schedules set retry_at = now()")
    settle(conn)
    assert (row(conn, "s")["error"], scalar(conn, "select count(*) from pgqueue.jobs where state = 'ready'")) == (
        None,
        1,
    )


def test_i15_a_job_that_the_database_refuses_stops_no_other_and_is_not_lost(conn: Conn) -> None:
    for name in ("a", "b"):
        schedule(conn, name, every="1 hour")
    settle(conn)
    conn.execute("update pgqueue.job_schedules set task = '' where name = 'a'")
    for name in ("a", "b"):
        set_back(conn, "1 hour", name)

    settle(conn)

    assert ("task" in row(conn, "a")["error"], jobs(conn)) == (True, 1)
    conn.execute("update pgqueue.job_schedules set task = 't', retry_at = now() where name = 'a'")
    settle(conn)
    assert (row(conn, "a")["error"], jobs(conn)) == (None, 2)


def test_i10_eight_that_tick_at_once_make_one_job_a_tick(conn: Conn, connect: Connect) -> None:
    for n in range(5):
        schedule(conn, f"s{n}", every="1 s", missed="all", missed_limit=1000)
    settle(conn)
    for n in range(5):
        set_back(conn, "400 s", f"s{n}")
    conns = [connect() for _ in range(8)]
    until = time.monotonic() + 4

    def tick_on(own: Conn) -> None:
        while time.monotonic() < until:
            time.sleep(min(tick_due(own, "pgqueue"), 0.05))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(tick_on, conns))

    query = "select 1 from pgqueue.jobs group by meta ->> 'schedule', meta ->> 'tick' having count(*) > 1"
    assert column(conn, query) == []
    for n in range(5):
        ticked = [at for at, _ in ticks_of(conn, f"s{n}")]
        assert ticked == [ticked[0] + k * SECOND for k in range(len(ticked))]  # none left out
        assert len(ticked) >= 403
    assert jobs(conn) == scalar(conn, "select count(*) from pgqueue.schedule_ticks")


def test_one_plain_look_is_all_that_it_costs_when_there_is_none(conn: Conn) -> None:
    assert LOOK_SECONDS <= tick_due(conn, "pgqueue") <= LOOK_SECONDS + SPREAD_SECONDS


def test_fast_forward_ticks_as_if_workers_had_been_there_all_the_time(conn: Conn) -> None:
    schedule(conn, cron="0 2 * * *", timezone="Europe/Berlin", missed="skip", jitter="1 hour")
    to = clock(conn).replace(hour=12, minute=0) + timedelta(days=7)

    made = fast_forward(conn, "pgqueue", to)

    assert made in (7, 8)
    assert {at.astimezone(UTC).hour for at, _ in ticks_of(conn)} <= {0, 1}
    assert set(column(conn, "select state from pgqueue.jobs")) == {"ready"}
    assert row(conn)["next_at"] > to
    assert fast_forward(conn, "pgqueue", to) == 0


def test_nothing_ticks_ahead_of_time_but_what_says_so(conn: Conn) -> None:
    schedule(conn, every="1 hour")
    settle(conn)
    fast_forward(conn, "pgqueue", clock(conn) + timedelta(hours=5))
    before = jobs(conn)

    settle(conn)

    assert (before, jobs(conn)) == (5, 5)
    assert scalar(conn, "select coalesce(current_setting('pgq.fast_forward', true), '') <> 'on'") is True


def test_old_ticks_are_forgotten_with_history(conn: Conn) -> None:
    schedule(conn, every="1 hour")
    old = "select 's', now() - n * interval '1 day' from generate_series(0, 40) n"
    conn.execute(f"insert into pgqueue.schedule_ticks (schedule, tick_at) {old}".encode())

    duties.tidy(conn, "pgqueue")

    assert len(ticks_of(conn)) == 14


def test_times_do_not_hang_on_the_sessions_settings(connect: Connect) -> None:
    odd = connect()
    odd.execute("set timezone = 'Asia/Kathmandu'; set datestyle = 'German, DMY'; set intervalstyle = 'sql_standard'")
    schedule(odd, every="90 minutes")
    set_back(odd, "0")
    settle(odd)

    next_at = row(connect())["next_at"].astimezone(UTC)

    assert (next_at - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(minutes=90) == timedelta(0)


# A worker does all of this by itself.

Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Running] = []

    def begin(app: App, **options: Any) -> Running:
        running.append(Running(app, **{"shutdown_timeout_seconds": 5.0, **options}))
        return running[-1].start()

    yield begin
    for worker in running:
        worker.stop()
        worker.join()


def test_a_worker_declares_ticks_and_runs(dsn: str, conn: Conn, start: Start) -> None:
    app = App(dsn)
    ran: list[tuple[int, dict[str, Any]]] = []

    @app.schedule("0 2 * * *", timezone="Europe/Berlin", missed="skip", args={"n": 1}, name="nightly")
    @app.schedule(every=SECOND, args={"n": 2}, name="often")
    @app.task(name="count", queue="counting")
    async def count(ctx: Any, n: int) -> None:
        ran.append((n, ctx.job.meta))

    began = time.monotonic()
    start(app)
    wait_until(lambda: len(ran) >= 3)

    assert time.monotonic() - began < 8
    assert [n for n, _ in ran] == [2] * len(ran)
    ticks = [datetime.fromisoformat(meta["tick"]) for _, meta in ran]
    assert [b - a for a, b in pairwise(ticks)] == [SECOND] * (len(ticks) - 1)
    shown = row(conn, "nightly", "schedules")
    assert (shown["task"], shown["queue"], shown["missed"], shown["args"]) == ("count", "counting", "skip", {"n": 1})
    late = "select max(j.created_at - t.tick_at) from pgqueue.schedule_ticks t join pgqueue.jobs j on j.id = t.job_id"
    assert scalar(conn, late) < SECOND
    schedule(conn, "by hand", task="count", queue="counting", args={"n": 3}, every="1 s")
    made_at = clock(conn)
    wait_until(lambda: any(n == 3 for n, _ in ran), timeout=5)
    first = scalar(conn, "select min(tick_at) from pgqueue.schedule_ticks where schedule = 'by hand'")
    assert first <= made_at + SECOND
    app.close()


def test_what_the_code_no_longer_declares_stays(dsn: str, conn: Conn, start: Start) -> None:
    schedule(conn, "of an older release", every="1 hour")
    app = App(dsn)

    @app.schedule("@daily")
    @app.task(name="other")
    def other() -> None: ...

    start(app)

    assert column(conn, "select name from pgqueue.schedules order by 1") == ["of an older release", "other"]
    app.close()
