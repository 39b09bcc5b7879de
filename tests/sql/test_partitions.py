# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Days: made ahead, made when missing, and in nobody's way."""

from tests.conftest import Connect
from tests.sql.engine import Background, Conn, Worker, column, enqueue, job, retry, scalar, state

TODAY = "(clock_timestamp() at time zone 'UTC')::date"
NAMES = "select relname::text from pg_class where relispartition and relkind = 'r' and relnamespace = 'pgqueue'::regnamespace order by 1"


def drop_days(conn: Conn) -> None:
    """A database whose keeper was away for weeks."""
    for name in column(conn, NAMES):
        conn.execute(f"drop table pgqueue.{name}")


def test_the_migration_makes_14_days_of_the_four_tables(conn: Conn) -> None:
    names = column(conn, NAMES)

    assert len(names) == 4 * 14
    assert scalar(conn, f"select to_char({TODAY}, 'YYYYMMDD')") in names[0]


def test_a_fresh_databases_first_enqueue_holds_up_no_other(connect: Connect, conn: Conn) -> None:
    business = connect(autocommit=False)
    conn.execute("set lock_timeout = '2 s'")

    enqueue(business)

    assert state(conn, enqueue(conn)) == "ready"


def test_making_days_again_makes_nothing(conn: Conn) -> None:
    assert scalar(conn, f"select pgqueue.make_partitions({TODAY}, 14)") == 0
    assert scalar(conn, f"select pgqueue.make_partitions({TODAY} + 14, 1)") == 4


def test_i5_a_missing_day_is_made_by_whoever_needs_it(conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    leases = worker.claim()
    conn.execute("create table kept as select * from pgqueue.job_args")
    drop_days(conn)

    worker.step(0, done=leases)
    (lease,) = [worker.claim_one() for _ in range(1) if enqueue(conn)]
    drop_days(conn)
    worker.settle(lease.outcome("failed", delay=0))

    assert worker.claim_one().attempt == 2


def test_two_that_meet_a_missing_day_at_once_make_it_once(connect: Connect, conn: Conn) -> None:
    drop_days(conn)
    first, second = connect(autocommit=False), connect()

    enqueue(first)
    other = Background(second, lambda: enqueue(second)).waits(conn)
    first.commit()

    assert state(conn, other.result()) == "ready"
    assert len(column(conn, NAMES)) == 8


def test_i14_making_days_waits_for_no_reader_and_no_writer(connect: Connect, conn: Conn, worker: Worker) -> None:
    enqueue(conn)
    writer = connect(autocommit=False)
    worker.done(worker.claim_one(), conn=writer)
    writer.execute("select count(*) from pgqueue.jobs")
    conn.execute("set lock_timeout = '2 s'")

    assert scalar(conn, f"select pgqueue.make_partitions({TODAY} + 20, 2)") == 8
    writer.commit()


def test_a_day_is_cut_at_midnight_utc_in_any_time_zone_and_style(conn: Conn) -> None:
    conn.execute("set timezone = 'Pacific/Kiritimati'; set datestyle = 'SQL, DMY'")

    scalar(conn, "select pgqueue.make_partitions('03/02/2031'::date, 1)")
    conn.execute("reset timezone; reset datestyle; set timezone = 'UTC'")

    bounds = scalar(
        conn, "select pg_get_expr(relpartbound, oid) from pg_class where relname = 'finished_jobs_20310203'"
    )
    assert bounds == "FOR VALUES FROM ('2031-02-03 00:00:00+00') TO ('2031-02-04 00:00:00+00')"


def test_there_is_no_default_partition(conn: Conn) -> None:
    assert scalar(conn, "select count(*) from pg_class where pg_get_expr(relpartbound, oid) = 'DEFAULT'") == 0


def test_expired_days_name_what_retention_does_not_keep_and_arguments_a_day_longer(conn: Conn) -> None:
    scalar(conn, f"select pgqueue.make_partitions({TODAY} - 16, 2)")
    conn.execute("update pgqueue.settings set retention = '14 days'")

    rows = conn.execute(f"select parent, {TODAY} - day, pending from pgqueue.expired_days()").fetchall()

    assert sorted(rows) == [("attempt_lines", 15, False), ("attempt_lines", 16, False), ("finished_jobs", 15, False), ("finished_jobs", 16, False), ("job_args", 16, False),
                            ("job_attempts", 15, False), ("job_attempts", 16, False)]  # fmt: skip


def age(conn: Conn, job_id: int, days: int) -> None:
    scalar(conn, f"select pgqueue.make_partitions({TODAY} - %s, 1)", days)
    conn.execute("update pgqueue.job_args set day = day - %s where id = %s", (days, job_id))
    for table in ("queued_jobs", "dead_jobs"):
        conn.execute(f"update pgqueue.{table} set args_day = args_day - %s where id = %s", (days, job_id))


def test_i13_arguments_that_unfinished_and_dead_jobs_need_are_carried_before_their_day_goes(
    conn: Conn, worker: Worker
) -> None:
    dead = enqueue(conn, args={"v": "dead"})
    worker.settle(worker.claim_one().outcome("dead"))
    running = enqueue(conn, args={"v": "running"}, meta={"m": 1})
    lease = worker.claim_one()
    waiting = enqueue(conn, args={"v": "waiting"}, delay="1 hour")
    for job_id in (dead, running, waiting):
        age(conn, job_id, 20)

    carried = conn.execute(f"select * from pgqueue.carry_args({TODAY} - 20)").fetchall()
    again = conn.execute(f"select * from pgqueue.carry_args({TODAY} - 20)").fetchall()
    day = scalar(conn, f"select to_char({TODAY} - 20, 'YYYYMMDD')")
    conn.execute(f"drop table pgqueue.job_args_{day}")
    retry(conn, dead)

    assert (carried, again) == ([(3, 0)], [(0, 0)])
    assert [job(conn, job_id)["args"]["v"] for job_id in (dead, running, waiting)] == ["dead", "running", "waiting"]
    assert job(conn, running)["meta"] == {"m": 1}
    assert worker.done(lease) == []


def test_i14_carrying_passes_by_locked_jobs_and_says_so(connect: Connect, conn: Conn) -> None:
    job_id = enqueue(conn)
    age(conn, job_id, 20)
    locker = connect(autocommit=False)
    locker.execute("select from pgqueue.queued_jobs for update")
    conn.execute("set lock_timeout = '2 s'")

    held_up = conn.execute(f"select * from pgqueue.carry_args({TODAY} - 20)").fetchall()
    locker.rollback()

    assert (held_up, conn.execute(f"select * from pgqueue.carry_args({TODAY} - 20)").fetchall()) == ([(0, 1)], [(1, 0)])


def test_i4_carrying_a_running_job_leaves_its_lease_alone(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    age(conn, job_id, 20)

    conn.execute(f"select * from pgqueue.carry_args({TODAY} - 20)")

    assert worker.settle(lease.outcome("failed")) == []
