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
