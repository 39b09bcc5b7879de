"""What the database keeps of workers that stand still, and what it says of them."""

from typing import Any

import pytest

from tests.sql.engine import Conn, Worker, enqueue, rescue, scalar

NOTE = (
    "select pgqueue.note_incident(%(id)s, 'host', 1, %(kind)s, %(jobs)s::bigint[], %(detail)s, %(stack)s,"
    " make_interval(secs => %(ago)s))"
)


def note(conn: Conn, worker: Worker, kind: str, **more: Any) -> Any:
    given = {"id": worker.id, "kind": kind, "jobs": [], "detail": "", "stack": None, "ago": 0, **more}
    return conn.execute(NOTE, given).fetchall()[0][0]


def stuck(conn: Conn, worker: Worker) -> str | None:
    found: str | None = scalar(conn, "select stuck from pgqueue.workers where id = %s", worker.id)
    return found


def age(conn: Conn, worker: Worker, seconds: float) -> None:
    """Let the last heartbeat be so long ago."""
    query = "update pgqueue.worker_processes set heartbeat_at = now() - make_interval(secs => %s) where id = %s"
    conn.execute(query, [seconds, worker.id])


@pytest.mark.parametrize(("seconds", "says"), [(0, None), (11.5, None), (12.5, "silent"), (16, "silent")])
def test_a_worker_is_silent_when_two_heartbeats_are_missing(
    conn: Conn, worker: Worker, seconds: float, says: str | None
) -> None:
    age(conn, worker, seconds)

    assert stuck(conn, worker) == says
    since = scalar(conn, "select now() - stuck_since from pgqueue.workers")
    assert (since is None) == (says is None)


def test_what_was_seen_marks_a_worker_since_it_began(conn: Conn, worker: Worker) -> None:
    assert note(conn, worker, "loop_blocked", ago=5, jobs=[1, 2], detail="why", stack="where")
    assert note(conn, worker, "gil_held", ago=1)

    assert stuck(conn, worker) == "gil_held"
    assert scalar(conn, "select extract(epoch from now() - stuck_since) between 4.9 and 9 from pgqueue.workers")
    columns = "worker_id, host, pid, kind, jobs, detail, stack"
    kept = conn.execute(f"select {columns} from pgqueue.worker_incidents order by id").fetchall()
    assert kept[0] == (worker.id, "host", 1, "loop_blocked", [1, 2], "why", "where")


def test_a_rescue_notes_whom_it_lost_with_the_jobs_and_once(conn: Conn, worker: Worker) -> None:
    job = enqueue(conn)
    worker.claim(1)
    worker.fall_silent()

    rescue(conn)
    conn.execute("update pgqueue.worker_processes set rescued = false")
    rescue(conn)

    assert stuck(conn, worker) == "silent"
    assert conn.execute("select kind, jobs from pgqueue.worker_incidents").fetchall() == [("silent", [job])]


def test_a_rescue_does_not_know_better_than_who_has_seen_it(conn: Conn, worker: Worker) -> None:
    note(conn, worker, "frozen")
    worker.fall_silent()

    rescue(conn)

    assert stuck(conn, worker) == "frozen"


def test_a_lost_worker_is_shown_as_stuck_for_a_quarter_of_an_hour(conn: Conn, worker: Worker) -> None:
    worker.fall_silent()
    rescue(conn)
    assert stuck(conn, worker) == "silent"

    conn.execute("update pgqueue.worker_processes set lost_at = now() - interval '16 min'")

    assert stuck(conn, worker) is None


def test_a_process_that_has_ended_is_lost_at_once_and_not_stuck(conn: Conn, worker: Worker) -> None:
    job = enqueue(conn)
    worker.claim(1)
    note(conn, worker, "frozen")

    note(conn, worker, "ended", detail="the process was ended by SIGKILL")

    assert stuck(conn, worker) is None
    assert [row[3] for row in conn.execute("select worker_id, host, pid, jobs from pgqueue.rescue()").fetchall()] == [1]
    assert scalar(conn, "select worker_id from pgqueue.queued_jobs where id = %s", job) is None
    kinds = [kind for (kind,) in conn.execute("select kind from pgqueue.worker_incidents order by id").fetchall()]
    assert kinds == ["frozen", "ended"]  # and not silent: it is known what became of it
    assert worker.step(10).lost


def test_notes_are_bounded_in_number_and_size(conn: Conn, worker: Worker) -> None:
    much = {"jobs": list(range(500)), "detail": "d" * 5000, "stack": "s" * 50_000}

    kept = [note(conn, worker, "frozen", **much) for _ in range(22)]

    assert kept == [True] * 20 + [False] * 2
    sizes = "max(cardinality(jobs)), max(length(detail)), max(length(stack)), count(*)"
    assert conn.execute(f"select {sizes} from pgqueue.worker_incidents").fetchall() == [(100, 1000, 16000, 20)]
