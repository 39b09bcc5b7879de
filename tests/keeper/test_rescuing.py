"""Rescue as a duty between two heartbeats: some jobs at a time, and soon again while there are more."""

from typing import Any

import pytest

from pgqueue.keeper import duties
from tests.sql.engine import Conn, Worker, column, enqueue_many


def test_a_rescue_of_many_jobs_is_taken_up_again_at_once_until_all_are_handed_on(
    conn: Conn, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(duties, "RESCUED_AT_ONCE", 10)
    worker = Worker(conn)
    enqueue_many(conn, [{"task": "t"}] * 25)
    worker.claim(25)
    worker.fall_silent()
    rescue = duties.rescuing(5.0)

    with caplog.at_level("INFO", logger="pgqueue"):
        waits = [rescue(conn, "pgqueue") for _ in range(3)]

    assert waits[:2] == [0.0, 0.0]
    assert 4.0 <= waits[2] <= 6.0
    assert column(conn, "select state from pgqueue.jobs") == ["ready"] * 25
    assert [(record.getMessage(), record.jobs) for record in caplog.records] == [
        ("a worker was lost", 10),
        ("more jobs of a lost worker were handed on", 10),
        ("more jobs of a lost worker were handed on", 5),
    ]


def test_nobody_is_judged_by_who_could_not_beat(conn: Conn) -> None:
    worker = Worker(conn)
    enqueue_many(conn, [{"task": "t"}])
    worker.claim(1)
    worker.fall_silent()

    assert duties.rescuing(5.0, may_judge=lambda: False)(conn, "pgqueue") == 1.0
    assert column(conn, "select state from pgqueue.jobs") == ["running"]


def beat_ago(conn: Conn, worker: Worker, seconds: float) -> None:
    query = (
        "update pgqueue.worker_processes set heartbeat_at = clock_timestamp() - make_interval(secs => %s) where id = %s"
    )
    conn.execute(query, [seconds, worker.id])


def test_the_next_look_comes_when_the_first_lease_may_end_and_asks_for_a_process_before(conn: Conn) -> None:
    late, well = Worker(conn), Worker(conn)
    asked: list[bool] = []
    rescue = duties.rescuing(5.0, on_late=lambda: asked.append(True))

    beat_ago(conn, late, 10.5)  # 4.5 s are left of its lease of 15 s, and 1.5 s until a process is asked for
    before = rescue(conn, "pgqueue")
    asked_before = list(asked)
    beat_ago(conn, late, 14.5)
    then = rescue(conn, "pgqueue")
    beat_ago(conn, late, 16)
    rescue(conn, "pgqueue")

    assert 1.0 <= before <= 1.6
    assert asked_before == []
    assert 0.1 <= then <= 0.71
    assert asked == [True]
    assert column(conn, "select id from pgqueue.workers where alive") == [well.id]


def test_who_may_not_judge_hands_on_the_jobs_of_those_that_have_ended_only(conn: Conn) -> None:
    ended, silent = Worker(conn), Worker(conn)
    enqueue_many(conn, [{"task": "t"}] * 2)
    ended.claim(1)
    silent.claim(1)
    rescue = duties.rescuing(5.0, may_judge=lambda: False)
    conn.execute("select pgqueue.note_incident(%s, 'host', 1, 'ended')", [ended.id])

    beat_ago(conn, silent, 14.5)  # it might be judged by the rescue itself, if that came a moment late
    rescue(conn, "pgqueue")
    doubtful = column(conn, "select state from pgqueue.jobs order by id")
    beat_ago(conn, silent, 1)
    rescue(conn, "pgqueue")

    assert doubtful == ["running", "running"]
    assert column(conn, "select state from pgqueue.jobs order by id") == ["ready", "running"]


def test_a_lost_worker_that_is_seen_to_be_stopped_is_noted_as_frozen(conn: Conn) -> None:
    worker = Worker(conn)
    worker.fall_silent()

    duties.rescuing(5.0, examine=lambda host, pid: f"{host} {pid} is stopped")(conn, "pgqueue")

    assert column(conn, "select stuck from pgqueue.workers") == ["frozen"]
    assert column(conn, "select detail from pgqueue.worker_incidents where kind = 'frozen'") == ["host 1 is stopped"]


def test_what_was_seen_is_forgotten_after_a_week_and_beyond_two_thousand(conn: Conn) -> None:
    conn.execute(
        "insert into pgqueue.incident_log (at, worker_id, host, pid, kind)"
        " select now() - case when n = 2050 then interval '8 days' else interval '1 day' end, n, 'h', 1, 'silent'"
        " from generate_series(1, 2050) n"
    )

    duties.tidy(conn, "pgqueue")

    assert column(conn, "select count(*) from pgqueue.worker_incidents") == [1999]
    assert column(conn, "select min(worker_id) from pgqueue.worker_incidents") == [51]
