"""`pgq top --once`: plain text in a pipe, one document for programs, and clear words when something is missing."""

import sys
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue.cli import top
from pgqueue.top.tables import span, sparkline
from tests.leaks.shell import Shell

if TYPE_CHECKING:
    import psycopg

    from pgqueue.top.source import Source


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.mark.parametrize("words", [(), ("--once",)])
def test_a_pipe_gets_four_plain_lists(
    dsn: str, no_pgq_variables: None, lived: dict[str, int], shell: Shell, words: tuple[str, ...]
) -> None:
    status, printed = shell("top", "--dsn", dsn, *words)

    assert status == 0
    assert [line for line in printed.splitlines() if line.endswith(":")] == [
        "Queues:", "Workers:", "Running:", "Dead letters:",
    ]  # fmt: skip
    assert "ValueError" in printed
    assert "\x1b" not in printed
    assert "secret-of-the-job" not in printed


def test_programs_get_one_document(
    dsn: str, no_pgq_variables: None, lived: dict[str, int], monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    import json

    status, printed = shell("top", "--json", "--dsn", dsn)

    found = json.loads(printed)
    assert status == 0
    assert [row["id"] for row in found["running"]] == [lived["running"]]
    assert {row["queue"]: row["ready"] for row in found["queues"]}["default"] == 1


def test_an_empty_database_has_four_empty_lists(dsn: str, no_pgq_variables: None, shell: Shell) -> None:
    status, printed = shell("top", "--once", "--dsn", dsn)

    assert status == 0
    assert len([line for line in printed.splitlines() if line]) == 2 * 4


def test_a_terminal_without_textual_names_the_extra(
    dsn: str, no_pgq_variables: None, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    monkeypatch.setattr(top.output, "is_terminal", lambda: True)
    monkeypatch.setitem(sys.modules, "textual", None)

    status, printed = shell("top", "--dsn", dsn)

    assert status == 2
    assert "pgqueue[top]" in printed


def test_an_interval_that_is_too_short_is_refused(dsn: str, no_pgq_variables: None, shell: Shell) -> None:
    status, printed = shell("top", "--interval", "0.1", "--dsn", dsn)

    assert (status, "at least 500ms" in printed) == (2, True)


def test_rates_and_history_come_from_the_statistics(source: "Source", conn: "psycopg.Connection[Any]") -> None:
    conn.execute("select pgqueue.enqueue('t', queue => 'q')")

    (row,) = source.read().queues

    assert len(row["history"]) == 30
    assert (row["done_per_minute"], row["failed_per_minute"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.85, "850ms"), (12, "12s"), (185, "3m05s"), (7800, "2h10m"), (356_400, "4d03h"), (-1, "0ms")],
)
def test_spans_are_short(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def test_a_sparkline_is_as_high_as_its_highest() -> None:
    assert sparkline([0, 1, 4, 8]) == "▁▂▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


def test_a_viewer_sees_queues_and_workers(
    source: "Source", lived: dict[str, int], conn: "psycopg.Connection[Any]"
) -> None:
    source.read()
    assert source._conn is not None
    source._conn.execute("set role pgqueue_viewer")

    seen = source.read()

    assert [row["queue"] for row in seen.queues if row["dead"]] == ["mail"]
    assert len(seen.workers) == 1
    assert seen.hidden == ("running", "dead")
