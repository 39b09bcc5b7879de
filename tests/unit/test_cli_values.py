"""What people write on a command line, and how it is read and shown."""

import json
import logging
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pgqueue.cli import failure, output, values
from pgqueue.errors import (
    AppImportError,
    ConfigError,
    DatabaseUnavailable,
    InvalidArgument,
    JobNotFound,
    MigrationsPending,
)
from pgqueue.worker import logs


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1h 30m", timedelta(hours=1, minutes=30)),
        ("250ms", timedelta(milliseconds=250)),
        ("2d", timedelta(days=2)),
        ("1.5h", timedelta(minutes=90)),
        ("0", timedelta(0)),
        ("25", timedelta(seconds=25)),
    ],
)
def test_a_duration_is_read(written: str, meant: timedelta) -> None:
    assert values.duration(written) == meant


@pytest.mark.parametrize("written", ["", "10x", "-5s", "m5", "5m!", "1h-3m", "٣s", "9" * 30 + "d"])
def test_what_is_no_duration_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"duration|too long"):
        values.duration(written)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        values.moment("2026-11-22T08:00:00")


def test_a_time_with_a_zone_is_read() -> None:
    assert values.moment("2026-11-22T08:00:00Z") == datetime(2026, 11, 22, 8, tzinfo=UTC)


def test_a_json_object_is_passed_on_as_it_was_written() -> None:
    written = '{"amount": 1.10, "big": 12345678901234567890.123456789}'

    assert values.json_object(written, name="--args") == written


@pytest.mark.parametrize(
    "written", ["[1]", "7", "null", '"x"', "{", "", '{"a": NaN}', '{"a": "\\u0000"}', '{"a": "\\ud800"}', "[" * 5000]
)
def test_what_is_no_storable_object_is_refused(written: str) -> None:
    with pytest.raises(InvalidArgument, match="--args"):
        values.json_object(written, name="--args")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (JobNotFound("x"), 1),
        (ConfigError("x"), 2),
        (InvalidArgument("x"), 2),
        (AppImportError("x"), 3),
        (DatabaseUnavailable("x"), 4),
        (MigrationsPending("x"), 5),
        (RuntimeError("x"), 1),
    ],
)
def test_an_error_has_the_exit_status_of_the_contract(error: Exception, status: int) -> None:
    assert failure.describe(error)[0] == status


def test_a_failure_is_one_line_that_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    failure.say("first\n  second \x1b[31m")

    assert capsys.readouterr().err == "pgq: first second \\x1b[31m\n"


def test_a_pipe_gets_aligned_text_without_boxes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": 1, "task": "long.name\n" + "x" * 300}, {"id": 22, "task": "b"}]

    output.print_table(rows, [("id", output.text("id")), ("task", output.text("task"))], empty="none")

    lines = capsys.readouterr().out.splitlines()
    assert lines == ["id  task", "1   long.name\\n" + "x" * 300, "22  b"]


def test_json_has_numbers_for_ids_and_iso_times_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 11, 22, 9, tzinfo=timezone(timedelta(hours=1)))

    output.print_json([{"id": 7, "at": at, "age": timedelta(seconds=90), "huge": float("inf")}])

    assert json.loads(capsys.readouterr().out) == [{"id": 7, "at": "2026-11-22T08:00:00Z", "age": 90.0, "huge": "inf"}]


def test_a_log_line_in_json_has_the_fields_of_its_record() -> None:
    record = logging.makeLogRecord({"msg": "job failed", "levelname": "INFO", "name": "x", "job": 7, "queue": "mail"})

    shown = json.loads(logs.JsonFormatter().format(record))

    assert (shown["message"], shown["level"], shown["job"], shown["queue"]) == ("job failed", "info", 7, "mail")


def test_a_log_line_for_people_stays_one_line() -> None:
    record = logging.makeLogRecord({"msg": "a\nb", "levelname": "INFO", "name": "x", "task": "a b"})

    assert logs.ConsoleFormatter().format(record).endswith('INFO    x: a\\nb task="a b"')


@pytest.mark.parametrize(("level", "form"), [("loud", "json"), ("info", "xml")])
def test_an_unknown_log_setting_is_refused(level: str, form: str) -> None:
    with pytest.raises(InvalidArgument):
        logs.configure(level, form)
