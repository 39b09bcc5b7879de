# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Idempotency keys: one unfinished job per (queue, key), under any concurrency and isolation, by each policy."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import Background, Conn, Worker, cancel, enqueue, enqueue_many, holder, job, retry, scalar, state


def test_i2_two_enqueues_of_one_key_under_concurrency_make_one_job(connect: Connect, conn: Conn) -> None:
    first, second = connect(autocommit=False), connect()

    winner = enqueue(first, key="k")
    loser = Background(second, lambda: enqueue(second, key="k")).waits(conn)
    first.commit()

    assert loser.result() == winner
    assert scalar(conn, "select count(*) from pgqueue.jobs") == 1


def test_i2_the_waiting_enqueue_gets_the_key_when_the_first_rolls_back(connect: Connect, conn: Conn) -> None:
    first, second = connect(autocommit=False), connect()

    gone = enqueue(first, key="k")
    second_id = Background(second, lambda: enqueue(second, key="k")).waits(conn)
    first.rollback()

    assert second_id.result() != gone
    assert holder(conn, "k") == second_id.result()


def test_i2_the_losers_transaction_goes_on(connect: Connect, conn: Conn) -> None:
    winner = enqueue(conn, key="k")
    producer = connect(autocommit=False)

    ids = [enqueue(producer, key="k"), enqueue(producer), enqueue(producer, key="other")]
    producer.commit()

    assert ids[0] == winner
    assert [state(conn, job_id) for job_id in ids] == ["ready"] * 3


def test_i2_a_winner_that_settles_in_between_leaves_the_key_to_the_loser(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    """The loser waits for the settle's deletion of the key, and must then insert, not return a finished job's id."""
    enqueue(conn, key="k")
    lease = worker.claim_one()
    settling, second = connect(autocommit=False), connect()

    worker.done(lease, conn=settling)
    new = Background(second, lambda: enqueue(second, key="k")).waits(conn)
    settling.commit()

    assert new.result() != lease.id
    assert (state(conn, lease.id), state(conn, new.result())) == ("succeeded", "ready")


def test_i2_32_enqueues_of_4_keys_at_once_make_4_jobs(connect: Connect, conn: Conn) -> None:
    connections = [connect() for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda n: [enqueue(connections[n], key=f"k{(n + k) % 4}") for k in range(4)], range(8)))

    assert len({job_id for some in ids for job_id in some}) == 4
    assert scalar(conn, "select count(*) from pgqueue.jobs") == 4


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_i2_under_stricter_isolation_a_key_taken_since_the_snapshot_is_40001(
    connect: Connect, conn: Conn, level: IsolationLevel
) -> None:
    producer = connect(autocommit=False)
    producer.isolation_level = level
    producer.execute("select 1")

    winner = enqueue(conn, key="k")
    with pytest.raises(psycopg.errors.SerializationFailure):
        enqueue(producer, key="k")
    producer.rollback()

    assert enqueue(producer, key="k") == winner


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_i2_under_stricter_isolation_a_free_key_and_one_held_before_work_as_ever(
    connect: Connect, conn: Conn, level: IsolationLevel
) -> None:
    held = enqueue(conn, key="held")
    producer = connect(autocommit=False)
    producer.isolation_level = level

    ids = [enqueue(producer, key=key) for key in ("held", "free", "free")]
    producer.commit()

    assert (ids[0], ids[1]) == (held, ids[2])
    assert scalar(conn, "select count(*) from pgqueue.jobs") == 2


