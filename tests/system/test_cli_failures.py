"""Each way to fail: one readable line on stderr, and the exit status of the contract."""

import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.support.command import PGQ, environment, pgq
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
IN_TRANSACTION = """
select 1 from pg_stat_activity
where application_name = 'pgq' and datname = current_database() and state = 'idle in transaction'"""


def test_without_a_dsn_it_is_usage() -> None:
    result = pgq("jobs", "ls")

    assert result.status == 2
    assert result.err.startswith("pgq: no database is named")
    assert result.err.count("\n") == 1


def test_an_unreachable_database_is_named_without_its_password() -> None:
    result = pgq("jobs", "ls", "--dsn", "postgresql://u:secret@127.0.0.1:1/x")

    assert result.status == 4
    assert result.err.startswith("pgq: cannot connect to postgresql://u:***@127.0.0.1:1/x")
    assert "secret" not in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("words", [("jobs", "ls"), ("enqueue", "x"), ("stats",), ("dlq", "redrive"), ("queues", "ls")])
def test_a_database_without_the_schema_says_run_migrate(empty_dsn: str, words: tuple[str, ...]) -> None:
    result = pgq(*words, PGQ_DSN=empty_dsn)

    assert result.status == 5
    assert "pgq migrate" in result.err
    assert "Traceback" not in result.err


def test_a_worker_on_a_database_without_the_schema_says_so(empty_dsn: str, tmp_path: Path) -> None:
    tmp_path.joinpath("shop.py").write_text("from pgqueue import App\napp = App()\n")

    result = pgq("work", "shop", cwd=tmp_path, PGQ_DSN=empty_dsn)

    assert result.status == 5
    assert "pgq migrate" in result.err


@pytest.mark.parametrize(
    ("module", "named"),
    [
        ("shop_lacks:app", ("cannot import shop_lacks", "No module named 'stripe_nowhere'", "shop_lacks.py:2")),
        ("nowhere_at_all:app", ("cannot import nowhere_at_all", "No module named 'nowhere_at_all'")),
        ("shop_empty:app", ("app",)),
        ("shop_leaves:app", ("cannot import shop_leaves: SystemExit: 0", "shop_leaves.py:2")),
        ("shop_mute:app", ("cannot import shop_mute: Mute: (its message raised KeyboardInterrupt)", "shop_mute.py:3")),
    ],
)
def test_an_app_that_does_not_import_says_why(dsn: str, tmp_path: Path, module: str, named: tuple[str, ...]) -> None:
    tmp_path.joinpath("shop_lacks.py").write_text("x = 1\nimport stripe_nowhere\n")
    tmp_path.joinpath("shop_empty.py").write_text("x = 1\n")
    tmp_path.joinpath("shop_leaves.py").write_text("import sys\nsys.exit(0)\n")
    tmp_path.joinpath("shop_mute.py").write_text(
        "class Mute(KeyboardInterrupt):\n    def __str__(self): raise KeyboardInterrupt\nraise Mute\n"
    )

    result = pgq("work", module, cwd=tmp_path, PGQ_DSN=dsn)

    assert result.status == 3
    assert all(part in result.err for part in named)
    assert "Traceback" not in result.err


def test_a_schedule_whose_arguments_do_not_fit_its_task_says_so_and_is_not_tried_again(
    dsn: str, tmp_path: Path
) -> None:
    tmp_path.joinpath("shop.py").write_text(
        "from pgqueue import App\napp = App()\n@app.schedule('@daily')\n@app.task\ndef report(day: int): ...\n"
    )

    result = pgq("work", "shop", cwd=tmp_path, PGQ_DSN=dsn)

    assert result.status == 2
    assert 'pgq: schedule "shop.report": ' in result.err
    assert "missing a required argument: 'day'" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "words",
    [
        ("enqueue", "t", "--args", "[1]"),
        ("enqueue", "t", "--args", "{"),
        ("enqueue", "t", "--args", "@/nowhere.json"),
        ("enqueue", "t", "--delay", "10x"),
        ("enqueue", "t", "--delay", "1m", "--run-at", "2026-01-01T00:00:00Z"),
        ("enqueue", "t", "--priority", "101"),
        ("enqueue",),
        ("jobs", "ls", "--state", "asleep"),
        ("jobs", "ls", "--limit", "x"),
        ("jobs", "show", "x"),
        ("jobs", "ls", "--nope"),
        ("nope",),
        ("work", "no module"),
        ("work", "shop", "-q", "a:3,b"),
        ("work", "shop", "-c", "0"),
        ("work", "shop", "--processes", "0"),
        ("work", "shop", "--log-level", "loud"),
        ("migrate", "--plan", "--sql"),
        ("jobs", "ls", "--schema", "pg_x"),
    ],
    ids=" ".join,
)
def test_usage_is_one_line_and_2(dsn: str, words: tuple[str, ...]) -> None:
    result = pgq(*words, PGQ_DSN=dsn)

    assert result.status == 2, result
    assert result.err.startswith("pgq: ")
    assert result.err.count("\n") == 1
    assert not result.out


def test_a_traceback_is_shown_with_debug_only(dsn: str) -> None:
    assert "Traceback" in pgq("--debug", "jobs", "show", "7", PGQ_DSN=dsn).err
    assert "Traceback" not in pgq("jobs", "show", "7", PGQ_DSN=dsn).err


def test_a_reader_that_leaves_is_no_error(dsn: str) -> None:
    pgq("enqueue", "t", "--many", "-", stdin="{}\n" * 3000, PGQ_DSN=dsn)

    with subprocess.Popen(
        [*PGQ, "jobs", "ls", "--limit", "3000"], stdout=-1, stderr=-1, text=True, env=environment(PGQ_DSN=dsn)
    ) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.readline()
        listing.stdout.close()

        assert listing.stderr.read() == ""
    assert listing.returncode == 0


def test_ctrl_c_ends_a_command_quietly(dsn: str) -> None:
    with subprocess.Popen(
        [*PGQ, "enqueue", "t", "--many", "-"], stdin=-1, stderr=-1, text=True, env=environment(PGQ_DSN=dsn)
    ) as waiting:
        assert waiting.stdin is not None
        assert waiting.stderr is not None
        with psycopg.connect(dsn, autocommit=True) as conn:  # it reads stdin once its transaction is open
            wait_until(lambda: conn.execute(IN_TRANSACTION).fetchone())
        waiting.send_signal(signal.SIGINT)

        assert waiting.stderr.read() == ""
    assert waiting.returncode == 130
