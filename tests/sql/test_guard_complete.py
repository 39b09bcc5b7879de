"""ctx.guard and ctx.complete: the lease inside the handler's own transaction."""

from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import (
    Background,
    Conn,
    Worker,
    cancel,
    complete,
    enqueue,
    guard,
    holder,
    job,
    rescue,
    scalar,
    state,
)


def lease_state(conn: Conn, job_id: int, token: int) -> str | None:
    found: str | None = scalar(
        conn, "select state from pgqueue.lease_states(array[%s]::bigint[], array[%s]::bigint[])", job_id, token
    )
    return found


def test_i4_guard_passes_for_the_holder_and_refuses_anybody_else(conn: Conn, worker: Worker, refused: Refused) -> None:
    enqueue(conn)
    lease = worker.claim_one()

    guard(conn, lease)
    worker.done(lease)
    with refused("PQ005") as refusal:
        guard(conn, lease)

    assert refusal.message == f"this attempt has lost its lease on job {lease.id}: roll back"


def test_i4_while_guard_holds_the_lease_nobody_hands_the_job_on(connect: Connect, conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    handler = connect(autocommit=False)

    guard(handler, lease)
    worker.fall_silent()
    (lost,) = rescue(conn)
    during = state(conn, job_id)
    handler.commit()
    rescue(conn)

    assert (lost["jobs"], during, state(conn, job_id)) == (0, "running", "ready")


def test_i4_a_guard_that_waited_for_the_rescue_is_refused(
    connect: Connect, conn: Conn, worker: Worker, refused: Refused
) -> None:
    enqueue(conn)
    lease = worker.claim_one()
    worker.fall_silent()
    rescuing, handler = connect(autocommit=False), connect()

    rescue(rescuing)
    guarding = Background(handler, lambda: guard(handler, lease)).waits(conn)
    rescuing.commit()

    with refused("PQ005"):
        guarding.result()
    assert state(conn, lease.id) == "ready"


def test_i6_complete_commits_with_the_handlers_effects_or_not_at_all(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    conn.execute("create table effects (n integer)")
    job_id = enqueue(conn, key="k")
    lease = worker.claim_one()
    handler = connect(autocommit=False)

    handler.execute("insert into effects values (1)")
    complete(handler, lease, {"r": 1})
    open_state, seen = lease_state(conn, job_id, lease.token), state(conn, job_id)
    handler.rollback()
    held_state = lease_state(conn, job_id, lease.token)
    handler.execute("insert into effects values (2)")
    complete(handler, lease, {"r": 2})
    handler.commit()

    assert (open_state, seen, held_state, lease_state(conn, job_id, lease.token)) == ("open", "running", "held", None)
    assert (job(conn, job_id)["state"], job(conn, job_id)["result"], holder(conn, "k")) == ("succeeded", {"r": 2}, None)
    assert [row[0] for row in conn.execute("select n from effects")] == [2]


def test_i6_complete_twice_is_refused_the_second_time(
    connect: Connect, conn: Conn, worker: Worker, refused: Refused
) -> None:
    enqueue(conn)
    lease = worker.claim_one()
    handler = connect(autocommit=False)

    complete(handler, lease)
    with refused("PQ005"), handler.transaction():
        complete(handler, lease)
    handler.commit()

    assert state(conn, lease.id) == "succeeded"


def test_i4_a_zombies_complete_rolls_its_effects_back(
    connect: Connect, conn: Conn, worker: Worker, refused: Refused
) -> None:
    conn.execute("create table effects (n integer)")
    enqueue(conn)
    lease = worker.claim_one()
    worker.lose()
    handler = connect(autocommit=False)

    with refused("PQ005"), handler:
        handler.execute("insert into effects values (1)")
        complete(handler, lease)

    assert scalar(conn, "select count(*) from effects") == 0


def test_i14_cancel_never_waits_for_a_row_that_guard_has_locked(connect: Connect, conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    handler = connect(autocommit=False)
    conn.execute("set lock_timeout = '2 s'")

    guard(handler, lease)

    assert [cancel(conn, job_id), cancel(conn, job_id)] == ["running", "running"]
    assert worker.beat() == [job_id]
    handler.commit()


def test_i14_cancel_never_waits_for_a_handler_that_completes_a_job_asked_to_stop_before(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    """complete deletes the request that is there; a second cancel must not wait for that deletion."""
    job_id = enqueue(conn)
    lease = worker.claim_one()
    cancel(conn, job_id)
    handler = connect(autocommit=False)
    conn.execute("set lock_timeout = '2 s'")

    complete(handler, lease)
    again = cancel(conn, job_id)
    handler.commit()

    assert (again, state(conn, job_id)) == ("running", "succeeded")
    assert scalar(conn, "select count(*) from pgqueue.cancel_requests") == 0


def test_i14_neither_rescue_leave_sweep_nor_claims_wait_for_a_guard(
    connect: Connect, conn: Conn, worker: Worker
) -> None:
    job_id = enqueue(conn)
    lease = worker.claim_one()
    cancel(conn, job_id)
    handler = connect(autocommit=False)
    conn.execute("set lock_timeout = '2 s'")

    guard(handler, lease)
    assert scalar(conn, "select pgqueue.sweep_cancel_requests()") == 0
    assert Worker(conn).claim() == []
    assert worker.leave() == 0
    assert rescue(conn)[0]["jobs"] == 0
    handler.commit()
    assert rescue(conn)[0]["jobs"] == 1

    assert state(conn, job_id) == "cancelled"


def test_lease_states_tell_apart_settled_open_and_rolled_back(connect: Connect, conn: Conn, worker: Worker) -> None:
    for _ in range(3):
        enqueue(conn)
    settled, opened, held = worker.claim()
    handler = connect(autocommit=False)

    worker.done(settled)
    complete(handler, opened)
    rows = conn.execute(
        "select id, state from pgqueue.lease_states(%s::bigint[], %s::bigint[]) order by id",
        ([lease.id for lease in (settled, opened, held)], [lease.token for lease in (settled, opened, held)]),
    ).fetchall()
    handler.rollback()

    assert rows == [(opened.id, "open"), (held.id, "held")]