def test_i2_under_repeatable_read_a_key_freed_since_the_snapshot_never_loops(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    """The old snapshot still sees the settled holder, or the insert goes through: no third outcome, and no endless loop."""
    old = enqueue(conn, key="k")
    producer = connect(autocommit=False)
    producer.isolation_level = IsolationLevel.REPEATABLE_READ
    producer.execute("select 1")

    worker.done(worker.claim_one())
    new = enqueue(producer, key="k")
    producer.commit()

    assert new != old
    assert holder(conn, "k") == new


def test_i2_a_key_belongs_to_its_queue(conn: Conn) -> None:
    assert enqueue(conn, key="k", queue="a") != enqueue(conn, key="k", queue="b")


@pytest.mark.parametrize(
    "ending", ["succeeded", "succeeded with a result", "cancelled", "expired", "dead", "cancelled while waiting"]
)
def test_a_key_is_free_once_its_job_is_finished(conn: Conn, worker: Worker, ending: str) -> None:
    first = enqueue(conn, key="k")

    if ending == "cancelled while waiting":
        cancel(conn, first)
    elif ending == "succeeded":
        worker.done(worker.claim_one())
    else:
        worker.settle(
            worker.claim_one().outcome(ending.split(maxsplit=1)[0], result={"r": 1} if " " in ending else None)
        )

    assert holder(conn, "k") is None
    assert enqueue(conn, key="k") != first


@pytest.mark.parametrize("outcome", ["failed", "snoozed", "released", "lost"])
def test_i2_a_job_that_will_run_again_keeps_its_key(conn: Conn, worker: Worker, outcome: str) -> None:
    first = enqueue(conn, key="k")

    worker.settle(worker.claim_one().outcome(outcome))

    assert enqueue(conn, key="k") == first


@pytest.mark.parametrize("ending", ["succeeded", "cancelled", "cancelled while waiting"])
def test_within_its_period_a_key_holds_past_the_end_of_its_job(conn: Conn, worker: Worker, ending: str) -> None:
    first = enqueue(conn, key="k", key_period="1 hour")

    if ending == "cancelled while waiting":
        cancel(conn, first)
    else:
        worker.settle(worker.claim_one().outcome(ending))
    within = enqueue(conn, key="k")
    conn.execute("update pgqueue.job_keys set until = clock_timestamp() - interval '1 s'")
    after = enqueue(conn, key="k")

    assert within == first
    assert after != first
    assert holder(conn, "k") == after


def test_a_dead_job_holds_no_key_even_within_its_period(conn: Conn, worker: Worker) -> None:
    first = enqueue(conn, key="k", key_period="1 hour")

    worker.settle(worker.claim_one().outcome("dead"))

    assert enqueue(conn, key="k") != first


def test_i2_a_period_that_is_over_frees_no_key_of_an_unfinished_job(conn: Conn, worker: Worker) -> None:
    first = enqueue(conn, key="k", key_period="1 hour")
    conn.execute("update pgqueue.job_keys set until = clock_timestamp() - interval '1 s'")

    assert enqueue(conn, key="k") == first
    lease = worker.claim_one()
    assert enqueue(conn, key="k") == first
    worker.done(lease)
    assert holder(conn, "k") is None


def test_i2_two_takers_of_a_key_whose_period_is_over_make_one_job(connect: Connect, conn: Conn, worker: Worker) -> None:
    enqueue(conn, key="k", key_period="1 hour")
    worker.done(worker.claim_one())
    conn.execute("update pgqueue.job_keys set until = clock_timestamp() - interval '1 s'")
    first, second = connect(autocommit=False), connect()

    one = enqueue(first, key="k")
    two = Background(second, lambda: enqueue(second, key="k")).waits(conn)
    first.commit()

    assert two.result() == one


def test_raise_names_the_holder_and_adds_nothing(conn: Conn, refused: Refused) -> None:
    held = enqueue(conn, "mail", key="k")

    with refused("PQ002") as refusal:
        enqueue(conn, "mail", key="k", key_policy="raise")

    assert refusal.message == f"cannot enqueue task 'mail': key 'k' of queue 'default' is held by job {held}"
    assert refusal.hint == str(held)
    assert scalar(conn, "select count(*) from pgqueue.jobs") == 1


def test_replace_gives_a_waiting_job_new_contents_and_keeps_its_id(conn: Conn) -> None:
    held = enqueue(conn, "old", key="k", args={"v": 1}, meta={"m": 1}, delay="1 hour", priority=3, max_attempts=7)
    created = job(conn, held)["created_at"]

    assert (
        enqueue(conn, "new", key="k", key_policy="replace", args={"v": 2}, timeout="9 s", expires_at="2999-01-01Z")
        == held
    )

    row = job(conn, held)
    assert (row["task"], row["args"], row["meta"], row["state"], row["priority"]) == ("new", {"v": 2}, None, "ready", 0)
    assert (row["max_attempts"], row["timeout"].total_seconds(), row["expires_at"].year, row["created_at"]) == (
        None,
        9,
        2999,
        created,
    )


def test_replace_leaves_a_job_that_has_started_alone(conn: Conn, worker: Worker) -> None:
    held = enqueue(conn, key="k", args={"v": 1})
    lease = worker.claim_one()

    assert enqueue(conn, key="k", key_policy="replace", args={"v": 2}) == held
    assert job(conn, held)["args"] == {"v": 1}
    assert worker.done(lease) == []


def test_replace_of_a_job_of_an_earlier_day_writes_todays_arguments(conn: Conn) -> None:
    held = enqueue(conn, key="k", args={"v": 1})
    conn.execute("select pgqueue.make_partitions((now() at time zone 'UTC')::date - 1, 1)")
    conn.execute(
        "with old as (delete from pgqueue.job_args returning *) insert into pgqueue.job_args select id, day - 1, args, meta from old"
    )
    conn.execute("update pgqueue.queued_jobs set args_day = args_day - 1")

    enqueue(conn, key="k", key_policy="replace", args={"v": 2})

    assert job(conn, held)["args"] == {"v": 2}


def test_replace_that_meets_a_claim_under_way_leaves_the_job_to_it(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    held = enqueue(conn, key="k", args={"v": 1})
    claiming, producer = connect(autocommit=False), connect()

    (lease,) = worker.claim(conn=claiming)
    replacing = Background(producer, lambda: enqueue(producer, key="k", key_policy="replace", args={"v": 2})).waits(
        conn
    )
    claiming.commit()

    assert replacing.result() == held
    assert (job(conn, held)["args"], lease.row["args"]) == ({"v": 1}, '{"v": 1}')


def test_a_claim_passes_by_a_job_that_is_being_replaced(connect: Connect, conn: Conn, worker: Worker) -> None:
    enqueue(conn, key="k", args={"v": 1})
    producer = connect(autocommit=False)

    enqueue(producer, key="k", key_policy="replace", args={"v": 2})
    meanwhile = worker.claim()
    producer.commit()

    assert meanwhile == []
    assert worker.claim_one().row["args"] == '{"v": 2}'


def test_two_replacements_at_once_take_turns(connect: Connect, conn: Conn) -> None:
    held = enqueue(conn, key="k")
    first, second = connect(autocommit=False), connect()

    enqueue(first, key="k", key_policy="replace", args={"v": 1})
    other = Background(second, lambda: enqueue(second, key="k", key_policy="replace", args={"v": 2})).waits(conn)
    first.commit()

    assert other.result() == held
    assert job(conn, held)["args"] == {"v": 2}


def test_i2_a_retry_takes_the_key_back_and_is_refused_while_another_job_has_it(
    conn: Conn, worker: Worker, refused: Refused
) -> None:
    first = enqueue(conn, key="k")
    worker.settle(worker.claim_one().outcome("dead"))
    second = enqueue(conn, key="k")

    with refused("PQ002") as refusal:
        retry(conn, first)
    cancel(conn, second)
    retry(conn, first)

    assert refusal.message == f"cannot retry job {first}: its key 'k' of queue 'default' is held by job {second}"
    assert refusal.hint == str(second)
    assert holder(conn, "k") == first
    assert enqueue_many(conn, [{"task": "t", "key": "k"}]) == [first]


def test_i2_a_retry_and_an_enqueue_of_one_key_at_once_leave_one_job(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    dead = enqueue(conn, key="k")
    worker.settle(worker.claim_one().outcome("dead"))
    first, second = connect(autocommit=False), connect()

    retry(first, dead)
    other = Background(second, lambda: enqueue(second, key="k")).waits(conn)
    first.commit()

    assert other.result() == dead


def test_a_retry_within_the_jobs_own_period_keeps_the_period(conn: Conn) -> None:
    first = enqueue(conn, key="k", key_period="1 hour")
    cancel(conn, first)

    retry(conn, first)

    assert scalar(conn, "select until > now() from pgqueue.job_keys where job_id = %s", first) is True


def test_keys_taken_by_hand_in_opposite_orders_are_the_documented_40p01(connect: Connect, conn: Conn) -> None:
    """The deadlock that only callers can make: two transactions, two statements each. PostgreSQL ends one of them."""
    first, second = connect(autocommit=False), connect(autocommit=False)
    enqueue(first, key="a")
    enqueue(second, key="b")

    one = Background(first, lambda: _ends(first, "b")).waits(conn)
    two = Background(second, lambda: _ends(second, "a"))

    assert sorted([one.result(), two.result()]) == ["", "40P01"]


def _ends(producer: Conn, key: str) -> str:
    try:
        enqueue(producer, key=key)
    except psycopg.Error as error:
        return error.sqlstate or "?"
    finally:
        producer.rollback()
    return ""
