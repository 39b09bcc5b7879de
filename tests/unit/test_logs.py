"""How log records are written, what the filter puts in, and what is kept of them."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from pgqueue.capture import HALF_BYTES, LINE_BYTES, CaptureHandler, Lines, handler_for, install, level_of, written
from pgqueue.errors import ConfigError
from pgqueue.logs import SCOPE, ConsoleFormatter, JobFilter, JsonFormatter
from pgqueue.masking import Masking


class Running:
    """An attempt, as far as logs see it."""

    worker = 9
    capture_level: int | None = None

    def __init__(self) -> None:
        self.lines: Any = None

    def log_fields(self) -> dict[str, object]:
        return {"job": 7, "task": "mail", "queue": "q", "attempt": 2, "worker": 9}


@pytest.fixture
def running() -> Iterator[Running]:
    scope = Running()
    token = SCOPE.set(scope)
    yield scope
    SCOPE.reset(token)


def record(
    message: str = "sent", *args: object, level: int = logging.INFO, name: str = "shop", **extra: object
) -> logging.LogRecord:
    made = logging.getLogger(name).makeRecord(name, level, "f.py", 1, message, args, None, extra=extra)
    JobFilter().filter(made)
    return made


def test_json_keys_are_stable_and_in_this_order(running: Running) -> None:
    line = json.loads(JsonFormatter().format(record("sent %s", "it", size=3)))

    assert list(line) == ["time", "level", "logger", "message", "job", "task", "queue", "attempt", "worker", "size"]
    assert (line["level"], line["logger"], line["message"], line["job"], line["attempt"]) == (
        "info",
        "shop",
        "sent it",
        7,
        2,
    )


def test_console_lines_carry_the_same(running: Running) -> None:
    assert (
        ConsoleFormatter()
        .format(record("sent"))
        .endswith("INFO    shop: sent job=7 task=mail queue=q attempt=2 worker=9")
    )


def test_what_a_record_says_under_our_names_is_kept_beside_them(running: Running) -> None:
    made = record("sent", task="laundry")
    JobFilter().filter(made)  # a second handler has the filter too

    line = json.loads(JsonFormatter().format(made))
    assert (line["task"], line["extra_task"]) == ("mail", "laundry")


def test_records_of_no_job_stay_as_they_are() -> None:
    line = json.loads(JsonFormatter(masking=Masking()).format(record("token=abc")))

    assert list(line) == ["time", "level", "logger", "message"]
    assert line["message"] == "token=abc"


def test_a_jobs_line_is_masked_in_both_formats(running: Running) -> None:
    made = record("token=abc", password="def")
    shown = [JsonFormatter(masking=Masking()).format(made), ConsoleFormatter(masking=Masking()).format(made)]

    assert not any("abc" in line or "def" in line for line in shown)


def test_a_message_that_does_not_fit_its_arguments_is_still_told(running: Running) -> None:
    made = record("%d apples", "many")

    assert "apples" in json.loads(JsonFormatter().format(made))["message"]


def test_a_message_that_cannot_be_written_is_still_told(running: Running) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    made = record("x")
    made.msg = MuteError()  # log.error(error)

    said = "a message of type MuteError (its arguments do not fit: RuntimeError)"
    assert json.loads(JsonFormatter().format(made))["message"] == said
    assert said in ConsoleFormatter().format(made)
    assert [line["message"] for line in capture(running, made)] == [said]


def capture(scope: Running, *records: logging.LogRecord, default: str = "info") -> list[dict[str, Any]]:
    handler = handler_for(default, [scope.capture_level], Masking(), mine=lambda _: True)
    for made in records:
        if handler is not None and made.levelno >= handler.level:
            handler.handle(made)
    lines: list[dict[str, Any]] = json.loads(scope.lines.as_json()) if scope.lines is not None else []
    return lines


def test_lines_from_the_level_on_are_kept_masked(running: Running) -> None:
    kept = capture(running, record("no", level=logging.DEBUG), record("token=abc", size=3, secret="s"))

    assert [(line["level"], line["logger"], line["message"]) for line in kept] == [("info", "shop", "token=***")]
    assert kept[0]["fields"] == {"size": 3, "secret": "***"}


def test_a_task_has_a_level_of_its_own(running: Running) -> None:
    running.capture_level = level_of("debug")

    assert len(capture(running, record("yes", level=logging.DEBUG), default="error")) == 1


def test_off_keeps_nothing_and_installs_nothing(running: Running) -> None:
    assert handler_for("off", [None, level_of("off")], Masking(), mine=lambda _: True) is None
    running.capture_level = level_of("off")
    assert capture(running, record("no", level=logging.CRITICAL)) == []


def test_what_pgqueue_says_of_an_attempt_is_not_its_handlers(running: Running) -> None:
    assert capture(running, record("job failed", name="pgqueue.worker.judge")) == []


def test_another_workers_attempt_is_passed_over(running: Running) -> None:
    CaptureHandler(logging.INFO, Masking(), least=0, mine=lambda scope: scope.worker == 1).handle(record("sent"))

    assert running.lines is None


def test_of_many_lines_the_first_and_the_last_are_kept_and_the_gap_is_counted() -> None:
    lines = Lines()
    for number in range(1000):
        lines.add(json.dumps({"n": number}))

    kept = json.loads(lines.as_json())
    assert [line.get("n", line) for line in kept] == [*range(100), {"left_out": 800}, *range(900, 1000)]


def test_what_another_process_kept_goes_on_where_it_was() -> None:
    here, there = Lines(), Lines()
    told = 0
    for number in range(1000):
        there.add(json.dumps({"n": number}))
        if number in {3, 150, 151, 700, 999}:
            first, left_out, last = there.take()
            here.absorb(first, left_out, last)
            told += len(first) + left_out + len(last)

    kept = json.loads(here.as_json())
    gap = next(line["left_out"] for line in kept if "left_out" in line)
    assert told == 1000
    assert len(kept) - 1 + gap == 1000
    assert [kept[0], kept[-1]] == [{"n": 0}, {"n": 999}]


def test_long_lines_are_cut_and_so_is_their_sum(running: Running) -> None:
    long = [record("x" * 50_000, **{f"field{n}": "y" * 2_000 for n in range(30)}) for _ in range(250)]

    kept = capture(running, *long)

    assert all(len(json.dumps(line)) <= LINE_BYTES for line in kept)
    assert len(running.lines.as_json()) <= 2 * HALF_BYTES + 1000
    assert sum(line.get("left_out", 1) for line in kept) == 250


@pytest.mark.parametrize("text", ["nul \x00", "lone \ud800", "\x1b[31m", "é" * 9_000])
def test_any_text_can_be_stored(running: Running, text: str) -> None:
    line = written(record(text, **{text[:50]: text}), Masking())

    assert "\\u0000" not in line
    line.encode()
    json.loads(line)


def test_a_value_that_cannot_say_what_it_is_fails_no_job(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError("no")

    kept = capture(running, record("a %s", Broken()), record("b", thing=Broken()), record("c"))

    assert [line["message"] for line in kept] == [
        "a %s (its arguments do not fit: ValueError)", "(a line that raised ValueError)", "c"
    ]  # fmt: skip
    assert capsys.readouterr().err == ""


def test_a_field_that_compares_to_no_truth_fails_no_job(running: Running) -> None:
    class Array:
        def __ne__(self, other: object) -> bool:
            raise ValueError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    made = record("sent", task=Array())

    assert (made.task, type(made.extra_task)) == ("mail", Array)  # type: ignore[attr-defined]


def test_warnings_still_reach_stderr_where_nobody_set_logging_up(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])

    remove = install(logging.NullHandler())
    assert logging.lastResort in root.handlers
    remove()

    assert root.handlers == []


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be one of debug"):
        level_of("loud")
